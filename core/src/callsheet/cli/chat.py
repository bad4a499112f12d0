"""`callsheet chat`: one question, or a conversation."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import click

from callsheet import errors as e
from callsheet.cli.options import Session, calls_a_provider
from callsheet.cli.output import print_json, say
from callsheet.cli.speech import Speaker, chat_text
from callsheet.client import Client

__all__ = ["chat"]

_HOPELESS = (
    e.ConfigurationError,
    e.PluginError,
    e.UnsupportedOperation,
    e.AuthenticationError,
    e.PermissionDeniedError,
)
"""Errors that the next message would meet again."""


@click.command(short_help="Talk with a model.")
@click.argument("message", nargs=-1)
@click.option("--model", metavar="PROVIDER/MODEL", help="Who answers.")
@click.option("--system", metavar="TEXT", help="How it shall answer.")
@calls_a_provider
def chat(session: Session, message: tuple[str, ...], model: str | None, system: str | None) -> None:
    """Say MESSAGE and read the answer as it comes. Without MESSAGE talk on, or answer what comes on standard input.

    In a conversation each message is a line; the model sees all of them. Ctrl-C interrupts an answer, /quit or
    Ctrl-D ends the conversation. Nothing is kept afterwards: callsheet respond is for that.

    \b
    Examples:
      callsheet chat "Is 97 a prime number?" --system "Be brief."
      echo "What is 6 times 7?" | callsheet chat --quiet
      callsheet chat < question.txt
    """
    history = [{"role": "system", "content": system}] if system else []
    said = " ".join(message)
    talks = not message and sys.stdin.isatty()
    if talks and session.json:
        raise click.UsageError("--json prints one document: give a MESSAGE with it")
    if not talks and message in {(), ("-",)}:
        said = sys.stdin.read().rstrip("\n")
    if not talks and not said.strip():
        raise click.UsageError("there is nothing to say: give a MESSAGE, or send one to standard input")
    with session.client(model) as client:
        turn = _Turn(client, session, model, history)
        if talks:
            _converse(turn)
        elif session.json:
            history.append({"role": "user", "content": said})
            print_json(client.chat_completions(messages=history, model=model, provider=session.provider).wire())
        else:
            turn.take(said)


class _Turn:
    """Says something, tells the answer, and remembers both."""

    def __init__(self, client: Client, session: Session, model: str | None, history: list[Any]) -> None:
        self.client, self.session, self.model, self.history = client, session, model, history

    def take(self, said: str) -> None:
        """One turn. What was heard of an answer is remembered, also when it was broken off; nothing heard, nothing said."""
        speaker, heard = Speaker(quiet=self.session.quiet), ""
        messages = [*self.history, {"role": "user", "content": said}]
        try:
            with self.client.chat_completions(
                messages=messages, stream=True, model=self.model, provider=self.session.provider
            ) as chunks:
                for chunk in chunks:
                    piece = chat_text(chunk)
                    heard += piece
                    speaker.say(piece)
        finally:
            speaker.pause()
            if heard:
                self.history[:] = [*messages, {"role": "assistant", "content": heard}]


def _converse(turn: _Turn) -> None:
    with suppress(ImportError):  # not everywhere; it gives input() a history and arrow keys
        import readline  # noqa: F401

    if not turn.session.quiet:
        say("Say something. Ctrl-C interrupts an answer; /quit or Ctrl-D ends.")
    while True:
        try:
            said = input("> ").strip()
        except EOFError:
            click.echo(err=True)
            return
        except KeyboardInterrupt:
            say("\n/quit or Ctrl-D ends.")
            continue
        if said in {"/quit", "/exit"}:
            return
        if not said:
            continue
        try:
            turn.take(said)
        except KeyboardInterrupt:
            say("interrupted")
        except _HOPELESS:
            raise
        except e.CallsheetError as error:
            say(f"error: {error.message}")
