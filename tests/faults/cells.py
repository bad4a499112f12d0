"""The fault matrix: which fault meets which operation of a vendor's, on which side of acceptance, in which kind of client.

Most cells have one account. Those of the other topologies have several behind one name: see groups.py.

Faults and oracles have the numbers of the test programme: 34 faults, oracles O1 to O10.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen
from tests.faults.groups import BY_MODEL, PINNED, variants
from tests.faults.vendor_gemini import GEMINI
from tests.faults.vendor_openai import OPENAI
from tests.faults.vendors import Operation, Vendor

__all__ = ["FAULTS", "MODES", "VENDORS", "Cell", "all_cells", "chosen"]

FAULTS: Mapping[str, str | None] = {
    "1 refused": None,
    "2 DNS failure": None,
    "3 black-hole connect": None,
    "4 TLS wrong host": None,
    "5 TLS expired": None,
    "6 TLS stall": None,
    "7 reset before headers": "reset before headers",
    "8 slow headers": "slow headers",
    "9 headers then stall": "headers then stall",
    "10 slow body": "slow body",
    "11 reset in body": "reset in body",
    "12 reset in SSE before content": "reset in stream before content",
    "13 reset in SSE after content": "reset in stream after content",
    "14 SSE without terminal event": "stream without end",
    "15 400": "400",
    "16 401": "401",
    "17 403": "403",
    "18 404": "404",
    "19 408": "408",
    "20 409": "409",
    "21 429 + 2 s": "429 + 2 s",
    "22 429 + 3600 s": "429 + 3600 s",
    "23 500": "500",
    "24 502": "502",
    "25 503": "503",
    "26 529": "529",
    "27 bad JSON in 200": "bad JSON",
    "28 HTML in 200": "HTML",
    "29 truncated gzip": "truncated gzip",
    "30 gzip bomb": "gzip bomb",
    "31 1 MB headers": "huge headers",
    "32 64 MB SSE line": "huge line",
    "33 invalid UTF-8, lone CR": "bad UTF-8",
    "34 302 to 127.0.0.1": "redirect",
}
"""Every fault, and its name in callsheet.testing.FAULTS; None for those below HTTP."""
REJECTIONS = {15, 16, 17, 18, 21, 22}
"""By their meaning nothing was begun: there is no such answer after acceptance."""
MODES = ("sync", "asyncio", "trio")
VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in (OPENAI, GEMINI)}


@frozen
class Cell:
    """One cell, in one mode. `accept` is "before", "after", or "" where there is no such difference.

    `always`: the fault happens to every attempt; else only to the first one, or in a group to all at the first deployment.
    """

    provider: str
    fault: str
    operation: str
    accept: str
    mode: str
    always: bool
    topology: str = "one"

    @property
    def number(self) -> int:
        return int(self.fault.partition(" ")[0])

    @property
    def vendor(self) -> Vendor:
        return VENDORS[self.provider]

    @property
    def op(self) -> Operation:
        return BY_MODEL if self.operation == BY_MODEL.name else self.vendor.operations[self.operation]

    @property
    def spreads(self) -> bool:
        """Whether the call may go from one deployment to the next."""
        return self.topology != "one" and self.operation not in PINNED

    @property
    def square(self) -> tuple[str, str, str]:
        """Where it stands in the matrix."""
        table = self.provider if self.topology == "one" else f"{self.provider}, {self.topology}"
        return table, self.fault, self.operation

    @property
    def variant(self) -> str:
        """Which one of those that stand there it is."""
        words = [self.accept, self.mode, "always" if self.always else "once"]
        return " | ".join(word for word in words if word)

    def __str__(self) -> str:
        return " | ".join([*self.square, self.variant])


def all_cells(providers: Iterable[str] = VENDORS) -> list[Cell]:
    """The whole matrix of these vendors."""
    alone = [
        cell
        for provider in providers
        for fault in FAULTS
        for operation in VENDORS[provider].operations.values()
        for cell in _cells(provider, fault, operation)
    ]
    return alone + (list(_groups()) if "openai" in providers else [])


def _cells(provider: str, fault: str, operation: Operation) -> Iterator[Cell]:
    """All of one square."""
    below_http = FAULTS[fault] is None
    if below_http and not operation.reached_below_http:
        return
    for accept in _accepts(operation, fault):
        for mode in MODES:
            for always in (True,) if below_http else (True, False):
                yield Cell(provider, fault, operation.name, accept, mode, always)


def _accepts(operation: Operation, fault: str) -> tuple[str, ...]:
    """On which sides of acceptance a fault can meet an operation, where that makes a difference."""
    rejection = int(fault.partition(" ")[0]) in REJECTIONS
    twice = operation.mutates and FAULTS[fault] is not None and not rejection
    return ("before", "after") if twice else ("",)


def _groups() -> Iterator[Cell]:
    """Those of the other topologies, in each mode a third of them: what they share with one account is played there."""
    modes = random.Random(1)  # in no step with the operations
    for fault in FAULTS:
        for topology, operation, always in variants():
            kind = Cell("openai", fault, operation, "", "sync", always, topology)
            for accept in _accepts(kind.op, fault):
                yield Cell("openai", fault, operation, accept, modes.choice(MODES), always, topology)


def chosen(providers: Iterable[str], seed: int, sample: int | None, only: str) -> list[Cell]:
    """The cells whose name contains `only`, or a sample of them: the same for the same seed."""
    cells = [cell for cell in all_cells(providers) if only in str(cell)]
    # Shuffled in any case: slow ones stand together in the list, and would leave workers idle at the end.
    random.Random(seed).shuffle(cells)
    return cells if sample is None else cells[:sample]
