"""`callsheet realtime`: keys for browsers, and calls over WebRTC."""

from __future__ import annotations

import copy
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any

import click

from callsheet.cli.documents import json_document
from callsheet.cli.jobs import force_option
from callsheet.cli.options import Session, calls_a_provider, check_target
from callsheet.cli.output import facts, moment, print_json, say
from callsheet.client import Client
from callsheet.errors import NotFoundError
from callsheet.models import RealtimeCall

__all__ = ["realtime"]

SECRET = "CALLSHEET_EPHEMERAL_KEY"  # noqa: S105  the name of a variable


@click.group()
def realtime() -> None:
    """Realtime sessions over WebRTC: a key for a browser, a call, its end."""


@realtime.command(short_help="Make a short-lived key for a browser.")
@click.option("--model", metavar="PROVIDER/MODEL", help="Who is called with it.")
@click.option(
    "--session", "what", callback=json_document(dict, text=True), metavar="FILE.json|JSON", help="The session."
)
@click.option("--expires-after", type=click.IntRange(10, 7200), metavar="SECONDS", help="How long it is good for.")
@click.option("--voice", metavar="NAME", help="How the model sounds; goes into the session.")
@click.option("--instructions", metavar="TEXT", help="How the model answers; goes into the session.")
@calls_a_provider
def mint(
    session: Session,
    model: str | None,
    what: dict[str, Any] | None,
    expires_after: int | None,
    voice: str | None,
    instructions: str | None,
) -> None:
    """Make an ephemeral key: a browser may open a session with it, and needs no other key.

    It can open several sessions until it expires; a session goes on after that.

    \b
    Examples:
      callsheet realtime mint --voice marin --instructions "You are a friendly guide."
      callsheet realtime mint --session '{"type": "realtime", "output_modalities": ["text"]}' --expires-after 60
      callsheet realtime mint --quiet > key.txt
    """
    with session.client(model) as client:
        secret = client.mint_realtime_secret(
            session=_session(what, voice, instructions),
            expires_after=expires_after,
            model=model,
            provider=session.provider,
        )
    if session.json:
        print_json(secret.wire())
        return
    if session.quiet:
        click.echo(secret.value)
        return
    told = secret.session or {}
    left = max(0, round(secret.expires_at - time.time()))
    facts(
        {
            "secret": secret.value,
            "expires": f"{moment(secret.expires_at)} (in {left} s)",
            "provider": secret.meta.provider,
            "model": told.get("model"),
            "session": told.get("id"),
        }
    )
    say(
        f"Next: {SECRET}=... {session.command('realtime', 'call', 'OFFER.sdp', provider=secret.meta.provider if model else None)}"
    )


@realtime.command(short_help="Bring an SDP offer to a provider.")
@click.argument("offer", type=click.File("rb"), metavar="OFFER.sdp")
@click.option("--model", metavar="PROVIDER/MODEL", help="Who is called.")
@click.option(
    "--session", "what", callback=json_document(dict, text=True), metavar="FILE.json|JSON", help="The session."
)
@click.option("--secret-file", type=click.File("r"), metavar="FILE", help=f"Has an ephemeral key; so may {SECRET}.")
@click.option("--answer", type=click.Path(path_type=Path), metavar="FILE", help="Where to write the SDP answer.")
@click.option(
    "--hold/--no-hold",
    default=None,
    help="Stay until Ctrl-C, and hang up then; the default where the call is answered inside this command.",
)
@force_option
@calls_a_provider
def call(
    session: Session,
    offer: IO[bytes],
    model: str | None,
    what: dict[str, Any] | None,
    secret_file: IO[str] | None,
    answer: Path | None,
    hold: bool | None,
    force: bool,
) -> None:
    """Bring a browser's SDP offer (a file, or - for standard input) to the provider; print its answer, byte for byte.

    With an ephemeral key the call is made in its name, else with the account's own key and the --session that is
    wanted. An embedded provider answers inside this command, so it stays until Ctrl-C, which hangs up and ends
    with 0; calls at other providers go on without it.

    \b
    Examples:
      callsheet realtime call offer.sdp --answer answer.sdp --no-hold
      callsheet realtime call - --no-hold < offer.sdp | wc -c
      callsheet realtime mint --quiet > key.txt
      callsheet realtime call offer.sdp --secret-file key.txt --no-hold --json
    """
    check_target(answer, force)
    secret = (secret_file.read() if secret_file else os.environ.get(SECRET, "")).strip() or None
    if secret and what is not None:
        raise click.UsageError("the ephemeral key says already what the session is: leave --session out")
    with session.client(model) as client:
        made = client.relay_sdp(
            sdp=offer.read(), session=what, ephemeral_key=secret, model=model, provider=session.provider
        )
        _show(session, made, answer.expanduser() if answer else None)
        provider = made.meta.provider
        embedded = provider is not None and client.accounts.registry.provider(provider).embedded
        if embedded if hold is None else hold:
            _hold(client, session, made)
        elif embedded and not session.quiet:
            say("The call was answered inside this command and has ended with it; --hold keeps it.")
        elif made.id and not session.quiet:
            say(f"Hang up with: {session.command('realtime', 'hangup', made.id)}")


@realtime.command(short_help="End a call.")
@click.argument("id")
@calls_a_provider
def hangup(session: Session, id: str) -> None:
    """End the call ID. One that an embedded provider answered ends with the command that holds it.

    \b
    Example:
      callsheet realtime hangup $CALL
    """
    with session.client() as client:
        client.hang_up(call_id=id, provider=session.provider)
    if session.json:
        print_json({"id": id, "hung_up": True})
    else:
        click.echo(id if session.quiet else f"hung up {id}")


def _session(what: dict[str, Any] | None, voice: str | None, instructions: str | None) -> dict[str, Any] | None:
    """The session, with what the options say of it; None where nothing is said."""
    if what is None and voice is None and instructions is None:
        return None
    session: dict[str, Any] = {"type": "realtime", **copy.deepcopy(what or {})}
    if instructions is not None:
        session["instructions"] = instructions
    if voice is not None:
        if session["type"] != "realtime":
            raise click.UsageError(f"--voice: a session of type {session['type']!r} does not speak")
        _inner(_inner(session, "audio"), "output")["voice"] = voice
    return session


def _inner(document: dict[str, Any], name: str) -> dict[str, Any]:
    inner: object = document.setdefault(name, {})
    if not isinstance(inner, dict):
        raise click.UsageError(f"--session: {name} must be an object, not {type(inner).__name__}, to hold the --voice")
    return inner


def _show(session: Session, made: RealtimeCall, answer: Path | None) -> None:
    if answer is not None:
        answer.write_bytes(made.sdp)
    if session.json:
        print_json(
            {"id": made.id, "sdp": made.sdp.decode("utf-8", "replace")} | ({"file": str(answer)} if answer else {})
        )
    elif answer is None:
        sys.stdout.buffer.write(made.sdp)  # as bytes: its lines end in CRLF, everywhere
        sys.stdout.buffer.flush()
        if not session.quiet:
            say(f"call: {made.id or 'the provider does not say its id'}")
    elif session.quiet:
        click.echo(made.id or "")
    else:
        facts({"call": made.id, "provider": made.meta.provider, "answer": str(answer)})


def _hold(client: Client, session: Session, made: RealtimeCall) -> None:
    """Stay until Ctrl-C, then hang up. That is how this command is meant to end: no error."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what `timeout` and service managers send
    if not session.quiet:
        say("The call lasts until Ctrl-C, which hangs up.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        ended = "hung up"
        if made.id:
            try:
                client.hang_up(call_id=made.id, provider=session.provider)
            except NotFoundError:
                ended = "the other side had hung up already"
        if not session.quiet:
            say(ended)
