"""What of aiortc and aioice is changed: which addresses are offered, where work is done, and what is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, ParamSpec, TypeVar

import aioice.ice
import aiortc  # noqa: F401  its import sets up what is changed here

from callsheet import ConfigurationError

__all__ = ["Inline", "addresses"]

P = ParamSpec("P")
T = TypeVar("T")
Ways = Literal["all", "loopback"]
_ways: ContextVar[Ways | None] = ContextVar("callsheet_local_ice", default=None)
_found = getattr(aioice.ice, "get_host_addresses", None)


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """aioice never offers 127.0.0.1, and has no option for it. Where nobody asked us, its own answer stands."""
    ways = _ways.get()
    others = [] if ways == "loopback" or _found is None else _found(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
    return others if ways is None or not use_ipv4 else ["127.0.0.1", *(one for one in others if one != "127.0.0.1")]


if _found is not None:
    aioice.ice.get_host_addresses = _host_addresses


@contextmanager
def addresses(ways: Ways) -> Iterator[None]:
    """Offer 127.0.0.1 in this task and those that it starts: alone ("loopback"), or with the host's addresses ("all")."""
    if _found is None and ways == "loopback":
        raise ConfigurationError(
            "this version of aioice can't be told to offer 127.0.0.1 only: install aioice 0.10 to 0.13,"
            " or leave the setting ice at 'all'",
            code="ice_unsupported",
            param="ice",
        )
    token = _ways.set(ways)
    try:
        yield
    finally:
        _ways.reset(token)


class Inline(ThreadPoolExecutor):
    """An executor with no threads: encoding 20 ms of sound takes less time than handing it over.

    It also works while the interpreter ends, when a pool of threads takes no work any more.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # as a pool does
            future.set_exception(error)
        return future


class _NoDescriptions(logging.Filter):
    """Keeps session descriptions, which hold passwords, out of aiortc's debug log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_sdp(arg) for arg in record.args)
        return True


def _without_sdp(arg: Any) -> Any:
    return f"[{len(arg)} characters of SDP]" if isinstance(arg, str) and arg.startswith("v=0") else arg


logging.getLogger("aiortc.rtcpeerconnection").addFilter(_NoDescriptions())
