"""Group W, its second part: jobs and what becomes of them, accounts side by side, realtime."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet import APIResponseValidationError, CallsheetError, Video
from callsheet.testing.kit import probe
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import NOW, Bench, Desk, FastAsync
from callsheet.testing.kit.catalogue import any_operation, check, has_lasting_id, one_of
from callsheet.testing.kit.samples import OFFER, sample
from callsheet.testing.kit.sent import asked, document_of, leaves
from callsheet.testing.kit.upsets import noted
from callsheet.testing.kit.wire_tests import EXAMPLES
from callsheet.testing.wire import Wire

__all__ = ["JobTests"]


class JobTests(KitTests):
    """W09 to W14."""

    @check("W09", over=lambda operation: has_lasting_id(operation) or operation == "download_video")
    def test_w09_polling_is_the_callers(self, bench: Bench, operation: str) -> None:
        """A hook that begins a job returns at once; one that looks at it looks once; one that needs its end says so.

        If this fails: return the job as it is, with its id: the answer to the order is the last that is asked for.
        `client.wait` polls, with the pauses that the vendor asks for. Of a job that goes on, there is nothing to fetch or
        to change yet: NotFoundError, or what the vendor says.
        """
        endless = ("queued", *("in_progress",) * 500)

        def begin_endless(wire: Wire) -> None:
            wire.states = endless

        if not {"queued", "in_progress"} & set(bench.wire().job_states):
            pytest.skip("the jobs of this vendor are finished at once")
        if operation != "generate_video":
            self._not_ready(bench, operation)
        if operation == "download_video":
            return
        started = asked(bench, operation, before=begin_endless)
        assert started.error is None, f"{operation} failed: {started.error!r}"
        assert len(started.seen) <= 3, f"{operation} sent {len(started.seen)} requests: it waits for the job to end"
        last = started.seen[-1].number if started.seen and started.wire is not None else None
        begun = last is None or started.wire is None or started.wire.book.of_request(last)
        assert begun, (
            f"{operation} goes on asking after the job has begun: {started.seen[-1].method} {started.seen[-1].path}"
        )
        assert not started.slept, f"{operation} slept {started.slept}"
        assert not started.result.finished, f"{operation} says {started.result.status!r} of a job that has just begun"
        if "get_video" not in bench.offered:
            return

        async def scene(desk: Desk) -> tuple[int, list[float], Any]:
            fields = await sample(desk, operation)
            assert desk.wire is not None
            begin_endless(desk.wire)
            job = await desk.call(operation, **fields)
            start, slept = len(desk.wire.seen), len(desk.transport.slept)
            looked = await desk.call("get_video", video_id=job.id)
            assert looked.id == job.id, f"get_video calls the job {looked.id}, and {operation} {job.id}"
            return len(desk.wire.seen) - start, desk.transport.slept[slept:], looked

        requests, slept, looked = bench.play(scene)
        assert requests <= 3, f"get_video sent {requests} requests for one look"
        assert not slept, f"get_video slept {slept}: a look is a look"
        assert not looked.finished, f"get_video says {looked.status!r} of a job that goes on"

    def _not_ready(self, bench: Bench, operation: str) -> None:
        """What becomes of a job that is not finished, if somebody wants to go on from it."""
        if "generate_video" not in bench.offered:
            return

        async def scene(desk: Desk) -> CallsheetError | None:
            fields = await sample(desk, operation)
            assert desk.wire is not None
            desk.wire.states = ("queued", *("in_progress",) * 50)
            job = await desk.call("generate_video", **await sample(desk, "generate_video"))
            source = "video_id" if "video_id" in fields else "video"
            try:
                result = await desk.call(operation, **{**fields, source: job.id})
            except CallsheetError as error:
                return error
            if hasattr(result, "aclose"):
                await result.aclose()
            return None

        error = bench.play(scene)
        clear = not isinstance(error, APIResponseValidationError)  # None: this vendor takes a source that is not ready
        assert clear, f"{operation} of a job that is not finished: {error}"

    @check("W10", over=one_of({"get_video"}))
    def test_w10_states(self, bench: Bench, operation: str) -> None:
        """Whichever way a job goes, each look tells where it is; one that did not end well is never called completed.

        If this fails: map every state of the vendor's to queued, in_progress, completed or failed. An empty result, or an
        error inside a finished job, is `failed`.
        """
        known = tuple(bench.wire().job_states)
        going = [state for state in known if state in {"queued", "in_progress"}]
        ends = [state for state in known if state not in {"queued", "in_progress"}]
        if "generate_video" not in bench.offered:
            pytest.skip("a job is wanted, which generate_video would begin")
        if not going or not ends:
            pytest.skip("the jobs of this vendor have no course: see the wire's job_states")

        @EXAMPLES
        @given(st.lists(st.sampled_from(going), min_size=1, max_size=4), st.sampled_from(ends))
        def holds(way: list[str], end: str) -> None:
            way = sorted(way, key=("queued", "in_progress").index)
            told = _looks(bench, (*way, end, end))
            last = len(way) + 1
            for number, (state, video) in enumerate(zip((*way, end, end), told, strict=True)):
                wanted = min(99, 100 * number // last)
                if state == "in_progress" and video.progress is not None:
                    right = abs(video.progress - wanted) <= 1
                    assert right, f"{operation}: the progress is {video.progress} where the vendor says {wanted} %"
                if state in going:
                    right = video.status in {"queued", "in_progress"}
                elif state == "completed":
                    right = video.status == "completed"
                else:
                    right = video.finished and video.status != "completed"
                _tells_the_truth(video, operation)
                assert right, f"{operation}: a job that is {state} is told as {video.status!r}"
            assert told[-1].id == told[0].id, "the id of a job changes"

        holds()
        if "failed" in known:

            def fail(wire: Wire) -> None:
                wire.fail_job("content_policy", "It was about a goose.")

            last = _looks(bench, None, fail)[-1]
            assert last.status == "failed", f"a job that failed is told as {last.status!r}"
            assert last.error is not None, "a failed job says nothing of why: set Video.error"
            assert "goose" in str(last.error.message), f"what the vendor said of the failure is lost: {last.error!r}"

    @check("W11", over=one_of({"get_video"}))
    def test_w11_unknown_state(self, bench: Bench, operation: str) -> None:
        """A state that nobody has heard of is an error or is told as it is: never taken for an end, never waited on for ever.

        If this fails: `STATES.get(state, state)` passes it on; `wait` then says what it has met.
        """
        odd = bench.wire().unknown_state
        if odd is None or "generate_video" not in bench.offered:
            pytest.skip("the wire could not tell a state that is unknown")
        try:
            last = _looks(bench, ("queued", odd, odd))[-1]
        except APIResponseValidationError:
            return
        known = {"queued", "in_progress", "completed", "failed", "cancelled", "expired"}
        assert last.status not in known, f"{operation}: the unknown state {odd!r} is told as {last.status!r}"

    @check("W12", over=any_operation)
    def test_w12_calls_share_nothing(self, bench: Bench, operation: str) -> None:
        """Two accounts, used at the same time, keep their keys and requests apart.

        If this fails: look for what is kept in the class, in a module or in `self` from one call to the next.
        """
        keys = ("sk-kit-first-0001", "sk-kit-second-0002")
        wires = [bench.wire(keys={key} if bench.wire().keys else ()) for key in keys]

        async def both(desks: list[Desk]) -> None:
            fields = [await sample(desk, operation) for desk in desks]
            starts = [len(wire.seen) for wire in wires]
            await asyncio.gather(*(desk.call(operation, **f) for desk, f in zip(desks, fields, strict=True)))
            for key, wire, start in zip(keys, wires, starts, strict=True):
                wrong = [seen for seen in wire.seen[start:] if seen.key not in {key, None} and seen.key in keys]
                assert not wrong, f"{operation}: a request of one account showed the other's key"
                assert not wire.problems, f"{operation}: {wire.problems}"

        async def main() -> None:
            desks = [bench.desk(FastAsync(wire), wire, key=key) for wire, key in zip(wires, keys, strict=True)]
            try:
                await both(desks)
            finally:
                for desk in desks:
                    desk.close()

        with pytest.MonkeyPatch.context() as monkeypatch:
            if variable := bench.kind.Settings.env.get("api_key"):
                monkeypatch.setenv(variable, "sk-kit-of-the-environment")  # an account's own key counts
            asyncio.run(main())
        self._leaves_nothing_of_one_to_the_other(bench, operation)

    def _leaves_nothing_of_one_to_the_other(self, bench: Bench, operation: str) -> None:
        """What one account asked for with options is in no request of the next one."""

        async def scene(desk: Desk) -> list[Any]:
            assert desk.wire is not None
            fields = await sample(desk, operation)
            start = len(desk.wire.seen)
            await desk.call(operation, **fields)
            return [document_of(seen) for seen in desk.wire.seen[start:]]

        alone = bench.play(scene)
        asked(
            bench,
            operation,
            {"x_kit_mine": "of the first account", **({"seconds": 8} if operation == "generate_video" else {})},
        )
        assert bench.play(scene) == alone, f"{operation}: what one account asked for is sent for the next one, too"

    @check("W13", over=one_of({"mint_realtime_secret"}), vendor=False)
    def test_w13_realtime_secret(self, bench: Bench, operation: str) -> None:
        """Each ephemeral key is a new one, says when it ends, and its repr does not show it; a call in its name shows it only.

        If this fails: return a RealtimeSecret with `value` and `expires_at`, put the key into no other field, and keep
        none. `request.ephemeral_key` goes into Request(auth=...).
        """

        async def scene(desk: Desk) -> tuple[Any, Any, list[Any]]:
            fields = await sample(desk, operation)
            first, second = [await desk.call(operation, **fields) for _ in range(2)]
            start = len(desk.wire.seen) if desk.wire is not None else 0
            if "relay_sdp" in bench.offered:
                await desk.call("relay_sdp", sdp=OFFER, ephemeral_key=first.value)
            return first, second, desk.wire.seen[start:] if desk.wire is not None else []

        with probe.overheard() as said:
            first, second, seen = bench.play(scene)
        assert first.value, "the secret is empty"
        assert first.value not in said.getvalue(), "the secret is logged or printed"
        assert first.value != second.value, "two browsers got the same secret"
        assert first.expires_at > 0, "the secret does not say when it ends"
        assert first.value not in repr(first), "the repr shows the secret"
        wrong = [one.path for one in seen if one.key not in {first.value, None}]
        assert not wrong, "a call in the name of an ephemeral key shows the account's own key"

    @check("W14", over=one_of({"relay_sdp"}))
    def test_w14_sdp(self, bench: Bench, operation: str) -> None:
        """An SDP offer arrives byte for byte, its answer comes back so, and a call that can be ended has an id.

        If this fails: SDP is bytes, and its lines end in CRLF: no decoding, no stripping.
        """
        answers: list[bytes] = []
        done = asked(bench, operation, before=lambda wire: wire.fail(None, noted(answers), times=None))
        assert done.error is None, f"{operation} failed: {done.error!r}"
        sent = [leaf for seen in done.seen for leaf in leaves(document_of(seen))]
        texts = [leaf.encode() if isinstance(leaf, str) else leaf for leaf in sent]
        assert OFFER in texts, "the offer did not arrive as it is"
        assert done.result.sdp in answers, "the answer is not, byte for byte, what the vendor answered"
        if "hang_up" in bench.offered:
            assert done.result.id, "the call has no id, so nobody can hang up"


def _tells_the_truth(video: Video, operation: str) -> None:
    """Times in Unix seconds, and progress from 0 to 100."""
    if video.created_at is not None:
        right = min(abs(video.created_at - NOW), abs(video.created_at - time.time())) < 3600
        assert right, f"{operation}: created_at is {video.created_at}, which is no Unix time of the job's beginning"
    if video.progress is not None:
        assert 0 <= video.progress <= 100, f"{operation}: progress is {video.progress}; it goes from 0 to 100"


def _looks(bench: Bench, states: Any, before: Any = None) -> list[Video]:
    """A job as it begins, and as each look finds it."""
    wire = bench.wire(states=states) if states is not None else bench.wire()
    if before is not None:
        before(wire)
    number = len(states) if states is not None else wire.polls_until_done + 1

    async def scene(desk: Desk) -> list[Video]:
        told = [await desk.call("generate_video", **await sample(desk, "generate_video"))]
        for _ in range(number - 1):
            told.append(await desk.call("get_video", video_id=told[0].id))
        return told

    return bench.play(scene, wire=wire)
