"""Every cent accounted for: what each paid call was meant to cost at most, and what it came to, in micro-dollars.

`charge` is one call's entry and its states, `store` the rows, `ledger` what is under way and the batches in which it is
written down, `billing` one call on its way, `endings` what tells that a stream is whole, `jobs` what is settled later, and
`reconciler` the task that sees to it, with `finder` for what nobody knows, account by account (`turns`, `siblings`).
"""

from callsheet_gateway.ledger.budgets import Budgets, NoBudgets, Reservation
from callsheet_gateway.ledger.charge import OPEN, Charge
from callsheet_gateway.ledger.ledger import Ledger

__all__ = ["OPEN", "Budgets", "Charge", "Ledger", "NoBudgets", "Reservation"]
