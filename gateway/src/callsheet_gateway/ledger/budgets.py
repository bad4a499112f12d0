"""What the ledger asks of those who watch over budgets."""

from __future__ import annotations

from typing import Protocol

from callsheet_gateway.amounts import Amount

__all__ = ["Budgets", "NoBudgets", "Reservation"]


class Reservation(Protocol):
    """Money that was set aside for one call."""

    def settle(self, cost: int | None) -> None:
        """Put what it came to in its place; None: it is not known, and what was set aside stays so. Twice is harmless."""


class Budgets(Protocol):
    """Who may still spend."""

    def reserve(self, key: str | None, owner: str, amount: Amount) -> Reservation:
        """Set money aside, before anything is sent. None: the price is not known. Refused (429) where there is too little."""

    def resume(self, key: str | None, owner: str, reserved: int | None) -> Reservation:
        """What is set aside for a call that another run of the gateway had begun, by its row."""


class NoBudgets:
    """Nobody's money is limited."""

    def resume(self, key: str | None, owner: str, reserved: int | None) -> Reservation:  # noqa: ARG002  the protocol's
        return _NOTHING

    def reserve(self, key: str | None, owner: str, amount: Amount) -> Reservation:  # noqa: ARG002  the protocol's
        return _NOTHING


class _Nothing:
    def settle(self, cost: int | None) -> None:
        pass


_NOTHING = _Nothing()
