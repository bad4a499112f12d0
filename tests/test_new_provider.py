"""What `callsheet new-provider` writes, from the first command to the last: built, installed in a clean environment beside
the core and the gateway, and called by its name from a program, the command line and over HTTP - and `callsheet check`.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from attrs import frozen
from tests.wheels import ROOT, clean_environment, needed, wheel

from callsheet.testing import FAKE_KEY

NEW = (["lantern"], ["beam", "--like", "openai"])
OURS = ("core", "gateway", "plugins/openai")
pytestmark = pytest.mark.timeout(300)  # it builds and installs, on a machine that does other things as well


@frozen
class Place:
    """A clean environment, and an empty folder to run its commands in."""

    python: Path
    folder: Path

    def env(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CALLSHEET_", "PYTHON", "OPENAI_", "PYTEST_"))}
        return {**kept, "XDG_DATA_HOME": str(self.folder), **more}  # nothing of the user's, and nothing to him

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment to its end."""
        command = [str(self.python.parent / words[0]), *words[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env(**more), capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    @contextmanager
    def running(self, *words: str) -> Iterator[str]:
        """Run one that says something and goes on; give its first line. Ctrl-C ends it."""
        command = [str(self.python.parent / words[0]), *words[1:]]
        process = subprocess.Popen(command, cwd=self.folder, env=self.env(), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(20)
            process.stdout.close()
        assert code == 0

    @contextmanager
    def vendor(self, name: str) -> Iterator[str]:
        """Serve the sample vendor that a distribution ships, on loopback; give its address."""
        script = (
            "import sys, time\nfrom callsheet.testing.kit.bench import wire_of\n"
            f"wire = wire_of('{name}')(polls_until_done=1)\n"
            "with wire.serve() as url:\n"
            "    print(url, flush=True)\n"
            "    try:\n        time.sleep(300)\n    except KeyboardInterrupt:\n        assert not wire.problems, wire.problems\n"
        )
        with self.running("python", "-c", script) as line:
            yield line.strip()

    @contextmanager
    def gateway(self, entry: str) -> Iterator[httpx.Client]:
        """Serve a config.yaml; give a client of the server."""
        (self.folder / "config.yaml").write_text(entry)
        with (
            self.running("callsheet", "serve", "--port", "0", "--json", "--config", "config.yaml") as line,
            httpx.Client(base_url=json.loads(line)["base_url"], timeout=60, trust_env=False) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the core, the gateway, the OpenAI plugin, and two new providers: one for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "new-providers"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            folder.mkdir()
            make_environment(folder)
            (folder / "made").touch()
    return folder / "venv" / "bin" / "python"


def make_environment(folder: Path) -> None:
    made = []
    for words in NEW:
        command = [sys.executable, "-m", "callsheet.cli", "new-provider", *words, "--to", str(folder), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made.append(Path(done.stdout.strip()))
    with ThreadPoolExecutor(2) as pool:
        wheels = [*pool.map(lambda source: wheel(source, folder), [*(ROOT / name for name in OURS), *made])]
    names = needed(ROOT / "core", "cli", "testing") + needed(ROOT / "gateway") + needed(ROOT / "plugins" / "openai")
    clean_environment(folder / "venv", wheels, names)


@pytest.fixture
def place(python: Path, tmp_path: Path) -> Place:
    return Place(python, tmp_path)


PROGRAM = """
import asyncio, sys
import callsheet
from callsheet import AsyncClient

video = callsheet.generate_video(model=sys.argv[1] + "/film-1", prompt="A fox", seconds=4, size="1280x720", wait=True)
assert video.status == "completed", video
callsheet.download_video(video, to="fox.mp4")

async def main():
    async with AsyncClient(sys.argv[1] + "/film-1") as client:
        video = await client.generate_video(prompt="A fox again", wait=True)
        return video.status

assert asyncio.run(main()) == "completed"
"""


@pytest.mark.parametrize("name", ["lantern", "beam"])
def test_a_program_and_the_command_line_call_it_by_its_name(place: Place, name: str) -> None:
    with place.vendor(name) as url:
        account = {f"{name.upper()}_API_KEY": FAKE_KEY, f"{name.upper()}_BASE_URL": url}
        place.run("python", "-c", PROGRAM, name, **account)
        assert (place.folder / "fox.mp4").read_bytes()[4:8] == b"ftyp"
        told = place.run(
            "callsheet",
            "video",
            "generate",
            "A fox",
            "--model",
            f"{name}/film-1",
            "--to",
            "cli.mp4",
            "--json",
            **account,
        )
    assert json.loads(told.stdout)["status"] == "completed"
    assert (place.folder / "cli.mp4").stat().st_size == 96 * 1024


ENTRY = """\
model_list:
  - model_name: {called}
    litellm_params:
      model: {model}
      api_base: {url}
      api_key: {key}
"""


@pytest.mark.parametrize("name", ["lantern", "beam"])
def test_the_gateway_serves_it_to_programs_that_call_a_model(place: Place, name: str) -> None:
    with (
        place.vendor(name) as url,
        place.gateway(ENTRY.format(called="sora-2", model=f"{name}/film-1", url=url, key=FAKE_KEY)) as http,
    ):
        video = http.post("/videos", json={"model": "sora-2", "prompt": "A fox", "seconds": "4"}).json()
        assert video["model"] == "sora-2", video
        for _ in range(5):
            if (video := http.get(f"/videos/{video['id']}").json())["status"] == "completed":
                break
        assert video["status"] == "completed"
        content = http.get(f"/videos/{video['id']}/content", headers={"range": "bytes=4-7"})
        assert (content.status_code, content.content) == (206, b"ftyp")
        refused = http.post("/videos/edits", json={"video": {"id": video["id"]}, "prompt": "Make it evening"})
        assert refused.status_code == (501 if name == "lantern" else 200), refused.text


def test_a_compatible_vendor_needs_no_code_but_five_lines_of_configuration(place: Place) -> None:
    """Five lines below `model_list:`, with the provider of OpenAI's wire and the vendor's address."""
    with place.vendor("openai") as url:
        entry = ENTRY.format(called="chat", model="openai/some-model", url=url, key=FAKE_KEY)
        assert len(entry.splitlines()[1:]) == 5
        assert len(yaml.safe_load(entry)["model_list"]) == 1
        with place.gateway(entry) as http:
            asked = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}
            answer = http.post("/chat/completions", json=asked).json()
            assert answer["choices"][0]["message"]["content"].startswith("Paris")
            streamed = http.post("/chat/completions", json={**asked, "stream": True}).text
            assert streamed.rstrip().endswith("data: [DONE]")


def test_a_new_provider_is_green(place: Place) -> None:
    told = json.loads(place.run("callsheet", "check", "lantern", "--json").stdout)
    assert told["counted"]["failed"] == 0
    assert told["counted"]["passed"] > 60
    assert not told["not_run"]
    works = {name for name, state in told["operations"].items() if state == "works"}
    assert works == {"generate_video", "get_video", "download_video"}
    assert not list(place.folder.iterdir())


@pytest.mark.parametrize("name", ["lantern", "beam"])
def test_its_own_tests_are_the_kit(python: Path, name: str) -> None:
    """As its CI runs them; some of the checks, since the command above runs all."""
    place = Place(python, python.parents[2] / f"callsheet-{name}")
    told = place.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_s0 or test_w01").stdout
    assert " passed" in told
    assert "skipped" not in told


def test_one_like_another_is_green(place: Place) -> None:
    """A sample of its checks; plugins/openai runs all of them over the same code."""
    told = json.loads(place.run("callsheet", "check", "beam", "-k", "shape,W01,W02,T03,E01", "--json").stdout)
    assert told["counted"]["failed"] == 0
    assert set(told["operations"].values()) == {"works"}
