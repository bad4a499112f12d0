"""Entra ID tokens: asked for when needed, kept, and renewed before they expire.

Nothing of `azure-identity` is imported here: any function that returns a token will do, and any object with
`get_token(scope)`, which is what its credentials are.
"""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable
from typing import Any

from attrs import define, field

from callsheet import IO, CallsheetError, ConfigurationError, MissingCredentials

__all__ = ["EntraToken", "default_credential", "is_async"]

EARLY = 300.0
"""Seconds before its end in which a token is renewed; while that fails, the old one serves on."""


def is_async(source: object) -> bool:
    """Whether a function, or a credential's get_token, has to be awaited."""
    functions = (source, getattr(source, "get_token", None), type(source).__dict__.get("__call__"))
    return any(inspect.iscoroutinefunction(function) for function in functions)


def default_credential() -> Any:
    """azure-identity's DefaultAzureCredential. ConfigurationError when it is not installed."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise ConfigurationError('entra=true needs azure-identity: pip install "callsheet-azure[entra]"') from None
    return DefaultAzureCredential()


@define(eq=False)
class EntraToken:
    """One account's token. `source` gives it, for `scope`."""

    source: Any = field(repr=False)
    scope: str
    _token: str = field(default="", init=False, repr=False)
    _expires: float = field(default=0.0, init=False)
    _asking: bool = field(default=False, init=False)

    async def current(self, io: IO) -> str:
        """A token that is still good. Raises MissingCredentials when there is none to be had."""
        while self._asking and io.now() >= self._expires - EARLY:
            await io.sleep(0.01)  # somebody else asks already
        if io.now() < self._expires - EARLY:
            return self._token
        self._asking = True
        try:
            token, expires = _read(await self._ask(io))
        except Exception as error:
            if io.now() < self._expires:
                return self._token
            if isinstance(error, CallsheetError):
                raise
            raise MissingCredentials(
                f"no Entra token: token_provider failed with {type(error).__name__}: {error!s:.300}",
                provider=io.account.provider,
            ) from error
        finally:
            self._asking = False
        if expires is not None and expires <= io.now():
            raise MissingCredentials(
                f"the Entra token that token_provider returned expired {io.now() - expires:.0f} s ago; it must return a"
                " fresh one (and this machine's clock must be right)",
                provider=io.account.provider,
            )
        self._token, self._expires = token, expires or 0.0
        return token

    def forget(self) -> None:
        """Ask anew next time: the service did not take the one that was kept."""
        self._token, self._expires = "", 0.0

    async def _ask(self, io: IO) -> Any:
        function: Callable[..., Any] = getattr(self.source, "get_token", None) or self.source
        arguments = [self.scope] if _takes_scope(function) else []
        if is_async(self.source):
            return await function(*arguments)
        answer = await io.run(function, *arguments)
        return await answer if inspect.isawaitable(answer) else answer


def _takes_scope(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins may have none
        return False
    return any(p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL} for p in parameters)


def _read(answer: Any) -> tuple[str, float | None]:
    """The token, and when it expires (Unix time); None if it does not say. azure-identity's AccessToken has both."""
    token = getattr(answer, "token", answer)
    if not isinstance(token, str) or not token.strip():
        raise MissingCredentials(f"no Entra token: token_provider returned {type(answer).__name__} instead of a text")
    expires = getattr(answer, "expires_on", None)
    return token.strip(), float(expires) if isinstance(expires, int | float) else _expiry(token)


def _expiry(token: str) -> float | None:
    """What a JWT says of its end. Whether it is genuine is for the service to find out."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None
