"""Where a call is meant to go: what the ids in it say, or the names, or what the client was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from attrs import define, field

from callsheet.account import Account
from callsheet.errors import BadRequestError, ConfigurationError, NotFoundError
from callsheet.ids import IdCodec, ManagedId
from callsheet.models.base import IdKind, OperationRequest
from callsheet.operations import Operation
from callsheet.registry import offered_hooks
from callsheet.routing.accounts import Accounts
from callsheet.routing.deployment import Deployment
from callsheet.routing.group import Group
from callsheet.routing.models import Models
from callsheet.routing.rewrite import replace_ids
from callsheet.routing.route import Route, Target
from callsheet.routing.usage import estimated_tokens

__all__ = ["Directory", "Ids"]


class Ids(Protocol):
    """What makes and reads managed ids: an `IdCodec`, or what stands before several of them."""

    def encode(self, kind: IdKind, account: bytes, upstream: str) -> str: ...

    def decode(self, id: str, kind: IdKind) -> ManagedId: ...


@define(eq=False)
class Directory:
    """The accounts, the model names, and what is meant where a call names nothing."""

    accounts: Accounts
    ids: IdCodec
    default_model: str | None = None
    default_provider: str | None = None
    models: Models = field(factory=Models)
    """The configured model names. Where the accounts are `configured_only` there are no others."""
    _offering: dict[tuple[str, str], bool] = field(factory=dict, init=False, repr=False)

    def resolve_ids(
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

    def route(
        self,
        operation: Operation,
        request: OperationRequest,
        provider: str | None,
        home: Account | None,
        targets: Sequence[str] | None,
    ) -> Route:
        """Where the call may go.

        First comes the account of the request's ids, which what the caller names must not contradict; then what the caller
        names; then the client's default, whose model is filled in where the operation takes one; then the only
        configured account, or the embedded provider's.
        """
        name = request.model
        if provider is None:
            for said in (name or "", *(targets or ())):
                if "*" in said:
                    raise NotFoundError(
                        f"there is no model {said!r:.80}: a * stands for names, and is none",
                        code="model_not_found",
                        param="model" if said == name else "target_model_names",
                    )
        if targets:
            if name is not None or provider is not None:
                raise BadRequestError(
                    "target_model_names are given in the place of a model or a provider: leave one of them out",
                    param="target_model_names",
                )
            found = [self.models.find(target) for target in targets]
            if all(target is not None for target in found):
                groups = [target for target in found if target is not None]
                return self._grouped(operation, request, (self._united(groups), None), ", ".join(targets), home)
            if len(targets) > 1:
                raise BadRequestError(
                    "target_model_names: several names are for models of a configuration; here each call names one",
                    param="target_model_names",
                )
            name = targets[0]
        if provider is None and name is not None and (target := self.models.find(name)) is not None:
            return self._grouped(operation, request, target, name, home)
        named, upstream = self.named(name, provider)
        if home is not None and named is not None and named.id != home.id:
            raise _apart(f"model '{name}'" if provider is None else f"provider '{provider}'", [named], home)
        account = home or named
        if account is None or upstream is None:
            default = self.models.find(self.default_model) if self.default_model else None
            if default is None or self.default_model is None:
                preferred, preferred_model = self.named(self.default_model, self.default_provider)
            elif account is None:
                return self._grouped(operation, request, default, self.default_model, None)
            else:
                known = self.at(account.id, self.default_model)
                preferred, preferred_model = (known.account, known.model) if known else (None, None)
            account = account or preferred or self._default()
            if upstream is None and operation.takes_model and (preferred is None or preferred.id == account.id):
                upstream = preferred_model
        return Route([], [name] if name else [], fixed=Deployment(account, upstream))

    def _united(self, targets: list[Target]) -> Group:
        if len(targets) == 1 and targets[0][1] is None:
            return targets[0][0]
        if any(part is not None for _, part in targets):
            raise BadRequestError(
                "target_model_names: each must be a model's full name in the configuration, not one that a * stands for",
                param="target_model_names",
            )
        return self.models.union([group for group, _ in targets])

    def _grouped(
        self, operation: Operation, request: OperationRequest, target: Target, name: str, home: Account | None
    ) -> Route:
        """A route through a group, or through its part at the account where what the request refers to lives."""
        targets, only, at = [target], None, target[0].accounts
        if home is not None:
            only = home.id
            if home.id not in at:
                raise _apart(f"model '{name}'", [*at.values()], home)
            if not self._offers(home.provider, operation.name):
                return Route([], (name,), fixed=Deployment(home, request.model))  # which says that it can't
        else:
            after = self.models.routing.fallbacks.after((name, target[0].name))
            others = (found for each in after if (found := self._found(operation.name, each)) is not None)
            targets += [(group, part) for group, part in others if (group.name, part) != (target[0].name, target[1])]
            stays = _what_lives_somewhere(request)
            # An ephemeral key may have been minted wherever the name leads.
            reach = (
                {id: each for group, _ in targets for id, each in group.accounts.items()}
                if stays == "ephemeral_key"
                else at
            )
            if stays is not None and len(reach) > 1:
                raise _lives_somewhere(stays, name, reach)
            looks = not operation.billable and not operation.takes_model
            if looks and len(at) > 1:
                raise BadRequestError(
                    f"the model {name!r:.80} is at several accounts; say which is meant: {_choices(at)}", param="model"
                )
            if stays is not None or looks:
                only = next(iter(at))
        able = self._able(operation.name, target)
        targets = [target] if able is None else [able, *targets[1:]]  # the first place there is will say that it can't
        tokens = estimated_tokens(request) if any(group.counts_tokens for group, _ in targets) else 0
        return Route(targets, (name, target[0].name), only, tokens, find=partial(self._found, operation.name))

    def _found(self, operation: str, name: str) -> Target | None:
        """What a name means, as far as it does an operation."""
        found = self.models.find(name)
        return None if found is None else self._able(operation, found)

    def _able(self, operation: str, target: Target) -> Target | None:
        """A group without the deployments whose provider does not do an operation; None if none does."""
        group, part = target
        fit = group.part(operation, lambda backend: self._offers(backend.deployment.account.provider, operation))
        return None if fit is None else (fit, part)

    def _offers(self, provider: str, operation: str) -> bool:
        if (known := self._offering.get((provider, operation))) is None:
            offered = offered_hooks(self.accounts.registry.provider(provider), provider)
            known = self._offering[provider, operation] = operation in offered
        return known

    def _default(self) -> Account:
        """The account of a call that names nothing, where there is but one that can be meant."""
        if self.accounts.configured_only and len({one.deployment.account.id for one in self.models.backends()}) > 1:
            names = ", ".join(self.models)
            raise BadRequestError(f"say which model is meant; there are: {names}", param="model", code="missing_model")
        return self.accounts.default()

    def at(self, account: str, model: str) -> Deployment | None:
        """What a model's name means at an account, given by its id; None for nothing."""
        if model in self.models:
            return next((one for one in self.models.deployments(model) if one.account.id == account), None)
        named, upstream = self.named(model)
        return Deployment(named, upstream) if named is not None and named.id == account else None

    def named(self, model: str | None, provider: str | None = None) -> tuple[Account | None, str | None]:
        """What `provider` and a model name such as `provider/model` say: an account, if any, and the model's name there."""
        if provider is not None:
            account = self.accounts.of_provider(provider)
            prefixes = (f"{provider}/", f"{account.provider}/")
            upstream = next((model[len(p) :] for p in prefixes if model and model.startswith(p)), model)
            return account, upstream or None
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


def _what_lives_somewhere(request: OperationRequest) -> str | None:
    """The field by which a request refers to what is at one account only, nobody knows at which."""
    fields = request.__dict__  # a model without a field takes long to say so
    for name in ("ephemeral_key", "conversation"):
        if fields.get(name) is not None:
            return name
    return "file_id" if getattr(fields.get("input_reference"), "file_id", None) is not None else None


def _lives_somewhere(param: str, name: str, at: Mapping[str, Account]) -> BadRequestError:
    if param == "ephemeral_key":
        return BadRequestError(
            f"an ephemeral key is good where it was minted, and the model {name!r:.80} is at several accounts: say which by"
            f" provider=secret.meta.account. There are: {_choices(at)}",
            param=param,
        )
    return BadRequestError(
        f"{param}: it lives at one account, and the model {name!r:.80} is at several: name a model that is at one, or"
        f" say which: {_choices(at)}",
        param=param,
    )


def _choices(at: Mapping[str, Account]) -> str:
    return ", ".join(f"provider='{account}'" for account in at)


def _apart(said: str, at: Sequence[Account], home: Account) -> BadRequestError:
    """The refusal where what the caller names and what the request refers to are at different accounts."""
    places = " and ".join(dict.fromkeys(f"{account.provider} ({account.id})" for account in at))
    return BadRequestError(
        f"{said} is at account {places}, but what the request refers to lives at {home.provider} ({home.id}); leave it"
        f" out, or name a model of {home.provider}",
        param="model",
        code="ids_at_different_accounts",
    )
