"""The bench: a provider under test, its vendor's side, and desks from which it is called, whichever way one waits."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field

from callsheet import OPERATIONS, AsyncTransport, BlockingTransport, PluginError, Provider, Registry, Transport
from callsheet.client_base import build_request
from callsheet.drive import finish
from callsheet.exchange import Outgoing
from callsheet.ids import IdCodec
from callsheet.installed import entry_points
from callsheet.registry import notes_of, offered_hooks
from callsheet.routing import Accounts, Router
from callsheet.testing.inprocess import BlockingFakeTransport
from callsheet.testing.wire import Wire

__all__ = ["MODES", "Bench", "Desk", "wire_of"]

T = TypeVar("T")
MODES = ("sync", "asyncio", "trio")
WIRES = "callsheet.wires"
NOW = 1_800_000_000.0
ADDRESS = "http://127.0.0.1:9"
"""Where the vendor is said to be when there is no socket."""


class FastBlocking(BlockingFakeTransport):
    """Without a socket, and without waiting: `slept`: what was not waited for; `asked` and `answers`: what went and came."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.slept: list[float] = []
        self.asked: list[Outgoing] = []
        self.answers: list[Any] = []

    async def open(self, request: Outgoing) -> Any:
        self.asked.append(request)
        self.answers.append(await super().open(request))
        return self.answers[-1]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > 1000:  # where nobody waits, who polls for ever is not stopped by any clock
            pytest.fail("it sleeps and sleeps: a hook looks once, and leaves waiting to its caller")


class FastAsync(FastBlocking):
    """The same for async calls: each of its ways is a turn of the loop."""

    blocking = False

    async def open(self, request: Outgoing) -> Any:
        await anyio.lowlevel.checkpoint()
        return InTurns(await super().open(request))

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await anyio.lowlevel.checkpoint()

    async def run(self, function: Callable[..., T], *args: object) -> T:
        await anyio.lowlevel.checkpoint()
        return function(*args)  # in no thread: how many turns of the loop a call takes must not depend on the clock


@define(eq=False)
class InTurns:
    """An answer of which each piece is a turn of the loop, as from a socket: calls may be cancelled there, too."""

    _answer: Any

    async def read(self, deadline: float) -> bytes:
        await anyio.lowlevel.checkpoint()
        content: bytes = await self._answer.read(deadline)
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)


class NoVendor:
    """Where there is no vendor's side, the real one is not called."""

    blocking = True

    async def open(self, request: Outgoing) -> Any:
        pytest.fail(f"a request was sent, to {request.url.partition('?')[0]}, where nothing was asked for")

    async def sleep(self, seconds: float) -> None:
        pass

    async def run(self, function: Callable[..., T], *args: object) -> T:
        return function(*args)


@define(eq=False)
class Bench:
    """A provider under test. `kind` is its class, `wire_kind` its vendor's side."""

    name: str
    kind: type[Provider]
    wire_kind: type[Wire] | None
    point: EntryPoint | None = None
    """The entry point that it was found by, if it is installed."""
    working: dict[str, bool] = field(factory=dict, init=False)
    """The operations that were tried, and whether they work at all."""
    cache: Path | None = None
    """Where what takes long to find out may be kept from one run to the next."""
    folder: tempfile.TemporaryDirectory[str] = field(factory=tempfile.TemporaryDirectory, init=False, repr=False)
    """Of this run's own."""

    @property
    def offered(self) -> tuple[str, ...]:
        """The operations that it implements, in the contract's order. Raises ProviderLoadError for a misfit."""
        offered = offered_hooks(self.kind, self.name)
        return tuple(operation for operation in OPERATIONS if operation in offered)

    def about(self) -> dict[str, Any]:
        """What reports say of it, as plain data."""
        try:
            return {"operations": list(self.offered), "notes": notes_of(self.kind)}
        except PluginError:  # the group S says why
            return {"operations": [], "notes": {}}

    def wire(self, **settings: Any) -> Wire:
        """A vendor's account, the same each time."""
        assert self.wire_kind is not None
        return self.wire_kind(seed="kit", clock=lambda: NOW, **settings)

    def account_settings(self, wire: Wire | None) -> Mapping[str, Any]:
        folder = Path(tempfile.mkdtemp(dir=self.folder.name))
        return wire.settings(folder) if wire is not None else {}

    def desk(
        self, transport: Transport, wire: Wire | None, base_url: str | None = None, key: str | None = None
    ) -> Desk:
        """A caller's place. The provider has one account there."""
        registry = Registry(points=[], wraps=())
        registry.register(self.name, self.kind)
        accounts = Accounts(registry, configured_only=True)
        options = dict(self.account_settings(wire))
        if wire is not None and not self.kind.embedded:
            shown = key or next(iter(wire.keys), None)
            options = {
                **({"api_key": shown} if shown else {}),
                "base_url": base_url or ADDRESS + wire.prefix,
                **options,
            }
        accounts.add(self.name, options)
        return Desk(self, Router(accounts, IdCodec()), transport, wire)

    def play(
        self, scene: Callable[[Desk], Awaitable[T]], mode: str = "sync", wire: Wire | None = None, *, real: bool = False
    ) -> T:
        """Let a scene happen at a desk. `real`: over a socket and in real time; an embedded provider always has that."""
        if wire is None and self.wire_kind is not None:
            wire = self.wire()
        if wire is None and not self.kind.embedded:
            transport: Any = NoVendor()
            desk = self.desk(transport, None)
            try:
                return finish(scene(desk))
            finally:
                desk.close()
        with ExitStack() as stack:
            in_process = not real and not self.kind.embedded and wire is not None
            url = None
            if not in_process and not self.kind.embedded and wire is not None:
                url = stack.enter_context(wire.serve())
            if mode == "sync":
                transport = FastBlocking(wire) if in_process and wire else BlockingTransport()
                if not in_process:
                    stack.callback(transport.close)
                desk = self.desk(transport, wire, url)
                stack.callback(desk.close)
                return finish(scene(desk))
            try:
                return anyio.run(partial(self._async, scene, wire, in_process, url), backend=mode)
            finally:
                if not in_process:
                    gc.collect()  # what is left to the garbage collector is heard of now, and in no other test

    async def _async(
        self, scene: Callable[[Desk], Awaitable[T]], wire: Wire | None, in_process: bool, url: str | None
    ) -> T:
        async with AsyncExitStack() as stack:
            transport: Any = FastAsync(wire) if in_process and wire else AsyncTransport()
            if not in_process:
                stack.push_async_callback(transport.aclose)
            desk = self.desk(transport, wire, url)
            stack.callback(desk.close)
            return await scene(desk)

    def close(self) -> None:
        self.folder.cleanup()


@define(eq=False)
class Desk:
    """Where calls are made from: through the router, as every client's are."""

    bench: Bench
    router: Router
    transport: Any
    wire: Wire | None
    past: dict[str, Any] = field(factory=dict, init=False)
    """What was made here before: see `samples`."""

    async def call(self, operation: str, *, timeout: float = 60.0, **fields: Any) -> Any:
        """Call an operation. Fields that its request does not know are options."""
        known = OPERATIONS[operation].request.model_fields
        options = {name: value for name, value in fields.items() if name not in known}
        named = {name: value for name, value in fields.items() if name in known}
        if OPERATIONS[operation].takes_model and "model" not in named:
            named["model"] = self.model(operation)  # model=None means: none
        request, _ = build_request(operation, named, {"extra_body": options}, sync=False)
        return await self.router.call(operation, request, self.transport, provider=self.bench.name, timeout=timeout)

    def model(self, operation: str) -> str:
        """A model for an operation: the first that the provider names for it, else the wire's."""
        named = (model for model, uses in self.bench.kind.models.items() if operation in uses)
        return f"{self.bench.name}/{next(named, self.wire.model if self.wire else 'kit-model')}"

    async def pause(self, seconds: float = 0.05) -> None:
        await self.transport.sleep(seconds)

    def close(self) -> None:
        self.router.accounts.close()


def wire_of(name: str) -> type[Wire] | None:
    """The vendor's side that a provider's distribution ships: the entry point of its name in `callsheet.wires`."""
    for point in entry_points(WIRES):
        if point.name == name:
            found: type[Wire] = point.load()
            return found
    return None
