"""Accounts that see one list of jobs: two keys of one project do, and nothing tells that they are of one."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from callsheet import ConfigurationError
from callsheet.account import Account
from callsheet.urls import origin, parsed
from callsheet_gateway.ledger.charge import Charge, place_of

__all__ = ["Siblings"]


@frozen
class Siblings:
    """The accounts that may see one account's jobs, itself included: those of the provider at the same address."""

    account: Account
    _tags: tuple[bytes, ...]
    _elsewhere: frozenset[str]
    """The ids of the provider's other accounts."""

    @classmethod
    def of(cls, account: Account, configured: Iterable[Account]) -> Siblings:
        """Those of an account, among all that are configured."""
        address = _address(account)
        of_provider = [other for other in configured if other.provider == account.provider]
        near = {other.tag for other in of_provider if _address(other) == address}
        elsewhere = frozenset(other.id for other in of_provider if other.tag not in near)
        return cls(account, (account.tag, *sorted(near - {account.tag})), elsewhere)

    def ordered(self, charge: Charge) -> bool:
        """Whether a charge's job may be in the list. Of an account that is gone nobody knows where it was."""
        return charge.provider == self.account.provider and charge.account not in self._elsewhere

    def places(self, upstream: str) -> list[str]:
        """Where a job in the list can have been ordered, by its id there."""
        return [place_of(tag, upstream) for tag in self._tags]


def _address(account: Account) -> object:
    """Where an account's calls go: origin and path."""
    url = account.settings.base_url
    try:
        return url and (origin(url), parsed(url).path.rstrip("/"))
    except ConfigurationError:
        return url  # which can't be called
