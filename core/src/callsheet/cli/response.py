"""`callsheet response`: what can be done with a response that is kept by its provider."""

from __future__ import annotations

from typing import Any

import click

from callsheet.cli.failures import FAILED, Failure
from callsheet.cli.options import Session, calls_a_provider
from callsheet.cli.output import facts, lines, moment, print_json, say
from callsheet.cli.speech import Speaker, tell_events, tell_items
from callsheet.models import Response

__all__ = ["complain", "response", "show"]


@click.group()
def response() -> None:
    """Responses that a provider keeps: look at, follow, cancel, delete."""


@response.command(short_help="Look at a response.")
@click.argument("id")
@click.option("--stream", is_flag=True, help="Follow it to its end, if it was begun with --background.")
@calls_a_provider
def get(session: Session, id: str, stream: bool) -> None:
    """Look at the response ID: how it stands, and what was answered. One that failed is shown, and is no error.

    \b
    Examples:
      callsheet response get $RESPONSE
      callsheet response get $RESPONSE --stream
    """
    if session.json and stream:
        raise click.UsageError("--json prints one document: it does not go with --stream")
    with session.client() as client:
        if stream:
            session.resumable("response", "get", id, "--stream")
            with client.get_response(response_id=id, stream=True, provider=session.provider) as events:
                complain(tell_events(events, Speaker(quiet=session.quiet), lambda _: None))
            return
        found = client.get_response(response_id=id, provider=session.provider)
    if session.json:
        print_json(found.wire())
        return
    if not session.quiet:
        show(session, found)
        if found.output:
            click.echo()
    tell_items(found.output, Speaker(quiet=session.quiet))


@response.command(short_help="Cancel a response that runs in the background.")
@click.argument("id")
@calls_a_provider
def cancel(session: Session, id: str) -> None:
    """Cancel the response ID, which was begun with --background and is not done yet.

    \b
    Example:
      callsheet response cancel $RESPONSE
    """
    with session.client() as client:
        found = client.cancel_response(response_id=id, provider=session.provider)
    if session.json:
        print_json(found.wire())
    else:
        show(session, found)


@response.command(short_help="Delete a response.")
@click.argument("id")
@calls_a_provider
def delete(session: Session, id: str) -> None:
    """Delete the response ID. There is no way back, and nothing can go on from it.

    \b
    Example:
      callsheet response delete $RESPONSE
    """
    with session.client() as client:
        gone = client.delete_response(response_id=id, provider=session.provider)
    if session.json:
        print_json(gone.wire())
    else:
        click.echo(gone.id or id if session.quiet else f"deleted {gone.id or id}")


@response.command(short_help="List what a response was asked.")
@click.argument("id")
@click.option("--limit", type=click.IntRange(1, 100), metavar="N", help="At most so many.")
@click.option("--order", type=click.Choice(["asc", "desc"]), help="Oldest or newest first.")
@click.option("--after", metavar="ITEM", help="Those after this item: the last id of the page before.")
@calls_a_provider
def items(session: Session, id: str, limit: int | None, order: Any, after: str | None) -> None:
    """List the input items of the response ID, those of the turns before it included.

    \b
    Examples:
      callsheet response items $RESPONSE
      callsheet response items $RESPONSE --order asc --json
    """
    with session.client() as client:
        page = client.list_input_items(response_id=id, limit=limit, order=order, after=after, provider=session.provider)
    if session.json:
        print_json(page.wire())
        return
    if session.quiet:
        click.echo("".join(f"{item.get('id', '')}\n" for item in page.data), nl=False)
        return
    lines(["id", "type", "role", "phase", "content"], [_row(item) for item in page.data])
    if page.has_more and page.data:
        last = page.get("last_id") or page.data[-1].get("id", "")
        say(f"More: {session.command('response', 'items', id, '--after', last)}")


def _row(item: dict[str, Any]) -> list[str]:
    content = item.get("content") or item.get("output") or item.get("arguments") or ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text") or f"({part.get('type')})") for part in content)
    text = " ".join(str(content).split())
    text = text if len(text) <= 60 else text[:57] + "..."
    return [item.get("id") or "", item.get("type") or "message", item.get("role") or "", item.get("phase") or "", text]


def show(session: Session, response: Response) -> None:
    """Print what there is to know of a response but its words."""
    if session.quiet:
        click.echo(response.id)
        return
    provider, usage, error = response.meta.provider, response.usage or {}, response.error or {}
    facts(
        {
            "id": response.id,
            "status": response.status,
            "error": f"{error.get('message')} ({error.get('code')})" if error else None,
            "model": f"{provider}/{response.model}" if response.model and provider else response.model,
            "previous": response.previous_response_id,
            "tokens": f"{usage.get('input_tokens')} in, {usage.get('output_tokens')} out" if usage else None,
            "created": moment(response.get("created_at")),
        }
    )


def complain(document: dict[str, Any]) -> None:
    """Say which functions the model wants called. Raises Failure for a response that failed or is incomplete."""
    for item in document.get("output") or []:
        if item.get("type") == "function_call":
            say(
                f"The model calls {item.get('name')}({item.get('arguments')}); answer with --previous and an --input of"
                f' [{{"type": "function_call_output", "call_id": "{item.get("call_id")}", "output": "..."}}]'
            )
    error, why = document.get("error") or {}, document.get("incomplete_details") or {}
    match document.get("status"):
        case "failed":
            code = f" ({error['code']})" if error.get("code") else ""
            raise Failure(
                f"the response failed: {error.get('message') or 'the provider does not say why'}{code}", FAILED
            )
        case "incomplete":
            raise Failure(f"the answer is incomplete: {why.get('reason') or 'the provider does not say why'}", FAILED)
        case "cancelled":
            raise Failure("the response was cancelled", FAILED)
