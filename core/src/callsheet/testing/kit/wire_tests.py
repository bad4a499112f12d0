"""Group W: what is sent."""

from __future__ import annotations

import contextlib
import copy
from itertools import zip_longest
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from callsheet import (
    OPERATIONS,
    BadRequestError,
    CallsheetError,
    Download,
    Video,
    path_segment,
)
from callsheet.ids import IdCodec
from callsheet.testing.faults import Fault
from callsheet.testing.kit import probe
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import MODES, Bench, Desk
from callsheet.testing.kit.catalogue import any_operation, check, has_text, one_of, takes_body
from callsheet.testing.kit.samples import IDS, MANY, ODD, SAID, TOGETHER, sample, text_field
from callsheet.testing.kit.sent import (
    Outcome,
    asked,
    document_of,
    idempotency_keys,
    leaves,
    plain,
    spelled,
    upstream_id,
)
from callsheet.testing.kit.upsets import more_fields
from callsheet.testing.seen import Seen

__all__ = ["WireTests"]

NASTY = (
    " padded\n",
    "e\u0301 \u202e \U0001f3ac \u0000 \"\\' </p> %s {x} \u2028 \ufeff",
    "MiXeD CaSe -- und Umlaute: äöüß",
    "line one\r\nline two\ttab",
    "a" * 5000,
)
OPTIONS: dict[str, Any] = {
    "x_kit_option": "kept – exactly \u202eas it is\n",
    "x_kit_zero": 0,
    "x_kit_off": False,
    "x_kit_deep": {"a": [1, "é"]},
}
UNKNOWN_MODEL = "kit-unheard-of-7"
NASTY_IDS = ("a/b", "a?kit=c#d", "../../a", "a%2Fb", "é ü")
EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),  # what core's lines have to do with it explains nothing
)
"""The same examples each time: somebody else's release must not hang on a die."""


class WireTests(KitTests):
    """W01 to W07, and W15."""

    @check("W01", over=any_operation)
    def test_w01_right_request(self, bench: Bench, operation: str) -> None:
        """A plain request reaches the vendor as the vendor wants it, and is answered.

        If this fails: the wire says what is wrong with method, path, header or body; compare with the vendor's documents. A
        field that this vendor must have goes into the wire's `samples`. What needs this operation is not asked meanwhile.
        """
        wire = bench.wire()
        done = asked(bench, operation, wire=wire)
        assert not wire.problems, f"{operation}: {'; '.join(map(str, wire.problems))}"
        assert done.error is None, f"{operation} failed: {done.error!r}"
        note = bench.kind.notes.get(operation, "")
        asks = takes_body(operation) or operation in {"delete_video", "delete_response", "hang_up", "cancel_response"}
        assert done.seen or not asks or note.startswith("emulated"), f"{operation} asks the vendor nothing"

    @check("W02", over=any_operation, vendor=False)
    def test_w02_result_is_ours(self, bench: Bench, operation: str) -> None:
        """What is returned is what the operation promises, also when the vendor's answer has fields that nobody knows.

        If this fails: build the result from the fields that you know, and let the others be; a document that is handed on
        is handed on whole. Ids are the vendor's own, or what the wire's `id_of` makes of them; `seconds` of an extension is
        the whole's.
        """
        films: list[bytes] = []

        async def fetched(result: Any) -> Any:
            if isinstance(result, Download):
                async with result:
                    films.append(b"".join([piece async for piece in result]))
            return result

        with probe.overheard("callsheet.models") as said:
            done = asked(bench, operation, after=fetched)
        assert done.error is None, f"{operation} failed: {done.error!r}"
        assert not said.getvalue(), f"{operation}: {said.getvalue().strip()}"
        wanted = OPERATIONS[operation].result
        good = isinstance(done.result, wanted) if wanted is not None else done.result is None
        assert good, f"{operation} returned {type(done.result).__name__}, not {wanted}"
        if isinstance(done.result, Video):
            known = {"queued", "in_progress", "completed", "failed", "cancelled", "expired"}
            assert done.result.status in known, f"{operation}: the status {done.result.status!r} is not the contract's"
        _has_the_vendors_id(done, operation)
        _tells_the_total(done, operation)
        _tells_all(done, operation, films)
        if not bench.kind.embedded and bench.wire_kind is not None:
            answers: list[dict[str, Any]] = []
            done = asked(bench, operation, before=lambda wire: wire.fail(None, more_fields(answers), times=None))
            assert done.error is None, f"{operation} failed on fields that it does not know: {done.error!r}"
            raw = getattr(done.result, "raw", None)
            as_ours = bool(answers) and isinstance(raw, dict) and bool({"choices", "output"} & set(answers[-1]))
            kept = not as_ours or "x_unheard_of" in (raw or {})
            assert kept, f"{operation}: a field that the adapter does not know is lost"

    @check("W03", over=any_operation)
    def test_w03_one_behaviour(self, bench: Bench, operation: str) -> None:
        """Sync, asyncio and trio send the same and get the same.

        If this fails: wait through io alone (io.sleep, io.run), never through asyncio, threads or time.
        """
        ways = {mode: asked(bench, operation, mode=mode) for mode in MODES}
        for mode, done in ways.items():
            assert done.error is None, f"{operation}, {mode}: {done.error!r}"
        for mode in MODES[1:]:
            ours, theirs = ([spelled(seen) for seen in ways[one].seen] for one in (mode, "sync"))
            other = next(((a, b) for a, b in zip_longest(ours, theirs) if a != b), None)
            assert other is None, f"{operation}: {mode} sent {other[0]}, and sync {other[1]}"
            if OPERATIONS[operation].result is not None and operation != "download_video":
                assert plain(ways[mode].result) == plain(ways["sync"].result), f"{operation}: {mode} got something else"

    @check("W04", over=takes_body)
    def test_w04_options(self, bench: Bench, operation: str) -> None:
        """What only the vendor knows - options in `extra_body`, names of models - reaches it untouched.

        If this fails: put `**request.options` into what you send. To drop what somebody asked for is worse than to refuse it.
        """
        for name, value in OPTIONS.items():
            done = asked(bench, operation, {name: value})
            if not done.seen and done.error is None:
                pytest.skip(f"{operation} asks the vendor nothing")
            if _refuses(done, name):
                continue
            assert done.error is None, f"{operation} failed with {name}: {done.error!r}"
            documents = [document_of(seen) for seen in done.seen]
            in_form = any(name in list(leaves(document)) for document in documents if isinstance(document, list))
            kept = in_form or any(_holds(document, name, value) for document in documents)
            assert kept, f"{operation}: the option {name}={value!r} did not reach the vendor unchanged"
        if OPERATIONS[operation].takes_model:
            done = asked(bench, operation, {"model": f"{bench.name}/{UNKNOWN_MODEL}"})
            found = [
                leaf for seen in done.seen for leaf in (seen.path, *leaves(document_of(seen)), *leaves(seen.query))
            ]
            kept = _refuses(done, "model") or any(isinstance(leaf, str) and UNKNOWN_MODEL in leaf for leaf in found)
            assert kept, f"{operation}: a model that the adapter does not know is replaced in silence"

    @check("W05", over=lambda operation: has_text(operation) or operation in IDS)
    def test_w05_text_arrives(self, bench: Bench, operation: str) -> None:
        """Any text arrives as it is, no trimming and no normalising; and any id, which opens no other address.

        If this fails: send prompts as they are given (`strip()` is the usual one), and put ids into addresses by
        `path_segment(id)`.
        """
        if operation in IDS:
            for id in NASTY_IDS:
                _opens_nothing_else(asked(bench, operation, {IDS[operation]: id}), operation, id)
            self._spoiled_ids(bench, operation)
        if not has_text(operation):
            return

        @EXAMPLES
        @given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
        def holds(text: str) -> None:
            if not text.strip():
                return
            text = text[:80] if operation == "create_character" else text
            field = text_field(operation, text)
            done = asked(bench, operation, field)
            if (len(text) > 500 or "\0" in text) and any(_refuses(done, name) for name in field):
                return  # some vendors have a limit
            assert done.error is None, f"{operation} failed with {text!r}: {done.error!r}"
            found = [leaf for seen in done.seen for leaf in leaves(document_of(seen)) if isinstance(leaf, str)]
            kept = any(text in leaf for leaf in found) or text == getattr(done.result, "name", None)
            assert kept, f"{operation}: {text!r} did not arrive as it is"

        for text in NASTY:
            holds = example(text)(holds)
        holds()

    def _spoiled_ids(self, bench: Bench, operation: str) -> None:
        """The vendor's own ids arrive; and with something at their end that means something in an address, that opens none."""
        for end in ("", "/../kit", "?kit=1", "%2Fkit", "#kit"):
            with contextlib.suppress(pytest.skip.Exception):

                async def scene(desk: Desk, end: str = end) -> tuple[str, list[Seen]]:
                    fields = await sample(desk, operation)
                    id: str = upstream_id(desk, fields.get(IDS[operation], "kit-0"))
                    start = len(desk.wire.seen) if desk.wire is not None else 0
                    with contextlib.suppress(CallsheetError):
                        await desk.call(operation, **{**fields, IDS[operation]: id + end})
                    return id, desk.wire.seen[start:] if desk.wire is not None else []

                id, seen = bench.play(scene)
                said = [text for one in seen for text in (unquote(one.path), *_texts(one))]
                lost = [part for part in id.split("/") if seen and not any(part in text for text in said)]
                assert end or not lost, f"{operation}: the id {id!r} did not reach the vendor"
                for one in seen[-1:]:
                    assert not end or end not in one.path, f"{operation}: {end!r} in an id is part of {one.path!r}"
                    named = [name for name, _ in one.query]
                    assert "kit" not in named, f"{operation}: {end!r} in an id adds a parameter to {one.path!r}"

    @check("W06", over=one_of(MANY))
    def test_w06_any_valid_request(self, bench: Bench, operation: str) -> None:
        """Whatever valid combination of fields is asked for, the vendor gets a right request, or the caller a clear refusal.

        If this fails: refuse what the vendor can't take by BadRequestError with `param` (see request.only and
        request.choice); or, where only the vendor knows, let `error` give its refusal our field's name as `param`.
        """
        fields = {name: st.sampled_from(values) for name, values in MANY[operation].items()}

        @EXAMPLES
        @given(st.fixed_dictionaries({}, optional=fields))
        def holds(chosen: dict[str, Any]) -> None:
            wire = bench.wire()
            done = asked(bench, operation, chosen, wire=wire)
            assert not wire.problems, f"{operation} with {sorted(chosen)}: {'; '.join(map(str, wire.problems))}"
            assert done.error is None or any(_refuses(done, name) for name in chosen), (
                f"{operation} with {chosen} failed, and names no field that is to blame: {done.error!r}"
            )

        holds()
        if OPERATIONS[operation].takes_model:
            wire = bench.wire()
            done = asked(bench, operation, {"model": None}, wire=wire)
            refused = isinstance(done.error, BadRequestError) and "model" in f"{done.error.param} {done.error}"
            fine = refused or (done.error is None and not wire.problems)
            assert fine, f"{operation} without a model: {done.error!r} {wire.problems}"

    @check("W07", over=one_of(MANY))
    def test_w07_nothing_is_dropped(self, bench: Bench, operation: str) -> None:
        """Each field that is set reaches the vendor or is refused by name; what is not set is not sent, nor as null.

        If this fails: a field is dropped in silence, or decided by the adapter. Map it, or refuse it:
        `request.only("prompt", "seconds")`; leave to the vendor what the caller left open.
        """
        base = asked(bench, operation, TOGETHER.get(operation))
        assert base.error is None, f"{operation} failed: {base.error!r}"
        if not base.seen:
            pytest.skip(f"{operation} asks the vendor nothing")
        nulls = [seen.path for seen in base.seen if seen.form is None and None in list(leaves(document_of(seen)))]
        assert not nulls, f"{operation}: fields that nobody set are sent as null to {nulls}"
        fields = set(OPERATIONS[operation].request.model_fields) - set(base.fields) - {"model"}
        added = [
            name for seen in base.seen if isinstance(told := document_of(seen), dict) for name in fields & set(told)
        ]
        assert not added, f"{operation}: {', '.join(added)} is sent though nobody set it"
        plainly = [spelled(seen) for seen in base.seen]
        for name, values in MANY[operation].items():
            ways = [asked(bench, operation, {**TOGETHER.get(operation, {}), name: value}) for value in values]
            for value, done in zip(values, ways, strict=True):
                fine = done.error is None or _refuses(done, name)
                assert fine, f"{operation} with {name}={value!r:.40} failed without naming it: {done.error!r}"
            told = [done for done in ways if done.error is not None or [spelled(seen) for seen in done.seen] != plainly]
            sent = [tuple(spelled(seen) for seen in done.seen) for done in ways if done.error is None]
            assert len(set(sent)) == len(sent), f"{operation}: two values of {name} are sent alike, of {values!r:.80}"
            # One value of several may be what is sent anyhow.
            assert len(told) >= max(1, len(values) - 1), f"{operation}: {name} is dropped: the vendor never hears of it"
        for name, values in ODD.get(operation, {}).items():
            for value in values:
                done = asked(bench, operation, {name: value})
                told_of = _refuses(done, name) or [spelled(seen) for seen in done.seen] != plainly
                assert told_of, f"{operation}: {name}={value!r} is dropped: the vendor never hears of it"

    @check("W15", over=any_operation)
    def test_w15_deterministic(self, bench: Bench, operation: str) -> None:
        """The same call, made twice from the same past, sends the same; what the caller handed over is not changed.

        Only an idempotency key is another one in each call, and the same one in all attempts at it.

        If this fails: look for random ids and for the time in what you send, and for documents that are changed in place.
        An idempotency key is `io.idempotency_key`.
        """
        roles = ("system", "developer", "user")
        given = {"messages": [{"role": role, "content": "Be brief."} for role in roles]}
        more = given if operation == "chat_completions" else {}
        untouched = copy.deepcopy(more)
        first, second = (asked(bench, operation, more) for _ in range(2))
        ours, theirs = ([spelled(seen) for seen in done.seen] for done in (first, second))
        assert ours == theirs, f"{operation}: the same call sends something else the second time"
        assert more == untouched, f"{operation} changes what the caller handed over"
        keys = [set(idempotency_keys(done.seen)) for done in (first, second)]
        assert not keys[0] & keys[1], f"{operation}: two calls show the same idempotency key: the second does nothing"
        again = asked(bench, operation, more, before=lambda wire: wire.fail(None, Fault.status(429, retry_after=0)))
        tried = [seen for seen in again.seen if again.seen and spelled(seen) == spelled(again.seen[0])]
        assert len(set(idempotency_keys(tried))) <= 1, (
            f"{operation}: a second attempt shows another idempotency key, so the vendor does it once more"
        )


def _has_the_vendors_id(done: Outcome, operation: str) -> None:
    """A job's id is the vendor's own."""
    if isinstance(done.result, Video) and done.wire is not None and done.wire.state.jobs:
        upstream = IdCodec().decode(done.result.id, "video").upstream
        known = [done.wire.id_of(job) for job in done.wire.state.jobs.values()]
        assert upstream in known, f"{operation} calls the job {upstream!r}; by the wire's id_of it is one of {known}"


def _tells_the_total(done: Outcome, operation: str) -> None:
    """An extension holds its source, too."""
    source = done.past.get("video") if operation == "extend" else None
    if source is not None and source.seconds and done.result.seconds:
        before, after = int(source.seconds), int(done.result.seconds)
        assert after > before, (
            f"extend: the whole is {after} s long, and its beginning {before} s: `seconds` is the total"
        )


def _tells_all(done: Outcome, operation: str, films: list[bytes]) -> None:
    """What the vendor said is in the result: the film whole, the text, what was made before."""
    if done.wire is None or not done.seen:
        return
    if films:
        whole = [done.wire.film_of(id) for id in done.wire.state.jobs]
        assert films[0] in whole, (
            f"{operation}: {len(films[0]):,} bytes came, which are not those of the wire's film_of"
        )
    raw = getattr(done.result, "raw", None)
    if operation in {"responses", "chat_completions", "get_response"} and isinstance(raw, dict):
        assert done.wire.reply in list(leaves(raw)), f"{operation}: the text is not what the vendor said"
    if operation == "list_videos":
        made = {done.wire.id_of(job) for job in done.wire.state.jobs.values()}
        told = {IdCodec().decode(video.id, "video").upstream for video in done.result.data}
        assert told == made, f"{operation}: {sorted(told)} are told, and by the wire's id_of there are {sorted(made)}"
    if operation == "list_input_items":
        assert SAID in list(leaves(raw)), f"{operation}: what was said is not among the items"
    if operation == "get_character":
        made = done.past["character"]
        assert (done.result.id, done.result.name) == (made.id, made.name), (
            f"{operation}: it is another one than was made"
        )


def _holds(document: Any, name: str, value: Any) -> bool:
    """Whether a document has a field of this name and value, however deep."""
    match document:
        case dict():
            mine = name in document and document[name] == value and type(document[name]) is type(value)
            return mine or any(_holds(inner, name, value) for inner in document.values())
        case list():
            return any(_holds(inner, name, value) for inner in document)
    return False


def _texts(seen: Seen) -> list[str]:
    return [str(leaf) for leaf in (*leaves(seen.query), *leaves(document_of(seen)))]


def _opens_nothing_else(done: Outcome, operation: str, id: str) -> None:
    """An id may be cut into its parts, each of which is escaped; what is special in it never is in an address as it is."""
    for seen in done.seen[-1:]:
        named = [name for name, _ in seen.query]
        plainly = id in seen.path and path_segment(id) != id
        assert not plainly, f"{operation}: the id {id!r} stands in the address {seen.path!r} without being escaped"
        assert "kit" not in named, f"{operation}: the id {id!r} adds a parameter to the address {seen.path!r}"


def _refuses(done: Outcome, field: str) -> bool:
    """Whether a call was refused for a field: by the adapter, or by the vendor in words that it understood."""
    return isinstance(done.error, BadRequestError) and done.error.param == field
