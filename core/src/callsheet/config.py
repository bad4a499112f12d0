"""What a configuration says: which accounts there are, and which model names stand for which model at which account.

    {"accounts": [{"provider": "acme", "id": "team-a", "base_url": "..."}]}

    {"model_list": [{"model_name": "film", "litellm_params": {"model": "acme/film-1", "api_key": "os.environ/ACME_KEY"}}]}

The second shape is LiteLLM's. Values of the form `os.environ/NAME` are read from the environment.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from callsheet.account import Account
from callsheet.errors import ConfigurationError
from callsheet.routing.accounts import Accounts
from callsheet.routing.router import Deployment

__all__ = ["Config", "configure"]

Config = Mapping[str, Any]
_FROM_ENVIRONMENT = "os.environ/"
_OTHER_NAMES = {"api_base": "base_url"}
"""LiteLLM's name for a setting, where it is not ours."""
_THEIRS = {"general_settings", "litellm_settings", "router_settings", "environment_variables", "callback_settings"}
_ENTRY_KEYS = ("model_name", "litellm_params", "model_info")


def configure(
    accounts: Accounts, config: Config | None, environ: Mapping[str, str] | None = None
) -> dict[str, Deployment]:
    """Add a configuration's accounts; return its model names with what they stand for.

    Raises ConfigurationError that says which entry is wrong, and how.
    """
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"a config is a mapping with model_list or accounts, not {type(config).__name__}")
    if unknown := [str(key) for key in config if key not in {"accounts", "model_list"}]:
        reason = "LiteLLM's, and not read yet: take it out" if set(unknown) & _THEIRS else "unknown"
        raise ConfigurationError(
            f"config: {', '.join(unknown)}: {reason}. Known: model_list (LiteLLM's) and accounts (a list, each with a"
            " 'provider' and its settings)"
        )
    for number, entry in enumerate(_entries(config, "accounts")):
        options = dict(entry)
        if not isinstance(provider := options.pop("provider", None), str):
            raise ConfigurationError(f"accounts[{number}]: every account in config needs a 'provider'")
        accounts.add(provider, options, id=options.pop("id", None))
    reading = _ModelList(accounts, os.environ if environ is None else environ, {})
    return reading.read(_entries(config, "model_list"))


def _entries(config: Config, key: str) -> list[Mapping[str, Any]]:
    entries = config.get(key, [])
    needed = "'provider'" if key == "accounts" else "'model_name'"
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigurationError(f"config: '{key}' is a list of mappings, each with a {needed}")
    return entries


@frozen
class _ModelList:
    """One reading of a model_list. Entries that say the same of an account share it."""

    accounts: Accounts
    environ: Mapping[str, str]
    made: dict[str, tuple[dict[str, Any], Account]]

    def read(self, entries: list[Mapping[str, Any]]) -> dict[str, Deployment]:
        models: dict[str, Deployment] = {}
        for number, entry in enumerate(entries):
            name = entry.get("model_name")
            where = f"model_list[{number}]" + (f" ({name})" if isinstance(name, str) else "")
            _known(entry, _ENTRY_KEYS, where)
            if not isinstance(name, str) or not name or not name.isprintable():
                raise ConfigurationError(f"{where}: 'model_name' is wanted: the name that callers use")
            if "*" in name:
                raise ConfigurationError(f"{where}: names with * are not understood yet: list each model by its name")
            if name in models:
                raise ConfigurationError(f"{where}: the model name is there already; one deployment a name")
            models[name] = self._deployment(entry.get("litellm_params"), where)
        return models

    def _deployment(self, params: object, where: str) -> Deployment:
        if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
            raise ConfigurationError(f"{where}: 'litellm_params' with a 'model' is wanted, such as PROVIDER/MODEL")
        options = dict(params)
        model, provider = options.pop("model"), options.pop("custom_llm_provider", None)
        for name in ("custom_llm_provider", "account_id"):
            if not isinstance(params.get(name), str | None):
                raise ConfigurationError(f"{where}: {name} is a text, not {type(params[name]).__name__}")
        prefix, slash, rest = model.partition("/")
        if provider is None:
            provider, model = (prefix, rest) if slash else (None, model)
        elif prefix == provider and slash:
            model = rest
        if not provider or not model:
            raise ConfigurationError(f"{where}: model '{params['model']}' does not say PROVIDER/MODEL")
        return Deployment(self._account(provider, options, where), model)

    def _account(self, provider: str, options: dict[str, Any], where: str) -> Account:
        fields = self.accounts.registry.provider(provider).Settings.model_fields
        id, key = options.pop("account_id", None), options.get("api_key")
        variable = str(key).removeprefix(_FROM_ENVIRONMENT) if _is_reference(key) else None
        for theirs, ours in _OTHER_NAMES.items():
            if theirs in options and ours in options:
                raise ConfigurationError(f"{where}: {theirs} and {ours} are the same; give one of them")
        settings = {_OTHER_NAMES.get(name, name): self._value(value, name, where) for name, value in options.items()}
        _known(settings, (*_OTHER_NAMES, *fields), f"{where}: litellm_params")
        address = settings.get("base_url")
        if isinstance(address, str) and not address.startswith(("http://", "https://")):
            raise ConfigurationError(f"{where}: api_base must begin with http:// or https://, not {address[:40]!r}")
        account = Account.of(
            provider, self.accounts.registry.provider(provider).Settings, settings, id=id, secret_name=variable
        )
        if account.id in self.made:
            same, account = self.made[account.id]
            if same != {"provider": provider, **settings}:
                raise ConfigurationError(
                    f"{where}: another entry means the same account with other settings; give each an 'account_id'"
                )
            return account
        self.made[account.id] = ({"provider": provider, **settings}, account)
        return self.accounts.add_account(account)

    def _value(self, value: object, name: str, where: str) -> object:
        if not _is_reference(value):
            return value
        variable = str(value).removeprefix(_FROM_ENVIRONMENT)
        if not (found := self.environ.get(variable)):
            raise ConfigurationError(
                f"{where}: {name} comes from the environment variable {variable}, which is not set"
            )
        return found


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT)


def _known(entry: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            guess = f" Did you mean '{close[0]}'?" if close else ""
            raise ConfigurationError(f"{where}: unknown key '{key}'.{guess} Known: {', '.join(known)}")
