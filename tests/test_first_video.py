"""As a new user: wheels in a clean environment, and then what the gateway's page says, up to a finished video by curl."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from tests.test_docs import PORT, blocks
from tests.test_new_provider import Place
from tests.wheels import ROOT, clean_environment, needed, wheel

OURS = ("core", "gateway", "plugins/local")
PAGE = ROOT / "docs" / "gateway.md"
pytestmark = pytest.mark.timeout(300)  # it builds and installs, on a machine that does other things as well


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folders = [ROOT / name for name in OURS]
    names = [name for folder in folders for name in needed(folder, *(["cli"] if folder.name == "core" else []))]
    wheels = [wheel(folder, tmp_path) for folder in folders]
    (tmp_path / "work").mkdir()
    return Place(clean_environment(tmp_path / "venv", wheels, names), tmp_path / "work")


@contextmanager
def server(place: Place, line: str) -> Iterator[tuple[str, str]]:
    """Run the page's command on a free port. Gives the port and the line that it says is to be pasted elsewhere."""
    words = [str(place.python.parent / "callsheet"), *line.split()[1:], "--port", "0"]
    process = subprocess.Popen(words, cwd=place.folder, env=place.env(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = ""
        for text in process.stdout:
            said += text
            if "export " in text:
                break
        address, paste = re.search(r"http://127\.0\.0\.1:(\d+)/v1", said), re.search(r"export \S+", said)
        assert address, said
        assert paste, said
        yield address[1], paste[0]
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        process.stdout.close()
    assert code == 0


def test_from_wheels_to_a_finished_video_by_what_the_page_says(place: Place) -> None:
    (_, installing), (language, asking), *_ = blocks(PAGE)
    pip, serve = installing.splitlines()
    assert pip.split() == ["pip", "install", "callsheet-gateway", "callsheet-local"]  # done above, without an index
    assert serve.startswith("callsheet serve")
    assert language == "sh"
    with server(place, serve) as (port, paste):
        script = f"set -e\n{paste}\n{asking.replace(PORT, port)}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=place.folder, env=place.env(), capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr
    made = [*place.folder.glob("*.mp4")]
    assert [file.name for file in made] == re.findall(r"-o (\S+\.mp4)", asking)
    with av.open(made[0]) as film:
        frames = sum(1 for _ in film.decode(video=0))
        picture = film.streams.video[0]
        assert (picture.width, picture.height) == (640, 360)
        assert frames == round(2 * float(picture.average_rate or 0)) > 20
