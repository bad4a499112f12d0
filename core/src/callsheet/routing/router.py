"""The way of a call: ids say which account, or the model does; the hook runs there; ids are managed on the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from callsheet.account import Account
from callsheet.errors import (
    APIError,
    BadRequestError,
    CallsheetError,
    ConfigurationError,
    NotFoundError,
    PluginError,
    without_secrets,
)
from callsheet.ids import IdCodec, ManagedId
from callsheet.io import IO, Transport, new_idempotency_key
from callsheet.models.base import IdKind, Meta, OperationRequest
from callsheet.models.video import Video
from callsheet.operations import OPERATIONS
from callsheet.routing.accounts import Accounts
from callsheet.routing.budget import RetryBudget
from callsheet.routing.record import CallRecord
from callsheet.routing.retry import with_retries
from callsheet.routing.rewrite import replace_ids, with_managed_ids
from callsheet.stream import Download, Stream

__all__ = ["Deployment", "Ids", "Router"]


@frozen
class Deployment:
    """Where a call goes: an account, and the model's name there.

    `rpm` and `tpm` are requests and tokens a minute, `max_parallel_requests` calls at once, `weight` its share among the
    deployments of one name: what a configuration says of them. None of them is enforced yet. `info` is the user's own data.
    """

    account: Account
    model: str | None = None
    weight: float = field(default=1.0, kw_only=True)
    rpm: int | None = field(default=None, kw_only=True)
    tpm: int | None = field(default=None, kw_only=True)
    max_parallel_requests: int | None = field(default=None, kw_only=True)
    info: Mapping[str, Any] = field(factory=dict, kw_only=True, eq=False, repr=False)


class Ids(Protocol):
    """What makes and reads managed ids: an `IdCodec`, or what stands before several of them."""

    def encode(self, kind: IdKind, account: bytes, upstream: str) -> str: ...

    def decode(self, id: str, kind: IdKind) -> ManagedId: ...


@define(eq=False)
class Router:
    """Routes calls of any kind to accounts. Knows nothing of sync and async: the transport decides that."""

    accounts: Accounts
    ids: IdCodec
    default_model: str | None = None
    default_provider: str | None = None
    models: dict[str, Deployment] = Factory(dict)
    """The configured model names. Where the accounts are `configured_only` there are no others."""
    _budgets: dict[tuple[str, str | None], RetryBudget] = field(factory=dict, init=False, repr=False)

    async def call(
        self,
        name: str,
        request: OperationRequest,
        transport: Transport,
        *,
        provider: str | None = None,
        timeout: float | None = None,
        ids: Ids | None = None,
        record: CallRecord | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Any:
        """Do an operation: `name` is the hook's. `request.model` is what the caller says, `provider` a name or account id.

        `timeout` is in seconds, for all attempts together; None means the account's own setting. `ids` reads and makes
        this caller's ids, where several tenants share a router; None means the router's own. `record` takes down what
        becomes of the call. `wanted` is asked before each attempt but the first, whether anybody still wants the result.
        """
        operation, record = OPERATIONS[name], record or CallRecord()
        known: dict[str, str] = {}
        codec: Ids = self.ids if ids is None else ids
        home, request = self._resolve_ids(request, provider, known, codec)
        deployment = self._deployment(request.model, provider, home, operation.takes_model)
        request = (
            request.model_copy(update={"model": deployment.model}) if deployment.model != request.model else request
        )
        account = deployment.account
        record.provider, record.account, record.model = account.provider, account.id, deployment.model
        dispatcher = self.accounts.dispatcher(account)
        if name not in dispatcher.operations:
            dispatcher.require(name, self.accounts.offering(name))
        deadline = time.monotonic() + (account.settings.timeout if timeout is None else timeout)

        budget = self._budgets.setdefault((account.id, request.model), RetryBudget())

        idempotency_key = new_idempotency_key()

        def new_io() -> IO:
            return IO(account, dispatcher.provider, operation, transport, deadline, idempotency_key)

        async def attempt(io: IO) -> Any:
            record.attempts, began = io.meta.attempts, time.monotonic()
            try:
                result = await dispatcher.call(name, request, io)
            finally:
                record.seconds += time.monotonic() - began
            io.hand_out()
            return self._finished(result, io, account, codec)

        try:
            return await with_retries(operation, request, new_io, attempt, budget, wanted)
        except CallsheetError as error:
            error.provider = error.provider or account.provider
            _say_managed_ids(error, known)
            raise

    def _finished(self, result: Any, io: IO, account: Account, ids: Ids) -> Any:
        kind = io.operation.result
        if not isinstance(result, Stream | (type(None) if kind is None else kind)):
            raise PluginError(
                f"{io.operation.name} of provider '{account.provider}' returned {type(result).__name__}; it must return"
                f" {'None' if kind is None else kind.__name__}: this is a bug of the plugin",
                provider=account.provider,
            )
        # Some servers send documents with empty ids, which stand for nothing.
        result = with_managed_ids(
            result, lambda id, kind: ids.encode(kind, account.tag, id) if id or kind != "resp" else id
        )
        if isinstance(result, Stream | Download):
            result.hide(io.secrets())
        if isinstance(result, Video) and result.error is not None:  # `wait` makes an exception of it
            result.error.message = without_secrets(result.error.message, io.secrets())
            result.error.code = without_secrets(result.error.code, io.secrets())
        if isinstance(result, Stream) and io.operation.billable:
            result.tap(on_end=_say_it_was_begun)
        if isinstance(meta := getattr(result, "meta", None), Meta):
            result.meta = _merged(meta, io.meta, account)
        return result

    def _resolve_ids(
        self, request: OperationRequest, provider: str | None, known: dict[str, str], ids: Ids
    ) -> tuple[Account | None, OperationRequest]:
        """The account that the request's ids belong to, if it holds any, and the request with the provider's own ids.

        `known` takes the managed id of each of them.
        """
        homes: dict[str, Account] = {}

        def upstream(id: str, kind: IdKind) -> str:
            try:
                managed = ids.decode(id, kind)
            except NotFoundError:
                if provider is None:
                    raise
                homes.setdefault(provider, self.accounts.of_provider(provider))
                return id  # the provider's own id: the caller said whose
            account = self.accounts.by_tag(managed.account)
            homes[account.id] = account
            known[managed.upstream] = id
            return managed.upstream

        resolved = replace_ids(request, upstream)
        accounts = list({account.id: account for account in homes.values()}.values())
        if len(accounts) > 1:
            places = " and ".join(sorted(f"{account.provider} ({account.id})" for account in accounts))
            raise BadRequestError(
                f"what the request refers to lives at different accounts: {places}; one call goes to one account",
                code="ids_at_different_accounts",
            )
        return (accounts[0] if accounts else None), resolved

    def _deployment(
        self, model: str | None, provider: str | None, home: Account | None, takes_model: bool
    ) -> Deployment:
        """The deployment that is meant.

        First the account of the request's ids, which what the caller names must not contradict; then what the caller
        names; then the client's default, whose model is filled in where the operation takes one; then the only
        configured account, or the embedded provider's.
        """
        named, upstream = self.named(model, provider)
        if home is not None and named is not None and named.id != home.id:
            said = f"model '{model}'" if provider is None else f"provider '{provider}'"
            raise BadRequestError(
                f"{said} is at account {named.provider} ({named.id}), but what the request refers to lives at"
                f" {home.provider} ({home.id}); leave it out, or name a model of {home.provider}",
                param="model",
                code="ids_at_different_accounts",
            )
        account = home or named
        if account is None or upstream is None:
            preferred, preferred_model = self.named(self.default_model, self.default_provider)
            account = account or preferred or self._default()
            if upstream is None and takes_model and (preferred is None or preferred.id == account.id):
                upstream = preferred_model
        return Deployment(account, upstream)

    def _default(self) -> Account:
        """The account of a call that names nothing, where there is but one that can be meant."""
        if self.accounts.configured_only and len({deployment.account.id for deployment in self.models.values()}) > 1:
            names = ", ".join(self.models)
            raise BadRequestError(f"say which model is meant; there are: {names}", param="model", code="missing_model")
        return self.accounts.default()

    def named(self, model: str | None, provider: str | None = None) -> tuple[Account | None, str | None]:
        """What `provider` and a model name such as `provider/model` say: an account, if any, and the model's name there."""
        if provider is not None:
            account = self.accounts.of_provider(provider)
            prefixes = (f"{provider}/", f"{account.provider}/")
            upstream = next((model[len(p) :] for p in prefixes if model and model.startswith(p)), model)
            return account, upstream or None
        if model is not None and (configured := self.models.get(model)) is not None:
            return configured.account, configured.model
        if model is not None and self.accounts.configured_only:
            raise NotFoundError(
                f"there is no model {model!r:.80} here; there are: {', '.join(self.models) or 'none'}",
                code="model_not_found",
                param="model",
            )
        if model is None or "/" not in model:
            return None, model
        prefix, _, rest = model.partition("/")
        if not self.accounts.is_name(prefix) and (self.default_provider or self.default_model not in {None, model}):
            return None, model  # a model name with a slash, at the client's own provider
        if not rest:
            raise ConfigurationError(f"model '{model}' names no model: '{prefix}/' must be followed by one")
        return self.accounts.of_provider(prefix), rest


def _say_managed_ids(error: CallsheetError, known: dict[str, str]) -> None:
    """Let an error speak of the ids that the caller knows. Very short ones could be parts of words."""
    for upstream, managed in known.items():
        if len(upstream) >= 8 and upstream in error.message:
            error.message = error.message.replace(upstream, managed)
            error.args = (error.message, *error.args[1:])


def _say_it_was_begun(error: BaseException | None) -> None:
    """A stream that breaks has been paid for, up to where it broke: whoever asks again pays again."""
    if isinstance(error, APIError):
        error.should_retry = False


def _merged(said: Meta, seen: Meta, account: Account) -> Meta:
    """What the provider said of its result, and what io saw where it said nothing."""
    return Meta(
        provider=account.provider,
        account=account.id,
        request_id=said.request_id or seen.request_id,
        poll_after=seen.poll_after if said.poll_after is None else said.poll_after,
        attempts=seen.attempts,
        limits=said.limits or seen.limits,
    )
