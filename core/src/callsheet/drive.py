"""Running a coroutine that never waits: sync calls out of async code, with no event loop and no thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator
from typing import Any, TypeVar, cast

__all__ = ["finish", "step_through"]

T = TypeVar("T")


def finish(call: Awaitable[T]) -> T:
    """Run a call to its end in this thread. Its io blocks, so it has nothing to wait for.

    Raises RuntimeError when it waits for an event loop all the same: a hook may wait through `io` only.
    """
    coroutine = cast("Coroutine[Any, Any, T]", call if hasattr(call, "send") else call.__await__())
    try:
        coroutine.send(None)
        coroutine.throw(_refusal())  # where it waits: the traceback shows the line, and async generators are unwound
    except StopIteration as stop:
        return cast("T", stop.value)
    coroutine.close()
    raise _refusal()


def _refusal() -> RuntimeError:
    return RuntimeError(
        "the provider waits for an event loop, which a sync call does not have; all its waiting must go through io"
        " (or use AsyncClient)"
    )


def step_through(source: AsyncIterator[T]) -> Generator[T, None, None]:
    """Iterate an async iterator that never waits, and close it at the end."""
    try:
        while True:
            try:
                yield finish(source.__anext__())
            except StopAsyncIteration:
                return
    finally:
        if (close := getattr(source, "aclose", None)) is not None:
            finish(close())
