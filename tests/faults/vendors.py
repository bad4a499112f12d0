"""What of the matrix is a vendor's own: its wire, its operations and how they are called, what its errors are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from callsheet import ProviderSettings
from callsheet.testing import Wire

__all__ = ["CANARIES", "EPHEMERAL", "HEADER", "KEY", "Operation", "Vendor", "by_name"]

KEY = "sk-canary-5f1d3c9a7b"
HEADER = "hdr-canary-88e0c41d2f"
EPHEMERAL = "ek_canary_2c6b90f4ae"
CANARIES = (KEY, HEADER, EPHEMERAL)


@frozen
class Operation:
    """A column of the matrix: an operation, and which of its requests meets the fault.

    `answer` is what is answered to that request. `resend` is the operation's row of the operation table: "unstored" may
    be sent again at any time, "get" too, "once" one time, "never" only if it provably was not sent or was refused in a way
    that promises that nothing began, and a "call" not even then.
    """

    name: str
    route: str
    answer: Literal["document", "sdp", "bytes", "stream"]
    resend: Literal["unstored", "get", "once", "never", "call"]
    before: int = 0
    """How many requests of the same attempt come before that one, and go well."""
    after: int = 0
    """How many follow it if it goes well."""
    looks: bool = False
    """Whether that request only looks, though the operation begins something."""
    elsewhere: bool = False
    """Whether that request goes where the vendor's answer says, so that the address may be a bad one."""
    entry: str = ""
    """What is on the bill for the whole operation, in the words of the fake's book; empty if it costs nothing."""

    @property
    def mutates(self) -> bool:
        """Whether that request begins something: it is run twice, before and after acceptance."""
        return self.resend in {"once", "never", "call"} and not self.looks

    @property
    def reached_below_http(self) -> bool:
        """Whether the request can meet a fault below HTTP. One that follows another to the same place has a connection."""
        return self.elsewhere or not self.before


def by_name(*operations: Operation) -> Mapping[str, Operation]:
    return {operation.name: operation for operation in operations}


@frozen
class Vendor:
    """One provider, and the fake that it is played with."""

    name: str
    settings: type[ProviderSettings]
    operations: Mapping[str, Operation]
    calls: Mapping[str, Callable[[Any, Path], Any]]
    """How a client is asked for each of them. The folder has a clip.mp4, and takes downloads."""
    wire: Callable[[str | None], Wire]
    """A fresh fake, with all that the calls ask for. An address is where it says that its film is, instead of here."""
    codes: Mapping[int, str]
    """What `code` an error has, by its HTTP status."""
    promises: frozenset[int]
    """Statuses by which the vendor promises that no paid work began."""
