"""What a deployment's calls cost: by the operator's own prices, else by the vendor's."""

from __future__ import annotations

import logging

from attrs import define, field

from callsheet import ConfigurationError, UnknownProvider
from callsheet.account import Account
from callsheet.models.base import OperationRequest
from callsheet.pricing import Price, PriceBook
from callsheet.pricing.book import undated
from callsheet.routing import Deployment, Router
from callsheet.urls import origin

__all__ = ["Prices"]

log = logging.getLogger("callsheet.gateway")
_KEPT = 1024
_MOST_WARNED = 1024
_Key = tuple[str, str | None]


@define(eq=False)
class Prices:
    """The prices of a router's deployments."""

    router: Router
    _book: PriceBook = field(init=False)
    _own: dict[_Key, Price | None] = field(factory=dict, init=False)
    _warned: set[_Key] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._book = PriceBook(self.router.accounts.registry)

    def of(self, deployment: Deployment) -> Price | None:
        """A deployment's. None if it is not known."""
        if not deployment.prices and not deployment.info:
            configured = self._configured(deployment.account.id, deployment.model)
            if configured is None:
                return self._published(deployment.account, deployment.model)
            deployment = configured
        if deployment.prices and (own := self._stated(deployment)) is not None:
            return own
        return self._vendors(deployment)

    def repriced(self, provider: str, request: OperationRequest) -> bool:
        """Whether a request says something by which its vendor charges another price."""
        return self._book.repriced(provider, request)

    def at(self, provider: str | None, account: str | None, model: str | None) -> Price | None:
        """What a model costs at an account, by their names."""
        if provider is None:
            return None
        if account is not None and (configured := self._configured(account, model)) is not None:
            return self.of(configured)
        try:
            found = self.router.accounts.of_provider(account or provider)
        except (ConfigurationError, UnknownProvider):  # it was taken out of the configuration since
            return self._book.price(provider, model)
        return self._published(found, model)

    def of_another(self, provider: str | None, account: str | None, ours: str, said: str) -> Price | None:
        """What a model costs that a provider says it works with. None where that is only another name for ours.

        A model with prices of the operator's may go by a name that he gave it, of which the provider knows nothing: there
        only what he has priced himself is another one.
        """
        if said == ours or undated(said) == ours or account is None:
            return None
        other = self._configured(account, said)
        if self._configured(account, ours) is not None and other is None:
            return None
        return self.at(provider, account, said) if other is None else self.of(other)

    def _vendors(self, deployment: Deployment) -> Price | None:
        base = deployment.info.get("base_model")
        return self._published(deployment.account, deployment.model, base if isinstance(base, str) and base else None)

    def _published(self, account: Account, model: str | None, base_model: str | None = None) -> Price | None:
        """The vendor's own price: good at the vendor's own address, or where the configuration says what a model is there."""
        usual = type(account.settings).model_fields["base_url"].default
        elsewhere = usual is not None and origin(account.settings.base_url or usual) != origin(usual)
        if elsewhere and base_model is None:
            return None  # a server that speaks the vendor's wire: what it costs is its owner's to say
        return self._book.price(account.provider, model, base_model)

    def missing(self, provider: str | None, model: str | None) -> None:
        """Say, once of each model, that its calls are not priced."""
        key = provider or "", model
        if key in self._warned or len(self._warned) >= _MOST_WARNED:  # callers choose names, where a * lets them
            return
        self._warned.add(key)
        log.warning(
            "what %r costs at provider %r is not known: its calls are counted without a price, and who has a budget can't"
            " make them."
            " Set its prices in the configuration: docs/prices.md",
            f"{model:.80}" if model else model,
            provider,
        )

    def _configured(self, account: str, model: str | None) -> Deployment | None:
        """What the configuration says of a model that a call names by itself, with prices or what they are found by."""
        name = self.router.models.name_of(account, model)
        found = self.router.at(account, name) if name is not None else None
        return found if found is not None and (found.prices or found.info) else None

    def _stated(self, deployment: Deployment) -> Price | None:
        key = deployment.account.id, deployment.model
        if key not in self._own:
            if len(self._own) >= _KEPT:
                self._own.clear()
            try:
                own = Price.of_fields(deployment.prices)
                published = self._vendors(deployment)
                # What a model takes at most, and what it makes where a request leaves it open, is no matter of prices.
                self._own[key] = own if own is None or published is None else own.with_limits_of(published)
            except ValueError as error:  # said in a program: a file was checked
                log.warning("the prices of %r are not understood: %s", deployment.model, error)
                self._own[key] = None
        return self._own[key]
