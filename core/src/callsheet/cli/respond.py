"""`callsheet respond`: ask a model. What is done with responses later is in `response`."""

from __future__ import annotations

import sys
from typing import Any

import click

from callsheet.cli.documents import json_document
from callsheet.cli.options import Session, calls_a_provider
from callsheet.cli.output import print_json, say
from callsheet.cli.response import complain, show
from callsheet.cli.speech import Speaker, tell_events, tell_items
from callsheet.client import Client

__all__ = ["respond"]


@click.command(short_help="Ask a model, and read the answer as it comes.")
@click.argument("prompt", nargs=-1)
@click.option("--model", metavar="PROVIDER/MODEL", help="Who answers.")
@click.option("--instructions", metavar="TEXT", help="How it shall answer; not remembered for the next turn.")
@click.option("--previous", metavar="ID", help="The response that this goes on from.")
@click.option("--input", "items", callback=json_document(list), metavar="FILE.json", help="Input items, before PROMPT.")
@click.option("--tools", callback=json_document(list), metavar="FILE.json", help="The tools that the model may call.")
@click.option("--max-output-tokens", type=click.IntRange(min=1), metavar="N", help="Stop after so many.")
@click.option("--background", is_flag=True, help="Leave at once; the provider goes on.")
@click.option(
    "--stream/--no-stream", default=None, help="Show the answer as it comes (the default), or when it is whole."
)
@calls_a_provider
def respond(
    session: Session,
    prompt: tuple[str, ...],
    model: str | None,
    items: list[Any] | None,
    background: bool,
    stream: bool | None,
    **options: Any,
) -> None:
    """Ask a model what PROMPT says; - stands for standard input. The answer goes to stdout, commentary to stderr.

    The response is kept by the provider: its id is printed, and --previous goes on from it. Ctrl-C closes the stream.

    \b
    Examples:
      callsheet respond "Write a Python function that checks if a number is prime."
      callsheet respond "What is in this report?" - < report.txt
      callsheet respond "And in French?" --previous $RESPONSE
      callsheet respond "Think it over" --background --quiet
      callsheet respond --input items.json --tools tools.json --json
    """
    if session.json and stream:
        raise click.UsageError("--json prints one document, when it is whole: it does not go with --stream")
    text = _text(prompt)
    if text is None and items is None:
        raise click.UsageError("say what to ask: PROMPT, - for standard input, or --input FILE.json")
    fields = {
        "input": _input(text, items),
        "instructions": options["instructions"],
        "previous_response_id": options["previous"],
        "tools": options["tools"],
        "max_output_tokens": options["max_output_tokens"],
        "background": background or None,
        "model": model,
        "provider": session.provider,
    }
    with session.client(model) as client:
        if stream is None:
            stream = not (session.json or background)
        document = _streamed(client, session, fields) if stream else _whole(client, session, fields)
    if not session.quiet and document.get("id") and document.get("store") is not False and not background:
        say(f"Go on with: {session.command('respond', '--previous', document['id'], 'PROMPT')}")
    complain(document)


def _streamed(client: Client, session: Session, fields: dict[str, Any]) -> dict[str, Any]:
    follow = ["--stream"] if fields["background"] else []
    says = "Go on with" if follow else "Look at what there is with"
    with client.responses(stream=True, **fields) as events:
        return tell_events(
            events,
            Speaker(quiet=session.quiet),
            lambda id: session.resumable("response", "get", id, *follow, says=says),
        )


def _whole(client: Client, session: Session, fields: dict[str, Any]) -> dict[str, Any]:
    response = client.responses(**fields)
    document: dict[str, Any] = response.wire()
    if session.json:
        print_json(document)
    elif fields["background"]:
        show(session, response)
        if not session.quiet:
            say(f"Next: {session.command('response', 'get', response.id or 'ID', '--stream')}")
    else:
        tell_items(response.output, Speaker(quiet=session.quiet))
    return document


def _text(words: tuple[str, ...]) -> str | None:
    """The prompt: the words, and what is on standard input in the place of -."""
    said = " ".join(word for word in words if word != "-")
    if "-" in words:
        if sys.stdin.isatty():
            say("reading standard input; Ctrl-D ends it")
        said = "\n\n".join(filter(None, [said, sys.stdin.read().rstrip("\n")]))
    return said or None


def _input(text: str | None, items: list[Any] | None) -> str | list[Any]:
    if items is None:
        return text or ""
    return [*items, {"type": "message", "role": "user", "content": text}] if text else items
