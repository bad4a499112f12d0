"""What a configuration says: which accounts there are, and which model names stand for which model at which account.

    {"accounts": [{"provider": "acme", "id": "team-a", "api_key": "os.environ/ACME_KEY"}],
     "models": {"film": {"account": "team-a", "model": "film-1"}, "talk": "team-a/talk-1", "draft": "acme/film-0"}}

    {"model_list": [{"model_name": "film", "litellm_params": {"model": "acme/film-1", "api_key": "os.environ/ACME_KEY"}}]}

The second shape is LiteLLM's. Values of the form `os.environ/NAME` are read from the environment; what it lacks,
`environment_variables` may hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from callsheet.config_accounts import AccountMaker
from callsheet.config_values import Place, is_reference, resolved
from callsheet.errors import ConfigurationError
from callsheet.routing.accounts import Accounts
from callsheet.routing.router import Deployment

__all__ = ["LIMITS", "Config", "configure", "with_variables"]

Config = Mapping[str, Any]
LIMITS = ("weight", "rpm", "tpm", "max_parallel_requests")
"""What a deployment's entry may say of how much it takes."""
_SECTIONS = ("accounts", "models", "model_list", "environment_variables")
_THEIRS = ("general_settings", "litellm_settings", "router_settings", "callback_settings")
_ENTRY = ("model_name", "litellm_params", "model_info")
_MODEL = ("account", "model", "info", *LIMITS)


def configure(
    accounts: Accounts, config: Config | None, environ: Mapping[str, str] | None = None
) -> dict[str, Deployment]:
    """Add a configuration's accounts; return its model names with what they stand for.

    Raises ConfigurationError that says which entry is wrong, and how; its `at` says where.
    """
    if config is None:
        return {}
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
    return reading.found


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
    """One reading of a configuration. `found` are the model names so far."""

    maker: AccountMaker
    environ: Mapping[str, str]
    found: dict[str, Deployment]

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
            self._new_name(name, where)
            fields = (
                {"model": entry} if isinstance(entry, str) else where.mapping(entry, "PROVIDER/MODEL, or a mapping,")
            )
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
            self.found[name] = Deployment(found, model, **self._limits(dict(fields), where), info=info)

    def model_list(self, place: Place, entries: object) -> None:
        for number, entry in enumerate(place.entries(entries, "a list of mappings, each with a 'model_name',")):
            where = place.entry(number)
            if not isinstance(entry, Mapping):
                raise where.wants("a mapping with a 'model_name'", entry)
            where.known(entry, _ENTRY)
            if "model_name" not in entry:
                raise where.error("'model_name' is wanted: the name that callers use")
            name = entry["model_name"]
            self._new_name(name, where.key("model_name"))
            info = where.key("model_info").mapping(entry.get("model_info"))
            self.found[name] = self._deployment(entry.get("litellm_params"), info, where)

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
        account = self.maker.make(provider, options, place, id_key="account_id", share=True, known=LIMITS)
        return Deployment(account, model, **limits, info=info)

    def _limits(self, options: dict[str, Any], place: Place) -> dict[str, Any]:
        """Takes the limits out of an entry's options."""
        limits: dict[str, Any] = {}
        for name in LIMITS:
            where = place.key(name)
            if (value := resolved(options.pop(name, None), where, self.environ)) is not None:
                limits[name] = where.number(value, 0) if name == "weight" else where.whole(value, 1)
        return limits

    def _text(self, value: object, place: Place, what: str) -> str:
        return place.text(resolved(value, place, self.environ), what)

    def _new_name(self, name: object, place: Place) -> None:
        name = place.text(name, "a model's name, as callers use it,")
        if is_reference(name):
            raise place.error("names are not read from the environment")
        if "*" in name:
            raise place.error("names with * are not understood yet: list each model by its name")
        if name in self.found:
            raise place.error(
                "the model name is there already: several deployments behind one name are not understood yet"
            )
