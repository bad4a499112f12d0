"""Entra ID tokens: asked for when needed, kept, and renewed before they expire.

Nothing of `azure-identity` is needed here: any function that returns a token will do, and any object with
`get_token(scope)`, which is what its credentials are.
"""

from __future__ import annotations

import base64
import inspect
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, evolve, field, frozen

from callsheet import IO, APITimeoutError, MissingCredentials

__all__ = ["EntraToken", "default_credential", "is_async"]

EARLY = 300.0
"""Seconds before its end in which a token is renewed; while that fails, the old one serves on."""
PAUSE = 30.0
"""Seconds between two attempts to renew a token that is still good."""
UNKNOWN = 60.0
"""Seconds for which a token is kept that does not say when it expires."""


def is_async(source: object) -> bool:
    """Whether a function, or a credential's get_token, has to be awaited."""
    functions = (source, getattr(source, "get_token", None), inspect.getattr_static(type(source), "__call__", None))
    return any(inspect.iscoroutinefunction(function) for function in functions)


def default_credential() -> Any:
    """azure-identity's DefaultAzureCredential. MissingCredentials when it is not installed."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise MissingCredentials('entra=true needs azure-identity: pip install "callsheet-azure[entra]"') from None
    return DefaultAzureCredential()


@frozen
class Token:
    """A token with the times (Unix, in seconds) from which it is renewed and is no longer good."""

    text: str = field(repr=False)
    renew: float
    expires: float


@define(eq=False)
class EntraToken:
    """One account's token. `source` gives it, for `scope`; without a source it is the DefaultAzureCredential."""

    source: Any = field(repr=False)
    scope: str
    _kept: Token | None = field(default=None, init=False)
    _asking: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _failures: int = field(default=0, init=False)
    _failure: str = field(default="", init=False, repr=False)
    _own: Any = field(default=None, init=False, repr=False)

    async def current(self, io: IO) -> str:
        """A token that is still good. Raises MissingCredentials when there is none to be had."""
        failures = self._failures
        while not self._asking.acquire(blocking=False):
            if (kept := self._kept) is not None and io.now() < kept.expires:
                return kept.text
            await io.sleep(0.01)
        try:
            kept = self._kept
            if kept is not None and io.now() < min(kept.renew, kept.expires):
                return kept.text
            if self._failures != failures:  # while this call waited for the answer
                raise MissingCredentials(self._failure)
            return (await self._renewed(io)).text
        finally:
            self._asking.release()

    def forget(self) -> None:
        """Ask anew next time: the service did not take the one that was kept."""
        self._kept = None

    def close(self) -> None:
        """Close the credential that was made here."""
        if self._own is not None:
            self._own.close()

    async def _renewed(self, io: IO) -> Token:
        try:
            token = _read(await self._ask(io), io.now())
        except APITimeoutError:
            raise  # one call's trouble; the next one may have more time
        except Exception as error:
            if (old := self._kept) is not None and io.now() < old.expires:
                self._kept = evolve(old, renew=io.now() + PAUSE)
                return old
            message = f"no Entra token: {error!s:.300}"
            if not isinstance(error, MissingCredentials):
                message = f"no Entra token: token_provider failed with {type(error).__name__}: {error!s:.300}"
            self._failures, self._failure = self._failures + 1, message
            raise MissingCredentials(message) from error
        self._kept = token
        return token

    async def _ask(self, io: IO) -> Any:
        if self.source is None:
            self.source = self._own = await io.run(default_credential)
        get_token = getattr(self.source, "get_token", None)
        function = get_token or self.source
        arguments = [self.scope] if get_token or _wants_scope(function) else []
        if is_async(self.source):
            return await _in_time(function(*arguments), io)
        # In a list: a thread of trio's must not return a coroutine as such.
        [answer] = await io.run(lambda: [function(*arguments)])
        if not inspect.isawaitable(answer):
            return answer
        if not getattr(io.transport, "blocking", False):
            return await _in_time(answer, io)
        try:
            return await answer  # there is no loop: it must not wait
        except RuntimeError as error:
            raise MissingCredentials(
                "token_provider returned a coroutine, for which a sync call can't wait: use AsyncClient, or a plain function"
            ) from error


async def _in_time(answer: Awaitable[Any], io: IO) -> Any:
    """Await it, for as long as the call has time."""
    import anyio

    with anyio.move_on_after(io.deadline - time.monotonic()):
        return await answer
    raise APITimeoutError("no Entra token: token_provider did not answer within the call's timeout", sent=False)


def _wants_scope(function: Callable[..., Any]) -> bool:
    """Whether a function can't be called without an argument, or has one of that name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins may have none
        return False
    by_position = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return any(p.default is p.empty or p.name == "scope" for p in by_position[:1])


def _read(answer: Any, now: float) -> Token:
    """The token, and when it expires: azure-identity's AccessToken says it, and so does a JWT."""
    text = getattr(answer, "token", answer)
    if not isinstance(text, str) or not text.strip():
        raise MissingCredentials(f"token_provider returned {type(answer).__name__} instead of a token")
    if len(text.split()) > 1:
        raise MissingCredentials("token_provider returned words: the token alone is wanted, without 'Bearer'")
    text = text.strip()
    said = getattr(answer, "expires_on", None)
    expires = float(said) if isinstance(said, int | float) else _expiry(text)
    if expires is None:
        return Token(text, now + UNKNOWN, now + UNKNOWN)
    if expires <= now:
        raise MissingCredentials(
            f"the one that token_provider returned expired {now - expires:.0f} s ago; it must return a fresh one (and this"
            " machine's clock must be right)"
        )
    return Token(text, max(expires - EARLY, now + PAUSE), expires)


def _expiry(token: str) -> float | None:
    """What a JWT says of its end. Whether it is genuine is for the service to find out."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
