"""Addresses: what a URL's origin is, ids as path segments, queries."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from callsheet.errors import ConfigurationError, NotFoundError

__all__ = ["is_loopback", "leads_on", "origin", "parsed", "path_segment", "with_query"]

_REMEMBERED = 256
"""Addresses: each call looks at its own, and at its account's, several times."""


def path_segment(id: str) -> str:
    """An id as one segment of a path, whatever is in it. NotFoundError for what can't be one: "", "." and ".."."""
    if id in {"", ".", ".."}:
        raise NotFoundError(f"there is nothing with the id {id!r}", code="not_found")
    return quote(id, safe="")


def with_query(url: str, query: Mapping[str, object]) -> str:
    """The address with parameters; None leaves one out, booleans are true and false, a list repeats its name."""
    spelled = {name: _spelled(value) for name, value in query.items() if value is not None}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(spelled, doseq=True)}" if spelled else url


def _spelled(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


@lru_cache(maxsize=_REMEMBERED)
def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what decides whether a secret may go there."""
    parts = parsed(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


@lru_cache(maxsize=_REMEMBERED)
def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, so that nobody can listen on the way."""
    host = (parsed(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _ip(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def leads_on(url: str, target: str) -> bool:
    """Whether a redirect may be followed: not from https to http, and not from outside into this machine or its network.

    Names are not resolved: a name of the vendor's that stands for a private address is the vendor's to answer for.
    """
    if url.lower().startswith("https:") and not target.lower().startswith("https:"):
        return False
    return _is_inside(url) or not _is_inside(target)


def _is_inside(url: str) -> bool:
    address = _ip((parsed(url).hostname or "").rstrip("."))
    return is_loopback(url) or (address is not None and not address.is_global)


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        address = ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    return None


@lru_cache(maxsize=_REMEMBERED)
def parsed(url: str) -> SplitResult:
    """The parts of an address. ConfigurationError for what can't be called."""
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return parts
        problem = "it names no host" if not parts.hostname else "0 is no port"
    except ValueError as error:
        problem = str(error)
    raise ConfigurationError(
        f"the address {url.partition('?')[0].rpartition('@')[2]!r:.100} can't be called: {problem}"
    )
