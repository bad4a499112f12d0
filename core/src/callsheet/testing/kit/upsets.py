"""Answers that are odd, but allowed, or wrong in ways that `Fault` has no name for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from callsheet.testing.answers import Answer, Data, End, Mark, Pause, Step
from callsheet.testing.faults import Fault, MakeError

__all__ = ["answered", "inserted", "more_fields", "noted", "recut", "watched_stream"]


def answered(content: bytes, content_type: str = "application/json", **headers: str) -> Fault:
    """Something else in the place of the answer."""

    def changed(answer: Answer) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(200, {**answer.headers, "content-type": content_type, **named}, [content])

    return _changed("another answer", changed)


def more_fields(seen: list[dict[str, Any]]) -> Fault:
    """Fields that nobody knows, at the top of a JSON object that is answered. `seen` takes the object without them."""

    def changed(answer: Answer) -> Answer:
        if not answer.headers.get("content-type", "").startswith("application/json"):
            return answer
        document = json.loads(answer.body)
        if not isinstance(document, dict):
            return answer
        seen.append(document)
        odd = {"x_unheard_of": {"deep": [1, None, "é"]}, "x_more": 2**70}
        return Answer(answer.status, answer.headers, [json.dumps({**document, **odd}).encode()])

    return _changed("more fields", changed)


def noted(answers: list[bytes]) -> Fault:
    """The answer as it is; `answers` takes its body."""

    def changed(answer: Answer) -> Answer:
        answers.append(answer.body)
        return answer

    return _changed("noted answer", changed)


def recut(cuts: Callable[[bytes], Sequence[bytes]]) -> Fault:
    """The same stream, cut into other pieces."""

    def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
        yield answer.head()
        yield Mark("in stream")
        for piece in cuts(answer.body):
            yield Data(piece)
        yield End()

    return Fault("recut stream", True, script)


def inserted(event: bytes, *, end: bool = False) -> Fault:
    """A stream with one more event, after the first with content in it. `end`: nothing follows it."""

    def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
        place = answer.content_from + 1
        yield answer.head()
        yield Mark("in stream")
        yield from (Data(piece) for piece in answer.pieces[:place])
        yield Data(event)
        if not end:
            yield from (Data(piece) for piece in answer.pieces[place:])
        yield End()

    return Fault("one more event", True, script)


def watched_stream(sent: list[bytes], pause: float = 0.0) -> Fault:
    """The same stream; `sent` tells how far it has come, and `pause` seconds lie between two events."""

    def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
        yield answer.head()
        yield Mark("in stream")
        for piece in answer.pieces:
            sent.append(piece)
            yield Data(piece)
            yield Pause(pause)
        yield End()

    return Fault("watched stream", True, script)


def _changed(name: str, change: Callable[[Answer], Answer]) -> Fault:
    def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
        yield Mark("answer")
        yield from change(answer).steps()

    return Fault(name, True, script)
