"""One provider instance in a plugin manager of its own: nobody else can answer for it. The only module that calls pluggy."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from types import SimpleNamespace
from typing import Any

from attrs import frozen
from pluggy import PluginManager
from pydantic import ValidationError

from callsheet.account import Account
from callsheet.errors import APIResponseValidationError, CallsheetError, UnsupportedOperation
from callsheet.io import IO
from callsheet.models.base import OperationRequest
from callsheet.registry import Call, Wrap, notes_of, offered_hooks
from callsheet.spec import HOOKS, Provider, hookimpl

__all__ = ["Dispatcher"]

Hook = Callable[[OperationRequest, IO], Awaitable[Any]]


@frozen(eq=False)
class Dispatcher:
    """Calls the hooks of one account's provider, through the wraps."""

    account: Account
    provider: Provider
    operations: frozenset[str]
    manager: PluginManager

    @classmethod
    def of(cls, account: Account, kind: type[Provider], wraps: Iterable[Wrap] = ()) -> Dispatcher:
        """Make the provider's instance for an account and register it. ProviderLoadError if it does not fit."""
        offered = offered_hooks(kind, account.provider)
        provider = kind(account.settings)
        manager = PluginManager("callsheet")
        manager.add_hookspecs(Provider)
        # Only the hooks are shown to pluggy: up to 1.6 it reads every property of what it is given.
        hooks = {name: _discreet(getattr(provider, name)) for name in offered}
        manager.register(SimpleNamespace(**hooks), account.provider)
        for wrap in reversed(list(wraps)):  # pluggy lets the last one registered go outermost
            manager.register(_around(wrap, account))
        return cls(account, provider, offered, manager)

    def call(self, operation: str, request: OperationRequest, io: IO) -> Coroutine[Any, Any, Any]:
        """The coroutine of one attempt. Raises UnsupportedOperation before anything happens."""
        self.require(operation)
        coroutine: Coroutine[Any, Any, Any] = getattr(self.manager.hook, operation)(request=request, io=io)
        return coroutine

    def require(self, operation: str, available_from: Iterable[str] = ()) -> None:
        """Raise UnsupportedOperation unless the provider implements the operation."""
        if operation not in self.operations:
            reason = notes_of(type(self.provider)).get(operation, "")
            raise UnsupportedOperation(self.account.provider, operation, available_from, reason)


def _discreet(hook: Hook) -> Hook:
    """The hook, whose errors hold no secret, whatever an upstream quotes: before any wrap gets to see them.

    An answer that does not fit is one that can't be read, in whichever way the adapter stumbles over it.
    """

    hook_owner = getattr(hook, "__self__", None)

    @functools.wraps(hook)
    async def discreet(request: OperationRequest, io: IO) -> Any:
        try:
            return await hook(request, io)
        except CallsheetError as error:
            error.hide(io.secrets())
            raise
        except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not isinstance(error.__cause__, StopIteration):
                raise  # a bug; the other kind is next() of something empty
            if isinstance(error, AttributeError) and error.obj is hook_owner:
                raise
            if not io.answered:  # it stumbled over what it was given, not over what came back
                raise
            odd = APIResponseValidationError(_what_is_odd(error, io), request_id=io.meta.request_id)
            odd.__cause__ = error  # here and not by `raise from`: hiding cuts off a cause that tells a secret
            odd.hide(io.secrets())
            raise odd  # noqa: B904

    return discreet


def _what_is_odd(error: Exception, io: IO) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in problem["loc"]) or "the whole"
        return f"the provider's answer is no {error.title}: {where}: {problem['msg']}"
    kind = type(error).__name__
    return f"the adapter of provider '{io.account.provider}' did not understand the answer ({kind})"


def _around(wrap: Wrap, account: Account) -> object:
    """A wrap as a pluggy plugin with one hook wrapper per operation.

    pluggy's own wrappers end before the coroutine starts; this one gives back a new coroutine around it.
    """

    def wrapper_of(operation: str) -> Callable[..., Any]:
        @hookimpl(wrapper=True, specname=operation)
        def wrapper(request: OperationRequest) -> Generator[None, Any, Any]:
            return _closing(wrap, Call(account.provider, account.id, operation, request), (yield))

        return wrapper

    return SimpleNamespace(**{operation: wrapper_of(operation) for operation in HOOKS})


async def _closing(wrap: Wrap, call: Call, result: Awaitable[Any]) -> Any:
    try:
        return await wrap(call, result)
    finally:
        result.close()  # type: ignore[attr-defined]  # a coroutine: a wrap may answer without ever awaiting it
