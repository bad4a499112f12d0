"""Every example that --help shows is run as it stands, by a shell."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from core.tests.offers import OFFER
from core.tests.test_cli.lantern import add_lantern

from callsheet.cli.app import callsheet
from callsheet.cli.plugins import OWN


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands that do something, with the words that call them."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in OWN if command is callsheet else command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


COMMANDS = dict(leaves(callsheet, ()))


def examples(help: str) -> list[str]:
    """The lines of a help text that are commands."""
    return re.findall(r"^ +((?:\w+=\$\(|echo .+ \| )?callsheet .+)$", help, re.MULTILINE)


AT_HAND = {
    "$CHARACTER": "CHARACTER=$(callsheet character create Bunny clip.mp4 --quiet)",
    "$ID": 'ID=$(callsheet video generate "A quiet street" --quiet)',
    "$RESPONSE": 'RESPONSE=$(callsheet respond "What is a fox?" --background --quiet)',
    "$CALL": "CALL=$(callsheet realtime call offer.sdp --answer a.sdp --no-hold --quiet)",
}
FILES = {
    "clip.mp4": bytes(4000),
    "offer.sdp": OFFER,
    "report.txt": b"Foxes are few this year.",
    "question.txt": b"What is a fox?",
    "items.json": b'[{"role": "user", "content": "What is 2 + 2?"}]',
    "tools.json": b'[{"type": "function", "name": "add", "parameters": {}}]',
}


def shell(site: Any, lines: list[str]) -> subprocess.CompletedProcess[str]:
    """Run lines in bash, with the files and the ids at hand that they name."""
    for name, content in FILES.items():
        (site.work / name).write_bytes(content)
    script = [
        "set -eu -o pipefail",
        f'callsheet() {{ "{sys.executable}" -m callsheet.cli "$@"; }}',
        *(line for name, line in AT_HAND.items() if any(name in line for line in lines)),
        *lines,
    ]
    return subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=site.work, env=site.env, text=True, capture_output=True
    )


@pytest.mark.parametrize("path", COMMANDS, ids="-".join)
def test_examples_of_each_command_work(path: tuple[str, ...], site: Any) -> None:
    lines = examples(COMMANDS[path].help or "")
    assert lines, "a help text without an example"
    assert any(" ".join(path) in line for line in lines)
    if path == ("check",):
        add_lantern(site)  # which the examples of new-provider make
        lines = [line for line in lines if "--only" in line]  # the whole kit takes long: docs/cli.md runs it
        assert lines
    done = shell(site, lines)
    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_of_the_first_page_work(site: Any) -> None:
    lines = examples(callsheet.epilog or "")
    assert len(lines) == 4
    done = shell(site, lines)
    assert done.returncode == 0, done.stderr
    for name in ("storm.mp4", "snow.mp4"):
        assert (Path(site.work) / name).stat().st_size == 1_024_000
