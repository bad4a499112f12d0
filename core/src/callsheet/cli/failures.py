"""How a command fails: one line on stderr, an exit code that scripts can tell apart, and with --json a document."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import click
from attrs import frozen

from callsheet import errors as e

__all__ = ["EXIT_CODES", "Failure", "Interrupted", "Resume", "failure_of"]

FAILED, USAGE, NOT_FOUND, UNSUPPORTED, SETUP, TRY_AGAIN, TIMED_OUT, INTERRUPTED = 1, 2, 3, 4, 5, 6, 124, 130

EXIT_CODES = {
    0: "done",
    FAILED: "failed: the job, the response, the provider, or a check (of doctor, of check)",
    USAGE: "wrong usage or bad input",
    NOT_FOUND: "no such video, character, response, call or model",
    UNSUPPORTED: "the provider does not do this operation",
    SETUP: "set-up: no such provider, a broken plugin, a missing or refused key",
    TRY_AGAIN: "try again later: no connection, or too many requests",
    TIMED_OUT: "--timeout is over; the job goes on",
    INTERRUPTED: "interrupted by Ctrl-C",
}
"""What `callsheet --help` says of them."""

_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
    ((e.WaitTimeoutError,), TIMED_OUT),
    ((e.NotFoundError,), NOT_FOUND),
    ((e.UnsupportedOperation,), UNSUPPORTED),
    ((e.ConfigurationError, e.PluginError, e.AuthenticationError, e.PermissionDeniedError), SETUP),
    ((e.BadRequestError, e.UnprocessableEntityError), USAGE),
    ((e.RateLimitError, e.APIConnectionError), TRY_AGAIN),
)


class Failure(click.ClickException):
    """The end of a command. `hints` are lines that follow the error; `document` is what --json prints of it."""

    label = "error: "

    def __init__(
        self, message: str, code: int = FAILED, *, hints: tuple[str, ...] = (), document: dict[str, Any] | None = None
    ) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = code  # type: ignore[misc]  # click reads the instance's
        self.hints = hints
        self.document = document

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it: on stderr for people, on stdout for programs."""
        if self.document is not None:
            click.echo(json.dumps(self.document, ensure_ascii=False, indent=2))
        for line in (self.label + self.message, *self.hints):
            click.echo(line, file=file or sys.stderr)


class Interrupted(Failure):
    """Ctrl-C. Not an error: what was begun can be gone on with."""

    label = ""

    def show(self, file: IO[Any] | None = None) -> None:
        if sys.stderr.isatty():
            click.echo(err=True)  # the terminal has written ^C into the line
        super().show(file)


@frozen
class Resume:
    """The command that goes on with what was begun; where nobody knows if it was, the one that shows it."""

    command: str
    begun: bool = True
    says: str = "Go on with"

    def hint(self, error: BaseException) -> str | None:
        """The line that follows an error, if it helps."""
        if self.begun:
            if isinstance(error, e.UnsupportedOperation):
                return f"What was begun is there all the same: {self.command}"
            helps = isinstance(error, KeyboardInterrupt | e.WaitTimeoutError | e.APIConnectionError | OSError)
            return f"{self.says}: {self.command}" if helps else None
        unsure = isinstance(error, KeyboardInterrupt) or (isinstance(error, e.APIConnectionError) and error.sent)
        return f"It may have been begun nevertheless; see: {self.command}" if unsure else None


def failure_of(error: BaseException, *, resume: Resume | None, as_json: bool) -> Failure:
    """The failure that an exception is."""
    message = _words(error)
    hint = resume.hint(error) if resume else None
    document = _document(error, message, resume.command if resume and hint else None) if as_json else None
    hints = (hint,) if hint else ()
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(message, INTERRUPTED, hints=hints, document=document)
    code = next((code for kinds, code in _BY_CLASS if isinstance(error, kinds)), FAILED)
    return Failure(message, code, hints=hints, document=document)


def _words(error: BaseException) -> str:
    match error:
        case KeyboardInterrupt():
            return "interrupted"
        case e.ConfigurationError() | e.NotFoundError() if "provider='" in error.message:
            return f"{error.message} On the command line that is --provider NAME."
        case e.CallsheetError():
            return error.message
        case OSError() if error.strerror:
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    reason = f"{type(error).__name__}: {error}"
    return f"{reason} - this is a bug in callsheet or in a plugin; CALLSHEET_DEBUG=1 shows where"


def _document(error: BaseException, message: str, resume: str | None) -> dict[str, Any]:
    """The API's error envelope, and beside it what is known of the job."""
    fields = ("param", "code", "provider", "status_code", "request_id", "retry_after")
    known = {name: value for name in fields if (value := getattr(error, name, None)) is not None}
    document: dict[str, Any] = {"error": {"message": message, "type": type(error).__name__, **known}}
    if isinstance(error, e.CallsheetError) and error.video is not None:
        document["video"] = error.video.wire()
    if resume:
        document["resume"] = resume
    return document
