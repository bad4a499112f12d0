"""What commands print on stdout: a document, a table, or facts line by line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from callsheet.models import Video

__all__ = ["facts", "lines", "moment", "print_json", "printable", "say", "size_of", "table", "video_facts"]


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def print_json(document: Any) -> None:
    """The one document that --json promises."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def printable(text: str) -> str:
    """A text without control characters: what a provider says must not steer the terminal."""
    return _CONTROL.sub("", text)


def say(line: str) -> None:
    """A remark for people: on stderr, so that stdout holds results only."""
    click.echo(printable(line), err=True)


def facts(known: Mapping[str, object]) -> None:
    """Name and value, a line each; what is not known is left out."""
    shown = {name: value for name, value in known.items() if value not in (None, "")}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(printable(f"{name:<{width}}  {value}"))


def video_facts(video: Video) -> dict[str, object]:
    """What people want to know of a video, in reading order."""
    running = video.status in {"queued", "in_progress"} and video.progress is not None
    return {
        "id": video.id,
        "status": f"{video.status}, {video.progress} %" if running else video.status,
        "error": f"{video.error.message} ({video.error.code})" if video.error else None,
        "model": f"{video.meta.provider}/{video.model}" if video.model and video.meta.provider else video.model,
        "size": video.size,
        "seconds": video.seconds,
        "prompt": video.prompt,
        "made from": video.remixed_from_video_id,
        "created": moment(video.created_at),
        "expires": moment(video.expires_at),
    }


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: drawn to fit on a terminal, aligned columns otherwise."""
    if sys.stdout.isatty():
        _drawn(columns, rows)
    else:
        lines(columns, rows)


def lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of one line a row however long that is: nothing is cut or folded, so that ids can be copied."""
    head = [column.upper() for column in columns]
    flat = [[printable(" ".join(cell.split())) or "-" for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in [head, *flat]) for index in range(len(columns))]
    for row in [head, *flat]:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        drawn.add_column(column, no_wrap=index == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))  # Text: a cell's words are never markup
    Console(highlight=False).print(drawn)


def moment(unix: int | None) -> str | None:
    """A time as people read it, in their own time zone."""
    return None if unix is None else datetime.fromtimestamp(unix).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size_of(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
