"""The accounts of a configuration: from an entry's options to an Account, once for all entries that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from callsheet.account import Account
from callsheet.config_values import Place, is_reference, resolved, texts_in, variable_of
from callsheet.errors import ConfigurationError, UnknownProvider
from callsheet.routing.accounts import Accounts
from callsheet.spec import Provider

__all__ = ["AccountMaker"]

_OTHER_NAMES = {"api_base": "base_url", "extra_headers": "headers"}
"""LiteLLM's name for a setting, where it is not ours."""
_PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,15}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@frozen
class AccountMaker:
    """Makes accounts out of a configuration's entries. What is wrong with one is said without any of its values."""

    accounts: Accounts
    environ: Mapping[str, str]
    _made: dict[str, tuple[dict[str, Any], Account]] = field(factory=dict, init=False, repr=False)

    def make(
        self, provider: str, options: dict[str, Any], place: Place, *, id_key: str, share: bool, known: Iterable[str]
    ) -> Account:
        """The account that an entry's options describe; `id_key` names the one that is its id.

        With `share`, entries with the same settings have one account together. `known` are further keys that the entry
        may have: they are for suggestions.
        """
        kind = self._provider(provider, place).Settings
        id = options.pop(id_key, None)
        if id is not None and not _ID.fullmatch(place.key(id_key).text(id)):
            raise place.key(id_key).error("an id is wanted: up to 64 letters, digits, and . _ - after the first")
        for theirs, ours in _OTHER_NAMES.items():
            if theirs in options and ours in options:
                raise place.key(theirs).error(f"{theirs} and {ours} are the same; give one of them")
        place.known(options, (*_OTHER_NAMES, *kind.model_fields, id_key, *known))
        key = options.get("api_key")
        variable = variable_of(str(key), place.key("api_key")) if is_reference(key) else None
        settings = {
            _OTHER_NAMES.get(name, name): resolved(value, place.key(name), self.environ)
            for name, value in options.items()
        }
        self._check_address(settings, options, place)
        account = self._account(provider, settings, place, id=id, secret_name=variable)
        if share and account.id in self._made:
            same, account = self._made[account.id]
            if same != {"provider": provider, **settings}:
                raise place.error("another entry means the same account with other settings; give each an 'account_id'")
            return account
        return self._add(account, settings, place, given=id is not None)

    def named(self, name: str, place: Place) -> Account:
        """The account that an id or a provider's name means; a provider without accounts has the environment's."""
        if name in self._made:
            return self._made[name][1]
        at_provider = [account for _, account in self._made.values() if account.provider == name]
        if len(at_provider) > 1:
            raise place.error("several accounts are configured at this provider: say which, by its id")
        if at_provider:
            return at_provider[0]
        return self._add(self._account(name, {}, place), {}, place, given=False)

    def _provider(self, name: str, place: Place) -> type[Provider]:
        try:
            return self.accounts.registry.provider(name)
        except UnknownProvider as error:
            shown = _PROVIDER.fullmatch(name)
            raise place.error(error.message if shown else "there is no such provider, and no such account") from None

    def _add(self, account: Account, settings: dict[str, Any], place: Place, *, given: bool) -> Account:
        try:
            self.accounts.add_account(account)
        except ConfigurationError as error:
            twice = given and account.id not in self.accounts.registry.names()  # then the words name the id
            raise place.error(
                "another account has this id; give each an id of its own" if twice else error.message
            ) from None
        self._made[account.id] = ({"provider": account.provider, **settings}, account)
        return account

    def _check_address(self, settings: dict[str, Any], options: Mapping[str, Any], place: Place) -> None:
        address = settings.get("base_url")
        if address is None:
            return
        where = place.key("api_base" if "api_base" in options else "base_url")
        if not where.text(address, "an address").startswith(("http://", "https://")):
            raise where.error("an address must begin with http:// or https://")

    def _account(self, provider: str, settings: dict[str, Any], place: Place, **more: str | None) -> Account:
        kind = self._provider(provider, place).Settings
        try:
            return Account.of(provider, kind, settings, environ=self.environ, **more)
        except ConfigurationError as error:
            cleaned = place.error(error.message)
            cleaned.at = (*place.path, *error.at)
            # It names the field; but the words may be a plugin's, and quote the value.
            from_environment = [self.environ.get(variable, "") for variable in kind.env.values()]
            cleaned.hide(texts_in([*settings.values(), *from_environment]))
            raise cleaned from None
