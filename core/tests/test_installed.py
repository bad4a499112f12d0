"""What is installed may be broken in whichever way: the rest is found all the same."""

import importlib

import pytest

from callsheet.installed import entry_points

GOOD = b"[callsheet.providers]\nfine = fine:Fine\n"


@pytest.mark.parametrize(
    "content",
    [
        b"[callsheet.providers]\nbad = \xff\xfe:X\n",
        b"\xff\xfe[other]\na = b:c\n",
        b"[callsheet.providers]\nno equals sign\n",
    ],
)
def test_a_list_that_can_not_be_read_hides_no_other(tmp_path, monkeypatch, content):
    for name, listed in {"broken": content, "fine": GOOD}.items():
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_bytes(listed)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert "fine" in [point.name for point in entry_points("callsheet.providers")]
