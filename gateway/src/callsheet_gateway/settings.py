"""What a gateway is set up with, apart from its providers."""

from __future__ import annotations

import ipaddress
import re

from attrs import field, frozen
from pydantic import SecretStr

from callsheet import ConfigurationError

__all__ = ["KEY_WANTED", "ORIGIN_WANTED", "GatewaySettings", "is_key", "is_loopback", "is_origin"]

MEBIBYTE = 1024 * 1024
KEY_WANTED = "a key is sent in a header: letters, digits and signs of ASCII, without spaces"
ORIGIN_WANTED = "an origin is wanted as SCHEME://HOST[:PORT], such as http://localhost:5173"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_key(key: str) -> bool:
    """Whether a key can be sent in a header."""
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def is_origin(origin: str) -> bool:
    """Whether this is a page's origin, as browsers say it."""
    return _ORIGIN.fullmatch(origin) is not None


def _origins(_instance: object, _attribute: object, origins: tuple[str, ...]) -> None:
    for origin in origins:
        if not is_origin(origin):
            raise ConfigurationError(f"--cors-origin {origin}: {ORIGIN_WANTED}")


@frozen
class GatewaySettings:
    """Where the gateway listens, whom it lets in, and how much it takes.

    Without a `master_key` no key is asked for, and only this machine is served: ConfigurationError for another `host`.
    `cors_origins` are the origins of pages, other than its own, that may call it. Sizes are in bytes: `max_json` of a
    JSON body (it may hold an image as a data URL), `max_form` of a multipart body, files included. `max_parts` is the
    number of parts in one. `event_pause` and `event_pause_max` are the seconds between two looks at a job whose progress
    is followed; `keep_alive` the seconds of silence after which a stream sends a comment.
    """

    host: str = "127.0.0.1"
    port: int = 4000
    master_key: SecretStr | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = field(default=(), validator=_origins)
    max_json: int = 32 * MEBIBYTE
    max_form: int = 128 * MEBIBYTE
    max_parts: int = 16
    max_part: int = 21 * MEBIBYTE
    """The most that one part without a file may have: a data URL of the largest image that the API takes."""
    event_pause: float = 0.25
    event_pause_max: float = 2.0
    keep_alive: float = 15.0
    max_requests: int = 1000
    """How many requests may be under way at once; more are told to come back (503).

    Where keys are asked for, these are the requests with a good one: strangers can't use them up.
    """
    max_requests_per_key: int = 200
    """How many of them may be of one virtual key, streams included; more are told to come back (429)."""
    max_uploads_per_key: int = 4
    """How many multipart bodies, and JSON bodies of more than 1 MiB, of one virtual key may be under way at once (429)."""
    max_spool: int = 2048 * MEBIBYTE
    """Bytes that the files of all forms may have on the disk at once (503)."""
    max_memory: int = 512 * MEBIBYTE
    """Bytes that all bodies may have in memory at once, each one's first MiB not counted (503)."""
    unread_seconds: float = 180.0
    """Seconds in which a client has to take something of what waits for it; one that takes nothing is cut.

    With Linux's buffers, one that reads steadily takes up to 128 KiB at a time: 180 s let 1 KiB/s pass, 30 s 5 KiB/s.
    """
    notice_seconds: float = 2.0
    """Seconds after SIGTERM in which new requests are still taken, while /health/ready says that none shall come."""
    grace_seconds: float = 30.0
    """Seconds that what is under way gets then; what takes longer is cut off."""
    token_seconds: int = 120
    """How long an ephemeral key may live at most; the provider's own may be over earlier."""
    reconcile_seconds: float = 15.0
    """Seconds between two looks at a job that nobody asks about, at least; see docs/money.md."""
    single_use_tokens: bool = True
    """Whether an ephemeral key is for one call only."""

    def __attrs_post_init__(self) -> None:
        if self.master_key is None and not is_loopback(self.host):
            raise ConfigurationError(
                f"without a master key the gateway serves this machine only: --host {self.host} is not a loopback address"
                " (127.0.0.1, ::1, localhost). Set CALLSHEET_MASTER_KEY to let others in"
            )
