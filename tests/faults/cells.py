"""The fault matrix: which fault meets which operation, on which side of acceptance, in which kind of client.

Faults and oracles have the numbers of the test programme: 34 faults, oracles O1 to O10.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from attrs import frozen

__all__ = ["FAULTS", "MODES", "OPERATIONS", "Cell", "Operation", "all_cells", "chosen"]

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


@frozen
class Operation:
    """An operation as the matrix knows it.

    `answer` is what is answered: document, sdp, bytes or stream. `resend` is its row of the operation table: "unstored"
    may be sent again at any time, "get" too, "once" one time, "never" only if it provably was not sent or was refused in
    a way that promises that nothing began, and a "call" not even then.
    """

    name: str
    route: str
    answer: str
    resend: str

    @property
    def mutates(self) -> bool:
        """Whether it is run twice, before and after acceptance."""
        return self.resend in {"once", "never", "call"}


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("chat", "POST /chat/completions", "document", "unstored"),
        Operation("chat-SSE", "POST /chat/completions", "stream", "unstored"),
        Operation("responses", "POST /responses", "document", "unstored"),
        Operation("responses-SSE", "POST /responses", "stream", "unstored"),
        Operation("responses-stored", "POST /responses", "document", "never"),
        Operation("video create", "POST /videos", "document", "never"),
        Operation("video get", "GET /videos/{video_id}", "document", "get"),
        Operation("content", "GET /videos/{video_id}/content", "bytes", "get"),
        Operation("edit", "POST /videos/edits", "document", "never"),
        Operation("extend", "POST /videos/extensions", "document", "never"),
        Operation("character create", "POST /videos/characters", "document", "never"),
        Operation("character get", "GET /videos/characters/{character_id}", "document", "get"),
        Operation("client_secrets", "POST /realtime/client_secrets", "document", "once"),
        Operation("calls", "POST /realtime/calls", "sdp", "call"),
    )
}


@frozen
class Cell:
    """One cell, in one mode. `accept` is "before", "after", or "" where there is no such difference.

    `always`: the fault happens to every attempt; else only to the first one.
    """

    fault: str
    operation: str
    accept: str
    mode: str
    always: bool

    @property
    def number(self) -> int:
        return int(self.fault.partition(" ")[0])

    @property
    def op(self) -> Operation:
        return OPERATIONS[self.operation]

    @property
    def square(self) -> tuple[str, str]:
        """Where it stands in the matrix."""
        return self.fault, self.operation

    def __str__(self) -> str:
        words = [self.fault, self.operation, self.accept, self.mode, "always" if self.always else "once"]
        return " | ".join(word for word in words if word)


def all_cells() -> list[Cell]:
    """The whole matrix of one deployment."""
    cells = []
    for fault, name in FAULTS.items():
        for operation in OPERATIONS.values():
            number = int(fault.partition(" ")[0])
            twice = operation.mutates and name is not None and number not in REJECTIONS
            for accept in ("before", "after") if twice else ("",):
                cells += [
                    Cell(fault, operation.name, accept, mode, always)
                    for mode in MODES
                    for always in ((True, False) if name is not None else (True,))
                ]
    return cells


def chosen(seed: int, sample: int | None, only: str) -> list[Cell]:
    """The cells whose name contains `only`, or a sample of them: the same for the same seed."""
    cells = [cell for cell in all_cells() if only in str(cell)]
    # Shuffled in any case: slow ones stand together in the list, and would leave workers idle at the end.
    random.Random(seed).shuffle(cells)
    return cells if sample is None else cells[:sample]
