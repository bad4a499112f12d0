"""New connections: names to addresses, one address after the other, TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable

import anyio

from callsheet import APIConnectionError, APITimeoutError
from callsheet import transport as core
from callsheet_gateway.upstream.connection import Connection
from callsheet_gateway.upstream.request import Origin

__all__ = ["connect"]

NEXT = 2.0
"""Seconds for each of a host's addresses but the last: IPv6 that leads nowhere must not hold a call up for long."""
CLOSING = 0.05
"""Seconds to wait for the end of a connection that did not come about: uvloop closes its socket, and tells nobody."""


async def connect(
    origin: Origin, make: Callable[[], Connection], trust: ssl.SSLContext | None, deadline: float, where: str
) -> Connection:
    """A new connection, with its TLS handshake done when there is a context `trust` for it.

    It has ten seconds, or less if `deadline` (a reading of time.monotonic()) comes first. APIConnectionError or
    APITimeoutError, with sent=False and beginning with the words `where`, when it does not come about.
    """
    made = make()
    limit = min(deadline, time.monotonic() + core.CONNECT)
    try:
        with anyio.fail_after(max(0.0, limit - time.monotonic())):
            await _to_any(await _addresses(origin), origin, made, trust)
    except TimeoutError:
        await made.close(CLOSING)
        reason = "no answer before the deadline" if limit == deadline else f"no answer within {core.CONNECT:g} seconds"
        raise APITimeoutError(f"{where}: {reason} (connecting)", sent=False) from None
    except (OSError, UnicodeError, ssl.CertificateError) as error:
        await made.close(CLOSING)
        reason = str(error) or type(error).__name__
        raise APIConnectionError(
            f"{where}: {reason}; is the server running, and is the base URL right?", sent=False
        ) from error
    except BaseException:
        await made.close(CLOSING)
        raise
    return made


async def _to_any(addresses: list[str], origin: Origin, made: Connection, trust: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    name = origin.host if trust is not None else None
    for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
        try:
            with anyio.fail_after(NEXT if left else None):
                await loop.create_connection(lambda: made, address, origin.port, ssl=trust, server_hostname=name)
            return
        except (OSError, TimeoutError) as error:
            await made.close(CLOSING)
            if not left or isinstance(error, ssl.SSLError):
                raise


async def _addresses(origin: Origin) -> list[str]:
    """A host's addresses in the order in which the system wants them tried."""
    try:
        ipaddress.ip_address(origin.host)
    except ValueError:
        pass
    else:
        return [origin.host]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=1)  # socket.SOCK_STREAM
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
