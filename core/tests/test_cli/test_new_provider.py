"""`callsheet new-provider`: what a name becomes, what is refused, what is written."""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from callsheet.cli import scaffold
from callsheet.cli.scaffold import BadName, Names, files_of_its_own, write
from callsheet.testing import FAKE_KEY

ROOT = Path(__file__).parents[3]
Run = Callable[..., Result]
FILES = [
    ".github/workflows/test.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/callsheet_{0}/__init__.py",
    "src/callsheet_{0}/py.typed",
    "src/callsheet_{0}/wire.py",
    "tests/test_conformance.py",
]
CACHE = Path(tempfile.gettempdir()) / f"callsheet-tests-mypy-{os.getuid()}"
"""Of mypy's, for all runs: most of what it looks at is the core."""


def written(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_whole_distribution_is_written_and_the_next_steps_are_told(run: Run) -> None:
    done = run("new-provider", "acme-video")
    assert done.exit_code == 0, done.output
    shown = dict(re.split(" {2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    assert shown == {
        "folder": "callsheet-acme-video",
        "distribution": "callsheet-acme-video",
        "package": "callsheet_acme_video",
        "class": "AcmeVideo",
        "key": "ACME_VIDEO_API_KEY",
    }
    steps = ["cd callsheet-acme-video", "pip install -e '.[test]'", "pytest", "callsheet check acme-video"]
    assert [line.strip() for line in done.stderr.splitlines()][2:6] == steps
    folder = Path("callsheet-acme-video")
    assert written(folder) == [name.format("acme_video") for name in FILES]
    assert not list(Path().glob(".callsheet*")), "nothing is left of the making"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "callsheet-acme-video"
    assert project["dependencies"] == ["callsheet>=0.1,<1"]
    assert project["optional-dependencies"] == {"test": ["callsheet[testing]"]}
    assert project["entry-points"] == {
        "callsheet.providers": {"acme-video": "callsheet_acme_video:AcmeVideo"},
        "callsheet.wires": {"acme-video": "callsheet_acme_video.wire:AcmeVideoWire"},
    }
    jobs = yaml.safe_load((folder / ".github/workflows/test.yml").read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert "${{ matrix.python }}" in (folder / ".github/workflows/test.yml").read_text()
    assert "$" not in "".join((folder / name.format("acme_video")).read_text() for name in FILES[3:])


def test_json_and_quiet(run: Run) -> None:
    told = json.loads(run("new-provider", "lantern", "--json").stdout)
    assert told["files"] == [name.format("lantern") for name in FILES]
    assert (told["provider"], told["class"], told["folder"]) == ("lantern", "Lantern", "callsheet-lantern")
    Path("here").mkdir()
    quiet = run("new-provider", "lantern", "--quiet", "--to", "here")
    assert quiet.output == f"{Path('here', 'callsheet-lantern')}\n"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("Acme Video", 2, "'acme-video', perhaps?"),
        ("9lives", 2, "'lives', perhaps?"),
        ("a--b", 2, "'a-b', perhaps?"),
        ("../etc", 2, "a name begins with a letter"),
        ("é", 2, "a name begins with a letter"),
        ("", 2, "a name begins with a letter"),
        ("callsheet-luma", 2, "'luma' is name enough: the distribution is called callsheet-luma"),
        ("x" * 31, 2, "at most 30"),
        ("none", 2, "its class would be called None"),
        ("mapping", 2, "its class would be called Mapping"),
        ("exception", 2, "its class would be called Exception"),
        ("gateway", 2, "callsheet-gateway would be a part of callsheet itself"),
        ("pytest", 0, ""),
        ("class", 0, ""),
    ],
)
def test_names(run: Run, name: str, code: int, said: str) -> None:
    done = run("new-provider", name)
    assert (done.exit_code, said in done.stderr) == (code, True), done.output
    assert bool(list(Path().glob("callsheet-*"))) is (code == 0)


@given(st.from_regex(r"[a-z][a-z0-9]{0,7}([-_][a-z0-9]{1,6}){0,3}", fullmatch=True))
def test_whatever_name_is_taken_makes_a_class_and_a_package(name: str) -> None:
    try:
        names = Names(name)
    except BadName:
        return
    assert names.kind.isidentifier()
    assert names.package.isidentifier()
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", names.variable)
    for path, text in files_of_its_own(names, None).items():
        if path.endswith(".py"):
            compile(text, path, "exec")
        if path.endswith(".toml"):
            assert tomllib.loads(text)["project"]["name"] == names.distribution


def test_nothing_is_overwritten(run: Run) -> None:
    folder = Path("callsheet-lantern")
    folder.mkdir()
    assert run("new-provider", "lantern").exit_code == 0, "an empty folder may be there"
    (folder / "LICENSE").write_text("mine")
    refused = run("new-provider", "lantern")
    assert refused.exit_code == 2
    assert "callsheet-lantern is there already, and nothing is overwritten" in refused.stderr
    assert (folder / "LICENSE").read_text() == "mine"
    Path("callsheet-beam").write_text("a file")
    assert run("new-provider", "beam").exit_code == 2
    assert Path("callsheet-beam").read_text() == "a file"
    assert run("new-provider", "ray", "--to", "nowhere").exit_code == 2


def test_what_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, count = Path.write_text, iter(range(3))

    def full(self: Path, *args: Any, **more: Any) -> int:
        if next(count, None) is None:
            raise OSError(28, "No space left on device")
        return whole(self, *args, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "callsheet-lantern", files_of_its_own(Names("lantern"), None))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_ours_to_write_in_is_one_line(run: Run) -> None:
    refused = run("new-provider", "lantern", "--to", "/proc")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "code"),
    [("https://api.luma.example/v2/", 0), ("http://127.0.0.1:9/v1", 0), ("luma", 2), ("https://a/b?c=1", 2),
     ("https://a/$HOME", 2), ('https://a/"', 2), ("ftp://a/b", 2)],
)  # fmt: skip
def test_addresses(run: Run, address: str, code: int) -> None:
    done = run("new-provider", "luma", "--base-url", address)
    assert done.exit_code == code, done.output
    if code == 0:
        told = Path("callsheet-luma/src/callsheet_luma/__init__.py").read_text()
        assert f'base_url: str | None = "{address.rstrip("/")}"' in told


@pytest.mark.parametrize(
    ("words", "prefix"),
    [([], "/v1"), (["--base-url", "https://queue.luma.example"], ""), (["--base-url", "https://luma.example/"], ""),
     (["--base-url", "https://luma.example/api/v2/"], "/api/v2")],
)  # fmt: skip
def test_paths_begin_with_what_the_address_ends_with(run: Run, words: list[str], prefix: str) -> None:
    assert run("new-provider", "luma", *words).exit_code == 0
    code = Path("callsheet-luma/src/callsheet_luma/wire.py").read_text()
    assert f'\n    prefix = "{prefix}"\n' in code
    made: dict[str, Any] = {"__name__": "luma_wire"}
    exec(compile(code, "wire.py", "exec"), made)
    with made["LumaWire"]().serve() as url:
        assert urlsplit(url).path == prefix


def test_the_key_may_be_in_another_variable(run: Run) -> None:
    done = run("new-provider", "--key-env", "LUMA_KEY", "luma", "--json")
    assert json.loads(done.stdout)["key"] == "LUMA_KEY"
    folder = Path("callsheet-luma")
    assert '"api_key": "LUMA_KEY",' in (folder / "src/callsheet_luma/__init__.py").read_text()
    assert "export LUMA_KEY=...\n" in (folder / "README.md").read_text()
    assert "LUMA_API_KEY" not in "".join((folder / name.format("luma")).read_text() for name in FILES)


@pytest.mark.parametrize(
    ("variable", "said"),
    [("", "is not the name of"), ("A KEY", "is not the name of"), ('A"', "is not the name of"), ("9A", "is not the name"),
     ("A" * 65, "is not the name of"), ("LUMA_BASE_URL", "LUMA_BASE_URL holds the vendor's address")],
)  # fmt: skip
def test_what_no_variable_is_called(run: Run, variable: str, said: str) -> None:
    done = run("new-provider", "luma", "--key-env", variable)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert not Path("callsheet-luma").exists()


def test_names_that_are_installed_are_refused(site: Any) -> None:
    taken = site.run("new-provider", "acme")
    assert taken.returncode == 5
    assert (
        taken.stderr == "error: a provider named 'acme' is installed already (acme-plugin 1.0); choose another name\n"
    )
    site.add("callsheet-thing", {"callsheet.commands": {}}, callsheet_other="")
    assert "callsheet-thing 1.0 is installed already" in site.run("new-provider", "thing").stderr
    assert "a package callsheet_other is installed already" in site.run("new-provider", "other").stderr
    assert [path.name for path in site.work.iterdir()] == ["state"]


def test_like_an_installed_one(site: Any) -> None:
    made = site.run("new-provider", "beam", "--like", "acme", "--key-env", "BEAM_KEY", "--json")
    assert made.returncode == 0, made.stderr
    folder = site.work / "callsheet-beam"
    code = (folder / "src/callsheet_beam/__init__.py").read_text()
    assert "from acme_plugin import Acme, AcmeSettings\n" in code
    assert "class Beam(Acme):" in code
    assert "class BeamSettings(AcmeSettings):" in code
    assert '"api_key": "BEAM_KEY",' in code
    assert "from callsheet.testing import FakeUpstream" in (folder / "src/callsheet_beam/wire.py").read_text()
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["callsheet>=0.1,<1", "acme-plugin>=1.0,<2"]
    unknown = site.run("new-provider", "ray", "--like", "amce")
    assert unknown.returncode == 5
    assert "Did you mean 'acme'?" in unknown.stderr
    bare = site.run("new-provider", "ray", "--like", "bare")
    assert bare.returncode == 5
    assert "ships no sample vendor" in bare.stderr
    assert not (site.work / "callsheet-ray").exists()


def test_the_licence_is_ours() -> None:
    assert (scaffold.TEMPLATES / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize(
    "words", [["a"], ["acme-video-and-chat-of-tomorrow"], ["beam", "--like", "openai"]], ids=["short", "long", "like"]
)
def test_the_code_is_clean_and_typed(words: list[str], tmp_path: Path) -> None:
    """By its own settings, in a project of its own, and formatted however long the name is."""
    words = [words[0][: scaffold.LONGEST], *words[1:]]
    environ = {"PATH": "", "COLUMNS": "200"}
    command = [sys.executable, "-m", "callsheet.cli", "new-provider", *words, "--quiet"]
    made = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    folder = tmp_path / made.stdout.strip()
    house = ["--config", str(ROOT / "pyproject.toml"), "--ignore", "RUF012,S101"]
    ruff = [["ruff", "check", "."], ["ruff", "check", *house, "."], ["ruff", "format", "--check", "."]]
    for tool in (*ruff, ["mypy", "--cache-dir", str(CACHE)]):
        done = subprocess.run(
            [sys.executable, "-m", *tool],
            cwd=folder,
            env={**environ, "MYPYPATH": "src"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_chat_is_the_five_lines_that_the_comment_says(tmp_path: Path) -> None:
    files = files_of_its_own(Names("lantern"), None)
    code, wire = (files[f"src/callsheet_lantern/{name}"] for name in ("__init__.py", "wire.py"))
    [chat] = re.findall(r"((?:    # .*\n)+)\n    @staticmethod", code)
    lines = [line.replace("# ", "", 1) for line in chat.splitlines()]
    begin = lines.index("    @cs.hookimpl")
    assert len(lines[begin + 2 :]) == 4, "five lines, and the decorator"
    code = code.replace(chat, "\n".join(lines[begin:]) + "\n")
    wire = wire.replace("import JSON, ", "import CHAT, JSON, ").replace(
        '    prefix = "/v1"', '    table = CHAT\n    prefix = "/v1"'
    )
    package = tmp_path / "src" / "callsheet_lantern"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    (package / "wire.py").write_text(wire)
    (tmp_path / "talk.py").write_text(TALK)
    typed = [sys.executable, "-m", "mypy", "--cache-dir", str(CACHE), "--strict", str(tmp_path / "src")]
    for command in ([sys.executable, str(tmp_path / "talk.py")], typed):
        done = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


TALK = f"""
from callsheet import BadRequestError, Client, Registry
from callsheet_lantern import Lantern
from callsheet_lantern.wire import LanternWire

registry, wire = Registry(points=[], wraps=()), LanternWire()
registry.register("lantern", Lantern)
asked = dict(model="lantern/m", messages=[{{"role": "user", "content": "Hello"}}])
with Client(registry=registry, provider="lantern", api_key="{FAKE_KEY}", transport=wire.blocking_transport()) as client:
    assert client.chat_completions(**asked)["choices"][0]["message"]["content"] == wire.reply
    with client.chat_completions(**asked, stream=True) as events:
        assert len(list(events)) > 2
    video = client.wait(client.generate_video(model="lantern/m", prompt="A fox"), poll=0.01)
    film = client.download_video(video, variant="video", to="film.mp4")
    assert film.read_bytes() == wire.film_of(wire.book.accepted("video")[0].id)
    try:
        client.download_video(video, variant="thumbnail")
    except BadRequestError as error:
        assert error.param == "variant", error
    else:
        raise AssertionError("there are no stills")
assert not wire.problems, wire.problems
"""
