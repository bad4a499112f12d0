"""Arguments that are JSON: in a file, on standard input or, where that is handy, in the command line itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["json_document"]


def json_document(
    kind: type[list[Any]] | type[dict[str, Any]], *, text: bool = False
) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A click callback that reads the file an option names. With `text` its value may be the document itself."""

    def read(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        itself = text and value.lstrip().startswith("{")
        where = "the document" if itself else value
        try:
            document = json.loads(value if itself else _content(value))
        except OSError as error:
            raise click.BadParameter(f"{value}: {error.strerror}") from None
        except ValueError as error:
            raise click.BadParameter(f"{where} is not JSON: {error}") from None
        if not isinstance(document, kind):
            wanted = "a list [...]" if kind is list else "an object {...}"
            raise click.BadParameter(f"{where}: {wanted} is wanted, not {type(document).__name__}")
        return document

    return read


def _content(file: str) -> bytes | str:
    return sys.stdin.read() if file == "-" else Path(file).expanduser().read_bytes()
