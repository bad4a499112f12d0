"""Group L: time, cancellation, threads, and what must not pile up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from callsheet import APITimeoutError, CallsheetError
from callsheet.drive import finish
from callsheet.testing.faults import Fault
from callsheet.testing.kit import probe
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import MODES, Bench, Desk, FastAsync
from callsheet.testing.kit.catalogue import any_operation, check
from callsheet.testing.kit.samples import sample

__all__ = ["LeakTests"]


class Odd(BaseException):
    """What no adapter may catch."""


class LeakTests(KitTests):
    """L01 to L08."""

    @check("L01", over=any_operation)
    def test_l01_cancelled_anywhere(self, bench: Bench, operation: str) -> None:
        """A call that is cancelled, at whichever await, ends at once, and leaves no task, thread, file or connection.

        If this fails: a `finally` or `async with` is missing, or cancellation is caught on the way.
        """
        threads, files = threading.active_count(), _open_files()
        for step in range(200):
            if not asyncio.run(_cancelled_at(bench, operation, step)):
                break
        else:
            pytest.fail(f"{operation} does not end within 200 steps")
        _settled(lambda: threading.active_count() <= threads + 1, "threads are left behind")
        gc.collect()
        assert _open_files() <= files + 1, f"{operation}: {_open_files() - files} files are left open"

    @check("L02", over=any_operation)
    def test_l02_nothing_is_swallowed(self, bench: Bench, operation: str) -> None:
        """KeyboardInterrupt, SystemExit and cancellation pass through a hook as they are.

        If this fails: `except BaseException` and a bare `except` catch too much, and so does `except Exception: pass`.
        """

        async def scene(desk: Desk) -> BaseException | None:
            fields = await sample(desk, operation)
            start = len(desk.transport.asked)

            async def interrupted(_request: Any) -> Any:
                desk.transport.asked.append(_request)
                raise Odd

            desk.transport.open = interrupted
            try:
                await desk.call(operation, **fields)
            except Odd as error:
                return error
            except CallsheetError as error:
                return error
            return None if len(desk.transport.asked) > start else Odd()

        for mode in MODES:
            ended = bench.play(scene, mode)
            assert isinstance(ended, Odd), f"{operation}, {mode}: an interrupt became {ended!r}"

    @check("L03", over=any_operation)
    def test_l03_deadline(self, bench: Bench, operation: str) -> None:
        """A call is over when its time is, whether the vendor is silent or sends a byte now and then.

        If this fails: wait by io alone, and read by io alone: it keeps the deadline of the whole call.
        """
        ways = (
            (Fault.stall_after_headers, ("sync", "asyncio")),
            (lambda: Fault.slow_headers(interval=0.02), ("sync",)),
        )
        for fault, modes in ways:
            for mode in modes:
                wire = bench.wire()
                late, error = bench.play(_late(operation, fault), mode, wire, real=True)
                if error is None and operation == "download_video":
                    continue  # it has begun: from here on each piece has a time of its own
                if error is None:
                    pytest.skip(f"{operation} asks the vendor nothing")
                assert isinstance(error, APITimeoutError), f"{operation}, {mode}: {error!r}"
                assert late < 1.5, f"{operation}, {mode}: over {late:.1f} s after its deadline"

    @check("L04", over=any_operation, vendor=False)
    def test_l04_sync_inside_a_loop(self, bench: Bench, operation: str) -> None:
        """A sync call works inside of a running event loop.

        If this fails: something asks for the running loop, or starts one. Wait through io.
        """

        async def inside() -> None:
            bench.play(_once(operation))

        asyncio.run(inside())

    @check("L05", over=any_operation, vendor=False)
    def test_l05_nothing_blocks(self, bench: Bench, operation: str) -> None:
        """Nothing blocks the event loop: no time.sleep, no blocking socket, no file that is read or written in it.

        If this fails: let what blocks go through `await io.run(function, ...)`.
        """
        with probe.blocking(bench.kind.__module__.partition(".")[0]) as found:
            bench.play(_once(operation), "asyncio", real=True)
        assert not found, f"{operation} blocks the event loop: {'; '.join(sorted(set(found)))}"

    @check("L06", over=any_operation)
    def test_l06_nothing_piles_up(self, bench: Bench, operation: str) -> None:
        """A hundred calls leave no more memory, files, sockets or garbage behind than ten.

        If this fails: look for lists and dictionaries that only grow, and for answers that are never closed.
        """
        wire = bench.wire()

        async def scene(desk: Desk) -> None:
            fields = await sample(desk, operation)
            with contextlib.suppress(CallsheetError):  # what is deleted once can't be deleted a second time
                for _ in _times(20):
                    await _through(desk, operation, fields)
            wire.seen.clear()
            gc.collect()
            files, before = _open_files(), _held(desk)
            calls = 0
            for _ in _times(100):
                calls += 1
                with contextlib.suppress(CallsheetError):
                    await _through(desk, operation, fields)
                desk.transport.asked.clear()
                desk.transport.answers.clear()
            gc.collect()
            assert _open_files() <= files + 2, f"{operation}: {_open_files() - files} files or sockets are left open"
            grown = _held(desk) - before
            assert grown < calls / 2, (
                f"{operation}: {calls} calls left {grown} more things in the provider, its class or its modules"
            )

        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            bench.play(scene, wire=wire)
        assert not gc.garbage

    @check("L07", over=any_operation)
    def test_l07_threads_and_tasks(self, bench: Bench, operation: str) -> None:
        """Fifty threads may use one client at once, and so may the tasks of an event loop, asyncio's or trio's.

        If this fails: look for what is kept in `self` from one await to the next, and for locks of asyncio's.
        """
        problems: list[str] = []

        async def once(desk: Desk, fields: dict[str, Any]) -> None:
            try:
                await _through(desk, operation, {name: _again(value) for name, value in fields.items()})
            except CallsheetError as error:
                if error.status_code not in {404, 409}:  # deleted by another one already
                    problems.append(repr(error))
            except Exception as error:
                problems.append(repr(error))

        async def threads(desk: Desk) -> None:
            fields = await sample(desk, operation)
            with ThreadPoolExecutor(50) as pool:
                list(pool.map(lambda _: finish(once(desk, fields)), range(50)))

        async def tasks(desk: Desk) -> None:
            fields = await sample(desk, operation)
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(once, desk, fields)

        for mode in MODES:
            wire = bench.wire()
            bench.play(threads if mode == "sync" else tasks, mode, wire, real=mode == "sync")
            assert not problems, f"{operation}, {mode}: {problems[0]}, and {len(problems) - 1} more"
            assert not wire.problems, f"{operation}, {mode}: {wire.problems[0]}"

    @check("L08", over=any_operation)
    def test_l08_after_fork(self, bench: Bench, operation: str) -> None:
        """A client that was used before a fork works in the child.

        If this fails: look for threads, loops and connections that are made once and kept.
        """
        if not hasattr(os, "fork"):
            pytest.skip("this system has no fork")
        wire = bench.wire()

        async def scene(desk: Desk) -> int:
            fields = await sample(desk, operation)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forks in programs with threads
                child = os.fork()
            if child == 0:
                with contextlib.suppress(BaseException):
                    finish(_through(desk, operation, fields))
                    os._exit(0)
                os._exit(1)
            for _ in range(250):
                done, status = os.waitpid(child, os.WNOHANG)  # noqa: ASYNC222  a sync call
                if done:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.02)  # noqa: ASYNC251  a sync call
            os.kill(child, 9)
            os.waitpid(child, 0)  # noqa: ASYNC222
            return -9

        code = bench.play(scene, wire=wire)
        assert code == 0, f"{operation} {'hangs' if code == -9 else 'fails'} in a forked child"


def _once(operation: str) -> Callable[[Desk], Any]:
    async def scene(desk: Desk) -> None:
        await _through(desk, operation, await sample(desk, operation))

    return scene


async def _through(desk: Desk, operation: str, fields: dict[str, Any]) -> None:
    """A call, and what it gives read to its end."""
    result = await desk.call(operation, **fields)
    if hasattr(result, "__anext__"):
        async with result:
            async for _ in result:
                pass


def _times(most: int) -> Iterator[None]:
    """So many times; where a call takes long, as often as it fits into a second, and ten times at least."""
    started = time.monotonic()
    for number in range(most):
        if number >= 10 and time.monotonic() - started > 1:
            break
        yield


def _again(value: Any) -> Any:
    """The same file once more: what is read already can't be read by fifty."""
    if hasattr(value, "replayable"):
        return type(value).of((value.filename, value.source))
    return value


async def _cancelled_at(bench: Bench, operation: str, step: int) -> bool:
    """Cancel a call after so many turns of the loop. Whether it was still under way."""
    wire = bench.wire()
    desk = bench.desk(FastAsync(wire), wire)
    try:
        fields = await sample(desk, operation)
        before = asyncio.all_tasks()
        task = asyncio.create_task(_through(desk, operation, fields))
        for _ in range(step):
            await asyncio.sleep(0)
        if task.done():
            task.exception()
            return False
        task.cancel()
        with anyio.move_on_after(5):
            with contextlib.suppress(asyncio.CancelledError, CallsheetError):
                await task
            assert task.cancelled(), f"{operation}: cancellation at step {step} was swallowed: {task}"
            left = asyncio.all_tasks() - before - {task}
            assert not left, f"{operation}: cancelled at step {step}, it leaves tasks behind: {left}"
            unread = [answer for answer in desk.transport.answers if not answer.closed]
            assert not unread, f"{operation}: cancelled at step {step}, it leaves an answer open"
            return True
        pytest.fail(f"{operation}: cancelled at step {step}, it does not end")
    finally:
        desk.close()


def _late(operation: str, fault: Callable[[], Fault]) -> Callable[[Desk], Any]:
    """Seconds that a call outlasts its deadline of 0.15 s, and its error."""

    async def scene(desk: Desk) -> tuple[float, CallsheetError | None]:
        assert desk.wire is not None
        fields = await sample(desk, operation)
        desk.wire.fail(None, fault(), times=None)
        started = time.monotonic()
        error = None
        try:
            result = await desk.call(operation, timeout=0.15, **fields)
            if hasattr(result, "aclose"):
                await result.aclose()
        except CallsheetError as raised:
            error = raised
        return time.monotonic() - started - 0.15, error

    return scene


def _settled(condition: Callable[[], bool], problem: str) -> None:
    for _ in range(100):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(problem)


def _open_files() -> int:
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0


def _held(desk: Desk) -> int:
    """How much there is in the containers that the provider, its class and its package's modules hold on to."""
    accounts = desk.router.accounts
    provider = accounts.dispatcher(accounts.of_provider(desk.bench.name)).provider
    package = desk.bench.kind.__module__.partition(".")[0]
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == package]
    waiting: list[Any] = [vars(provider), *(vars(base) for base in type(provider).__mro__), *map(vars, modules)]
    seen: set[int] = set()
    count = 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if hasattr(thing, "cache_info") and str(thing.__module__).partition(".")[0] == package:  # others mind their own
            count += thing.cache_info().currsize
        elif isinstance(thing, Mapping):
            count += len(thing)
            waiting += thing.values()
        elif isinstance(thing, list | tuple | set | frozenset | deque):
            count += len(thing)
            waiting += thing
        elif type(thing).__module__.partition(".")[0] == package and hasattr(thing, "__dict__"):
            waiting.append(vars(thing))
    return count
