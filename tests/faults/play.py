"""One cell played: a fresh fake, a fresh client, one call; and everything that can be known of it afterwards."""

from __future__ import annotations

import inspect
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
from attrs import define, evolve, field, frozen
from tests.faults.cells import FAULTS as MATRIX
from tests.faults.cells import REJECTIONS, VENDORS, Cell
from tests.faults.certificates import Authority
from tests.faults.connections import Place, places
from tests.faults.groups import CALLS, SIDES, configuration, credentials
from tests.faults.groups import CANARIES as KEYS_OF_GROUPS
from tests.faults.leaks import LogBook, Watch, active_connections, rendered, within
from tests.faults.vendors import CANARIES, EPHEMERAL, HEADER, KEY

from callsheet import AsyncClient, Client, NotFoundError
from callsheet.dispatch import Dispatcher
from callsheet.drive import finish
from callsheet.ids import KINDS, IdCodec
from callsheet.io import IO
from callsheet.routing.backend import Backend
from callsheet.testing import FAULTS, Entry, FakeUpstream, Fault, Happened, Wire

__all__ = ["HINT", "Record", "World", "play"]

SHORT, LONG, LONGEST = 0.3, 3.0, 12.0
SLOW = {3, 6, 8, 9, 10}
HEAVY = {30, 32}
HINT = 0.2
"""Seconds: the 2 s of fault 21, scaled."""
BACKOFF = 0.05
"""By how much the pauses between attempts are scaled."""


@frozen
class Doing:
    """How a deployment is doing."""

    failures: int
    ejected: bool
    paused: bool
    under_way: int


@frozen
class Side:
    """One account: where the client is sent for it, the fake, and the fault that waits there."""

    url: str
    fake: Wire
    fault: Fault | None


@define
class Record:
    """What is known of a cell that was played."""

    cell: Cell
    deadline: float
    seconds: float = 0.0
    error: BaseException | None = None
    result: Any = None
    events: list[str] = field(factory=list)
    """Of a stream: the types that came, or in chat "chunk" and "content"."""
    arrivals: list[float] = field(factory=list)
    """When requests had arrived at the fake, or at the fakes together."""
    sides: list[int] = field(factory=list)
    """At which of them."""
    book: list[Entry] = field(factory=list)
    """What is on the bill, and by which of these requests it got there."""
    named: str | None = None
    """The vendor's own id of what the result, or the stream's events, say that was begun."""
    outcome: str = "not_sent"
    """What the last attempt's io says became of its requests that may be billed."""
    attempts: int = 0
    """How many attempts there were, as the call itself says."""
    happened: list[Happened] = field(factory=list)
    problems: list[str] = field(factory=list)
    proof: str = ""
    tried: int | None = None
    trapped: list[dict[str, str]] = field(factory=list)
    """The headers of requests that a redirection led elsewhere."""
    files: list[str] = field(factory=list)
    """What a download left in its folder."""
    leaks: list[str] = field(factory=list)
    secrets: list[str] = field(factory=list)
    mixed_up: list[str] = field(factory=list)
    """What an account was shown that is another one's."""
    health: list[Doing] = field(factory=list)
    """Of each deployment, after the call."""

    @property
    def begun(self) -> int:
        """How much work was accepted."""
        return len(self.book)


class World:
    """What the cells of one process share. Makes this process trust the certificates of the TLS faults."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="callsheet-faults-")
        self.folder = Path(self._folder.name)
        (self.folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(2000))
        authority = Authority(self.folder)
        os.environ["SSL_CERT_FILE"] = str(authority.file)
        for vendor in VENDORS.values():
            for name in vendor.settings.env.values():
                os.environ.pop(name, None)
        self.places = places(authority)
        self.trap = FakeUpstream()
        self._trapping = self.trap.serve()
        self.trap_url = self._trapping.__enter__()
        self.log = LogBook()
        self.ios: list[IO] = []
        """The io of each attempt of the cell that is played."""
        _hurry()
        _listen(self.ios)

    def close(self) -> None:
        self._trapping.__exit__(None, None, None)
        for place in self.places.values():
            place.close()
        self._folder.cleanup()


def _hurry() -> None:
    """Scale the pauses between attempts. A hint of the upstream's is obeyed as it is."""
    from callsheet.routing import retry

    def uniform(low: float, high: float) -> float:
        return random.uniform(low, high * BACKOFF if low == 0 else high)

    vars(retry)["random"] = SimpleNamespace(uniform=uniform)  # all of it that is used


def _listen(ios: list[IO]) -> None:
    """Take down each attempt's io, which is otherwise between the retry loop and the provider."""
    real = Dispatcher.call

    def call(dispatcher: Dispatcher, operation: str, request: Any, io: IO) -> Any:
        ios.append(io)
        return real(dispatcher, operation, request, io)

    setattr(Dispatcher, "call", call)  # noqa: B010  said like this, no type checker minds


def play(cell: Cell, world: World) -> Record:
    """Play a cell. Whatever happens is in the record, and nothing is judged."""
    deadline = SHORT if cell.number in SLOW else LONGEST if cell.number in HEAVY else LONG
    record = Record(cell, deadline)
    world.log.lines.clear()
    world.trap.seen.clear()
    folder = world.folder / "downloads"
    folder.mkdir(exist_ok=True)
    (folder / "clip.mp4").write_bytes((world.folder / "clip.mp4").read_bytes())
    place = world.places.get(cell.number)
    with _upstreams(cell, world, place) as sides, Watch() as watch:
        options = _options(cell, sides, deadline)
        if cell.mode == "sync":
            finish(_one_call(Client(**options), record, folder))
        else:
            anyio.run(_in_loop, options, record, folder, watch, backend=cell.mode)
        if world.ios:
            record.outcome, record.attempts = world.ios[-1].outcome, world.ios[-1].meta.attempts
        world.ios.clear()  # they hold the client's connections
        if not within(1.0, lambda: all(side.fake.connections == 0 for side in sides)):
            watch.found.append(f"{[side.fake.connections for side in sides]} connections still open at the server")
        watch.check()
        _gather(record, sides)
        if place is not None:
            record.tried, record.proof = place.tried(), place.proof()
        shown = rendered(record.error, [record.result, record.events, *world.log.lines])
        minted = getattr(record.result, "value", None)
        canaries = [*CANARIES, *KEYS_OF_GROUPS, *([minted] if isinstance(minted, str) else [])]
        record.secrets = [canary for canary in dict.fromkeys(canaries) if canary in shown]
    record.leaks += watch.found
    record.trapped = [seen.headers for seen in world.trap.seen]
    record.files = sorted(file.name for file in folder.iterdir() if file.name != "clip.mp4")
    for file in folder.iterdir():
        file.unlink()
    return record


def _options(cell: Cell, sides: list[Side], deadline: float) -> dict[str, Any]:
    """What the client is made with."""
    if cell.topology != "one":  # no timeout of the caller's own: it would be him who was in a hurry
        return {"config": configuration([side.url for side in sides], deadline)}
    return {
        "provider": cell.provider,
        "api_key": KEY,
        "base_url": sides[0].url,
        "settings": {"timeout": deadline, "headers": {"x-access-token": HEADER}},
        "timeout": deadline,
    }


def _gather(record: Record, sides: list[Side]) -> None:
    """What was seen at all of them, in the order in which it came."""
    came = sorted((seen.at, side, seen.number) for side, one in enumerate(sides) for seen in one.fake.seen)
    number = {(side, own): place for place, (_, side, own) in enumerate(came)}
    record.arrivals, record.sides = [at for at, _, _ in came], [side for _, side, _ in came]
    for side, one in enumerate(sides):
        record.book += [
            evolve(entry, request=number[side, entry.request])
            for entry in one.fake.book.accepted()
            if (side, entry.request) in number
        ]
        record.problems += [str(problem) for problem in one.fake.problems]
        if one.fault is not None:
            record.happened += [
                evolve(happened, request=number[side, happened.request]) for happened in one.fault.happened
            ]
        others = {secret for other in range(len(sides)) if other != side for secret in credentials(other)}
        shown = [value for seen in one.fake.seen for _, value in seen.raw_headers]
        record.mixed_up += [
            f"{secret} at {side}" for secret in sorted(others) if any(secret in value for value in shown)
        ]
    record.book.sort(key=lambda entry: entry.request)
    record.happened.sort(key=lambda happened: happened.request)


@contextmanager
def _upstreams(cell: Cell, world: World, place: Place | None) -> Iterator[list[Side]]:
    """Where the client is sent, and the faults that wait there."""
    if place is not None:
        place.begin()
    with ExitStack() as stack:
        sides = []
        for number in range(len(SIDES.get(cell.topology, "1"))):
            fake = cell.vendor.wire(place.url if place is not None and cell.op.before else None)
            if cell.topology != "one":
                fake.keys, fake.state.seed = {credentials(number)[0]}, str(number)
            faulty, fault, url = cell.always or number == 0, None, ""
            if place is not None and not cell.op.before and faulty:
                url = place.url
            elif place is None and faulty:
                times = None if cell.always or cell.topology != "one" else 1
                fault = fake.fail(cell.op.route, _fault(cell, world, number), times)
            sides.append(Side(url or stack.enter_context(fake.serve()), fake, fault))
        yield sides


def _fault(cell: Cell, world: World, side: int) -> Fault:
    number, name = cell.number, MATRIX[cell.fault] or ""
    # Where nothing is run twice, the fault comes after acceptance if it can: that is the harder case.
    after = cell.accept == "after" or (not cell.accept and number not in REJECTIONS)
    options: dict[str, Any] = {"after_accept": after}
    if name[:3].isdigit():
        key, header = credentials(side)
        words = f"The key {EPHEMERAL if cell.operation == 'calls' else key} and {header} were seen."
        options |= {"message": words}
    match number:
        case 8:
            options |= {"interval": 0.01}
        case 10:  # A stream may come slowly as long as it comes; longer than its patience it must not stop.
            options |= {"interval": 0.01 if cell.op.answer in {"document", "sdp"} else 1.5 * SHORT}
        case 11 | 12 | 13:
            options |= {"pause": 0.15}
        case 21:
            options |= {"retry_after": HINT}
        case 34:
            options |= {"to": f"{world.trap_url}/latest/meta-data"}
    return FAULTS[name](**options)


async def _in_loop(options: Mapping[str, Any], record: Record, folder: Path, watch: Watch) -> None:
    before = _tasks(record.cell.mode)
    await _one_call(AsyncClient(**options), record, folder)
    end = time.monotonic() + 1.0
    while _tasks(record.cell.mode) > before and time.monotonic() < end:
        await anyio.sleep(0.002)
    if (now := _tasks(record.cell.mode)) > before:
        watch.found.append(f"{now - before} tasks more than before")


def _tasks(mode: str) -> int:
    if mode == "trio":
        import trio

        return trio.lowlevel.current_statistics().tasks_living
    import asyncio

    return len(asyncio.all_tasks())


async def _one_call(client: Any, record: Record, folder: Path) -> None:
    """Call, and read a stream to its end. Sync clients answer at once, others are awaited."""
    started = time.monotonic()
    try:
        calls = record.cell.vendor.calls if record.cell.topology == "one" else CALLS
        result = await _awaited(calls[record.cell.operation](client, folder))
        if record.cell.op.answer == "stream":
            if hasattr(result, "__anext__"):
                async for event in result:
                    _take_down(event, record)
            else:
                for event in result:
                    _take_down(event, record)
        else:
            record.named = _own_id(getattr(result, "id", None) or getattr(result, "value", None))
        record.result = result
    except BaseException as error:
        record.error = error
    record.seconds = time.monotonic() - started
    record.health = [_doing(backend) for backend in client.router.models.backends()]
    end = time.monotonic() + 1.0
    while (busy := active_connections(client)) and time.monotonic() < end:
        if record.cell.mode == "sync":
            time.sleep(0.002)
        else:
            await anyio.sleep(0.002)
    if busy:
        record.leaks.append(f"busy: {busy}")
    await _awaited(client.close())


def _doing(backend: Backend) -> Doing:
    health = backend.health
    paused = health.paused_until > time.monotonic()
    return Doing(health.failures, health.ejected_until is not None, paused, backend.in_flight)


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _take_down(event: Any, record: Record) -> None:
    record.events.append(_kind(event))
    with suppress(ValueError, AttributeError):  # "[DONE]", and what a fault made of an event
        document = event.data
        record.named = _own_id((document.get("response") or document).get("id")) or record.named


def _own_id(id: object) -> str | None:
    """The vendor's own id in the place of a managed one."""
    for kind in KINDS if isinstance(id, str) else ():
        with suppress(NotFoundError):
            return IdCodec().decode(str(id), kind).upstream
    return id if isinstance(id, str) else None


def _kind(event: Any) -> str:
    if event.type != "message":
        return str(event.type)
    try:
        choices = event.data["choices"]
        return "content" if choices and choices[0]["delta"].get("content") else "chunk"
    except (ValueError, KeyError, TypeError):
        return event.raw[:20]
