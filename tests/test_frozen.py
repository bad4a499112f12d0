"""A plugin that was built against callsheet 0.1.0, and never since, works on today's core: see docs/versioning.md."""

import hashlib
import os
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from tests.frozen.vendor import KEY, Vendor

FROZEN = Path(__file__).parent / "frozen"
WHEEL = FROZEN / "callsheet_first-0.1.0-py3-none-any.whl"
SHA256 = "16a668996f18e3b5625fd5678a48c96948e0d00e8c9d644c2cac0510b46922d8"
"""A wheel with another digest is another wheel. Do not renew this: a change that breaks the old one breaks strangers' plugins."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The wheel, installed into a folder: it is pure Python, so that unpacking is all there is to it."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(WHEEL) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def vendor():
    with Vendor.serving() as vendor:
        yield vendor


@pytest.fixture
def run(site, vendor, tmp_path):
    def run(part: str) -> Vendor:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CALLSHEET_", "FIRST_", "PYTHON"))}
        env |= {"FIRST_API_KEY": KEY, "FIRST_BASE_URL": vendor.url, "PYTHONPATH": str(site)}
        env |= {"CALLSHEET_PROVIDERS": "first,first_small"}
        done = subprocess.run(
            [sys.executable, str(FROZEN / "program.py"), part], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return vendor

    return run


def test_the_wheel_is_the_one_that_was_built_then():
    assert hashlib.sha256(WHEEL.read_bytes()).hexdigest() == SHA256


def test_its_source_is_beside_it(site):
    source = FROZEN / "source" / "src"
    files = sorted(file.relative_to(source) for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc")
    assert len(files) == 4
    for file in files:
        assert (site / file).read_bytes() == (source / file).read_bytes()


def test_it_asks_for_every_callsheet_before_1_0(site):
    [metadata] = site.glob("*.dist-info/METADATA")
    assert message_from_string(metadata.read_text())["Requires-Dist"] == "callsheet<1,>=0.1"


@pytest.mark.parametrize("part", ["discovery", "refusals", "small", "wraps"])
def test_part(run, part):
    run(part)


def test_sync(run):
    vendor = run("sync_calls")
    [asked] = vendor.asked
    assert asked["cast"] == ["c/1"]  # the vendor's own id
    assert (asked["length"], asked["size"], asked["film"], asked["grain"]) == (2, "640x360", "film-1", 0.5)
    assert asked["region"] == "north"
    assert asked["fingerprint"] == hashlib.sha256(b"Luna sings").hexdigest()
    assert b'name="called"' in vendor.clips[0]
    assert b'filename="luna.mp4"' in vendor.clips[0]
    assert not vendor.jobs


@pytest.mark.parametrize("loop", ["on_asyncio", "on_trio"])
def test_async(run, loop):
    assert len(run(loop).jobs) == 1


def test_failures_are_mapped_and_nothing_is_sent_twice(run):
    vendor = run("failures")
    texts = [job["text"] for job in vendor.asked]
    assert texts == ["forbidden", "broken", "busy", "busy", "doomed"]


def test_settings_of_its_own(run):
    assert run("settings").asked[0]["region"] == "south"
