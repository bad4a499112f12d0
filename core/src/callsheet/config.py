"""What a configuration says: which accounts there are, and which model names stand for which model at which account.

    {"accounts": [{"provider": "acme", "id": "team-a", "api_key": "os.environ/ACME_KEY"}],
     "models": {"film": {"account": "team-a", "model": "film-1"}, "talk": ["team-a/talk-1", "acme/talk-0"]},
     "aliases": {"movie": "film"}, "routing": {"strategy": "priority", "fallbacks": {"talk": ["film"]}}}

    {"model_list": [{"model_name": "film", "litellm_params": {"model": "acme/film-1", "api_key": "os.environ/ACME_KEY"}}]}

The second shape is LiteLLM's. Several entries of one name are a group: see docs/routing.md for that, for names with a `*`,
and for what `routing` may say. Values of the form `os.environ/NAME` are read from the environment; what it lacks,
`environment_variables` may hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from callsheet.config_accounts import AccountMaker
from callsheet.config_routing import check_names, routing_of
from callsheet.config_values import Place, is_reference, resolved
from callsheet.errors import ConfigurationError
from callsheet.pricing.amounts import dollars
from callsheet.pricing.price import PRICE_FIELDS, Price
from callsheet.routing.accounts import Accounts
from callsheet.routing.deployment import LIMITS, Deployment
from callsheet.routing.models import Models

__all__ = ["LIMITS", "Config", "configure", "with_variables"]

Config = Mapping[str, Any]
_SECTIONS = ("accounts", "models", "model_list", "aliases", "routing", "environment_variables")
_THEIRS = ("general_settings", "litellm_settings", "router_settings", "callback_settings")
_ENTRY = ("model_name", "litellm_params", "model_info")
_BASE = "base_model"
_MODEL = ("account", "model", "info", *LIMITS, *PRICE_FIELDS)


def configure(accounts: Accounts, config: Config | None, environ: Mapping[str, str] | None = None) -> Models:
    """Add a configuration's accounts; return its model names with what they stand for.

    Raises ConfigurationError that says which entry is wrong, and how; its `at` says where.
    """
    if config is None:
        return Models()
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"a config is a mapping with model_list or accounts, not {type(config).__name__}")
    top = Place()
    for key in _THEIRS:
        if key in config:
            raise top.key(key).error("is LiteLLM's, and for its server: `callsheet serve --config FILE` reads it")
    top.known(config, _SECTIONS)
    environ = with_variables(config, environ)
    reading = _Reading(AccountMaker(accounts, environ), environ, {})
    reading.accounts(top.key("accounts"), config.get("accounts"))
    reading.models(top.key("models"), config.get("models"))
    reading.model_list(top.key("model_list"), config.get("model_list"))
    models = Models(routing_of(top.key("routing"), config.get("routing"), environ))
    for name, deployments in reading.found.items():
        models.set(name, map(reading.priced, deployments))
    _alias(models, top.key("aliases"), config.get("aliases"))
    check_names(models, top.key("routing"))
    return models


def _alias(models: Models, place: Place, entries: object) -> None:
    for number, (alias, name) in enumerate(place.mapping(entries, "a mapping of names to names").items()):
        where = place.named(str(alias), number)
        if where.text(alias, "a name") in list(models):
            raise where.error("a model of this name is there already")
        if "*" in alias or where.text(name, "a model's name") not in models:
            raise where.error("no model has the name that it stands for" if "*" not in alias else "it can't have a *")
        models.alias(alias, name)


def with_variables(config: Config, environ: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The environment, and behind it a configuration's `environment_variables`: a value that is really set wins."""
    environ = os.environ if environ is None else environ
    place = Place().key("environment_variables")
    added: dict[str, str] = {}
    for number, (name, value) in enumerate(place.mapping(config.get("environment_variables")).items()):
        where = place.named(str(name), number)
        if isinstance(value, Mapping | list) or value is None:
            raise where.wants("a text", value)
        added[str(name)] = resolved(str(value), where, {**environ, **added})
    return {**added, **environ} if added else environ


@frozen
class _Reading:
    """One reading of a configuration. `found` are the model names so far, `costs` what was said of the price of a model at an
    account, under whichever name: prices, and the `base_model` whose prices it has.
    """

    maker: AccountMaker
    environ: Mapping[str, str]
    found: dict[str, list[Deployment]]
    costs: dict[tuple[str, str | None], dict[str, Any]] = field(factory=dict, init=False)

    def accounts(self, place: Place, entries: object) -> None:
        what = "a list of mappings, each with a 'provider',"
        for number, entry in enumerate(place.entries(entries, what)):
            where = place.entry(number)
            if not isinstance(entry, Mapping):
                raise where.wants("a mapping with a 'provider'", entry)
            options = dict(entry)
            if "provider" not in options:
                raise where.error("every account needs a 'provider'")
            provider = where.key("provider").text(options.pop("provider"), "the name of a provider")
            self.maker.make(provider, options, where, id_key="id", share=False, known=("provider",))

    def models(self, place: Place, entries: object) -> None:
        for number, (name, entry) in enumerate(place.mapping(entries, "a mapping of names to PROVIDER/MODEL").items()):
            where = place.named(str(name), number)
            self._good_name(name, where)
            several = entry if isinstance(entry, list | tuple) else [entry]
            if not several:
                raise where.error("a deployment is wanted: PROVIDER/MODEL, or a mapping")
            for position, one in enumerate(several):
                self._model(name, one, where.entry(position) if several is entry else where)

    def _model(self, name: str, entry: object, where: Place) -> None:
        fields = {"model": entry} if isinstance(entry, str) else where.mapping(entry, "PROVIDER/MODEL, or a mapping,")
        where.known(fields, _MODEL)
        model = self._text(fields.get("model"), where.key("model"), "a model, such as PROVIDER/MODEL,")
        if (account := fields.get("account")) is None:
            account, slash, model = model.partition("/")
            if not slash or not account or not model:
                raise where.error("PROVIDER/MODEL or ACCOUNT/MODEL is wanted")
            found = self.maker.named(account, where)
        else:
            found = self.maker.named(where.key("account").text(account, "an account's id"), where.key("account"))
        info = where.key("info").mapping(fields.get("info"))
        self._add(name, Deployment(found, model, **self._limits(dict(fields), where), info=info), where)

    def model_list(self, place: Place, entries: object) -> None:
        for number, entry in enumerate(place.entries(entries, "a list of mappings, each with a 'model_name',")):
            where = place.entry(number)
            if not isinstance(entry, Mapping):
                raise where.wants("a mapping with a 'model_name'", entry)
            where.known(entry, _ENTRY)
            if "model_name" not in entry:
                raise where.error("'model_name' is wanted: the name that callers use")
            name = entry["model_name"]
            self._good_name(name, where.key("model_name"))
            info = where.key("model_info").mapping(entry.get("model_info"))
            self._add(name, self._deployment(entry.get("litellm_params"), info, where), where)

    def _deployment(self, params: object, info: Mapping[str, Any], where: Place) -> Deployment:
        place = where.key("litellm_params")
        if not isinstance(params, Mapping) or "model" not in params:
            raise where.error("'litellm_params' with a 'model' is wanted, such as PROVIDER/MODEL")
        options = dict(params)
        model = self._text(options.pop("model"), place.key("model"), "PROVIDER/MODEL")
        if (provider := options.pop("custom_llm_provider", None)) is not None:
            provider = place.key("custom_llm_provider").text(provider)
        prefix, slash, rest = model.partition("/")
        if provider is None:
            provider, model = (prefix, rest) if slash else (None, model)
        elif prefix == provider and slash:
            model = rest
        if not provider or not model:
            raise place.key("model").error("it does not say PROVIDER/MODEL")
        limits = self._limits(options, place)
        if theirs := self._prices(dict(info), where.key("model_info")):  # LiteLLM reads them in both places
            limits["prices"] = {**theirs, **limits["prices"]}
        account = self.maker.make(
            provider, options, place, id_key="account_id", share=True, known=(*LIMITS, *PRICE_FIELDS)
        )
        return Deployment(account, model, **limits, info=info)

    def _limits(self, options: dict[str, Any], place: Place) -> dict[str, Any]:
        """Takes the limits and prices out of an entry's options."""
        limits: dict[str, Any] = {}
        for name in LIMITS:
            where = place.key(name)
            if (value := resolved(options.pop(name, None), where, self.environ)) is not None:
                limits[name] = (
                    where.number(value, 0) if name == "weight" else where.whole(value, 0 if name == "order" else 1)
                )
        return {**limits, "prices": self._prices(options, place)}

    def _prices(self, options: dict[str, Any], place: Place) -> dict[str, Any]:
        prices = {}
        for name in PRICE_FIELDS:
            if (value := resolved(options.pop(name, None), place.key(name), self.environ)) is not None:
                prices[name] = value
        for name, value in prices.items():
            try:
                Price.of_fields({name: value})
            except ValueError:
                raise place.key(name).error("a price in US dollars is wanted, as a number of 0 or more") from None
        return prices

    def _text(self, value: object, place: Place, what: str) -> str:
        return place.text(resolved(value, place, self.environ), what)

    def _good_name(self, name: object, place: Place) -> None:
        name = place.text(name, "a model's name, as callers use it,")
        if is_reference(name):
            raise place.error("names are not read from the environment")
        if name.count("*") > 1:
            raise place.error("one * is understood in a name, not several")

    def _add(self, name: str, deployment: Deployment, place: Place) -> None:
        """One more deployment behind a name."""
        model = deployment.model or ""
        if model.count("*") > (1 if "*" in name else 0):
            raise place.error("a * in the model stands for what the one in the name does: there must be one in both")
        said = {**deployment.prices, **_base(deployment)}
        known = self.costs.setdefault(_at(deployment), {})
        if any(_amount(known[name]) != _amount(value) for name, value in said.items() if name in known):
            raise place.error(
                "the same model at the same account has another price under another name: it costs the same by any name"
            )
        known |= said
        self.found.setdefault(name, []).append(deployment)

    def priced(self, deployment: Deployment) -> Deployment:
        """A deployment with all that was said of its price."""
        costs = dict(self.costs[_at(deployment)])
        base = {_BASE: costs.pop(_BASE)} if _BASE in costs else {}
        return evolve(deployment, prices=costs, info={**deployment.info, **base})


def _base(deployment: Deployment) -> dict[str, Any]:
    return {_BASE: base} if (base := deployment.info.get(_BASE)) else {}


def _amount(value: object) -> object:
    """What can be compared: YAML reads 2e-06 as a text."""
    try:
        return dollars(value, "")
    except ValueError:
        return value


def _at(deployment: Deployment) -> tuple[str, str | None]:
    return deployment.account.id, deployment.model
