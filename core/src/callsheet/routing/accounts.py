"""The accounts that a client knows: those that were configured, and the environment's for every other provider."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from attrs import define, field

from callsheet.account import Account
from callsheet.dispatch import Dispatcher
from callsheet.errors import ConfigurationError, NotFoundError
from callsheet.registry import Registry, offered_hooks

__all__ = ["Accounts"]


@define(eq=False)
class Accounts:
    """Accounts by id, each with its provider's instance, which is made when it is first needed.

    `configured_only`: there are those that were configured and no others, whatever keys the environment holds.
    """

    registry: Registry
    configured_only: bool = False
    _configured: dict[str, Account] = field(factory=dict, init=False)
    _from_environment: dict[str, Account] = field(factory=dict, init=False)
    _dispatchers: dict[str, Dispatcher] = field(factory=dict, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def add(self, provider: str, options: Mapping[str, Any], id: str | None = None) -> Account:
        """Configure an account. ConfigurationError when another one has its id already."""
        return self.add_account(Account.of(provider, self.registry.provider(provider).Settings, options, id=id))

    def add_account(self, account: Account) -> Account:
        """Configure an account that was made already. ConfigurationError when another one has its id."""
        id, provider = account.id, account.provider
        if id != provider and id in self.registry.names():
            raise ConfigurationError(f"the account id '{id}' is the name of a provider; give the account another id")
        if account.id in self._configured:
            raise ConfigurationError(
                f"two accounts have the id '{account.id}' (provider '{provider}'); give each an id of its own"
            )
        self._configured[account.id] = account
        return account

    def of_provider(self, name: str) -> Account:
        """The one account meant by a provider's name or an account's id.

        Raises ConfigurationError when several accounts could be meant, UnknownProvider when nothing has this name.
        """
        if name in self._configured:
            return self._configured[name]
        for account in self._from_environment.values():
            if account.id == name:  # as a result's `meta.account` says it
                return account
        matching = [account for account in self._configured.values() if account.provider == name]
        if len(matching) > 1:
            choices = ", ".join(f"provider='{account.id}'" for account in matching)
            raise ConfigurationError(f"several accounts are configured at provider '{name}'; say which: {choices}")
        if not matching and self.configured_only:
            raise ConfigurationError(f"no account is configured at provider '{name}'")
        return matching[0] if matching else self._environments(name)

    def by_tag(self, tag: bytes) -> Account:
        """The account that a managed id names. NotFoundError when this client has no such account."""
        for account in [*self._configured.values(), *self._from_environment.values()]:
            if account.tag == tag:
                return account
        others = [] if self.configured_only else self.registry.names()
        for name in others:  # the first bytes of a tag name the provider: no other one is imported
            if Account.provider_tag(name) == tag[:3] and (account := self._environments(name)).tag == tag:
                return account
        raise NotFoundError(
            "the id belongs to an account that this client does not have; make the client with the provider, base_url,"
            " organization and project that the id was made with, and see that the provider's plugin is installed",
            code="unknown_account",
        )

    def default(self) -> Account:
        """The account of a call that names none: the only configured one, else the embedded provider's."""
        if len(self._configured) == 1:
            return next(iter(self._configured.values()))
        if self._configured or self.configured_only:
            choices = ", ".join(sorted(self._configured)) or "none is configured"
            raise ConfigurationError(f"say which account: provider=..., one of {choices}; or model='provider/model'")
        embedded = self.registry.embedded()
        if len(embedded) == 1:
            return self._environments(embedded[0])
        installed = (
            ", ".join(self.registry.names()) or "none; install a provider plugin first: pip install callsheet-NAME"
        )
        raise ConfigurationError(
            "say which provider: model='provider/model' or provider='...'."
            f" Installed: {installed}. ({len(embedded)} of them work without a key.)"
        )

    def refuse_async_settings(self) -> None:
        """For sync clients. TypeError for an account that can be used from async code only."""
        for account in self._configured.values():
            if account.settings.needs_loop:
                raise TypeError(
                    f"a setting of account '{account.id}' at provider '{account.provider}' is an async function, which the"
                    " sync client can't call; pass a plain function, or use AsyncClient"
                )

    def is_name(self, name: str) -> bool:
        """Whether a word names a provider or an account."""
        return name in self._configured or name in self.registry.names()

    def dispatcher(self, account: Account) -> Dispatcher:
        """The account's provider, made on first use."""
        if (found := self._dispatchers.get(account.id)) is None:
            with self._lock:
                if self._closed:
                    raise RuntimeError("the client is closed")
                if (found := self._dispatchers.get(account.id)) is None:
                    kind = self.registry.provider(account.provider)
                    found = self._dispatchers[account.id] = Dispatcher.of(account, kind, self.registry.wraps())
        return found

    def offering(self, operation: str) -> list[str]:
        """The loaded providers that implement an operation."""
        return [name for name, kind in self.registry.loaded().items() if operation in offered_hooks(kind, name)]

    def close(self) -> None:
        """End what the providers started."""
        with self._lock:
            self._closed = True
            dispatchers, self._dispatchers = self._dispatchers, {}
        with ExitStack() as all_of_them:  # also when one of them fails
            for dispatcher in dispatchers.values():
                all_of_them.callback(dispatcher.provider.close)

    def _environments(self, name: str) -> Account:
        with self._lock:
            if name not in self._from_environment:
                self._from_environment[name] = Account.of(name, self.registry.provider(name).Settings)
            return self._from_environment[name]
