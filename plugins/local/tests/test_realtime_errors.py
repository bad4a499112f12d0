"""Events that can't be done: the peer is told why, and the session goes on."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .conftest import Hooks
from .realtime_kit import Bench, bench, call, last_error


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("{", "invalid_json"),
        ("", "invalid_json"),
        (b"\xff", "invalid_json"),
        ('{"type": NaN}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("1" * 5000, "invalid_json"),
        ("[]", "invalid_event"),
        ("{}", "invalid_event"),
        ('{"type": 5}', "invalid_event"),
        ('{"type": "song.sing", "event_id": "e1"}', "unknown_event"),
        ('{"type": "response.cancel"}', "response_cancel_not_active"),
        ('{"type": "response.cancel", "response_id": "resp_x"}', "response_cancel_not_active"),
        ('{"type": "response.create", "response": []}', "invalid_value"),
        ('{"type": "response.create", "response": {"output_modalities": ["smell"]}}', "invalid_value"),
        ('{"type": "response.create", "response": {"output_modalities": [[]]}}', "invalid_value"),
        ('{"type": "response.create", "response": {"conversation": []}}', "invalid_value"),
        ('{"type": "response.create", "response": {"metadata": {"a": 1}}}', "invalid_value"),
        ('{"type": "response.create", "response": {"input": [1]}}', "invalid_item"),
        ('{"type": "response.create", "response": {"instructions": 1}}', "invalid_value"),
        ('{"type": "session.update", "session": {"x": 1e999}}', "invalid_value"),
        ('{"type": "session.update", "session": {"x": [-1e999]}}', "invalid_value"),
        *(
            (f'{{"type": "response.create", "response": {{"max_output_tokens": {bad}}}}}', "invalid_value")
            for bad in ("true", "false", "0", "-1", "1.5", '"many"', "[]")
        ),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty"),
        ('{"type": "input_audio_buffer.append"}', "invalid_audio"),
        ('{"type": "conversation.item.truncate", "item_id": "x"}', "item_not_found"),
        ('{"x": "' + "y" * 300_000 + '"}', "message_too_big"),
    ],
)
def test_errors_and_the_session_goes_on(raw, code: str) -> None:
    async def script(made):
        made.talk.receive(raw)
        assert last_error(made)["code"] == code
        if code == "unknown_event":
            assert last_error(made)["event_id"] == "e1"
            assert "response.create" in last_error(made)["message"]
        made.say("response.create", response={"output_modalities": ["text"]})
        await made.done()
        assert made.events[-1]["response"]["status"] == "completed"

    bench(script)()


NAMES = """
    session item response type role content text transcript audio id item_id previous_item_id audio_end_ms call_id output
    name arguments instructions output_modalities tools tool_choice max_output_tokens metadata conversation input voice
    speed turn_detection threshold silence_duration_ms format rate parameters description
""".split()  # noqa: SIM905  a list of thirty-three lines is no easier to read
WORDS = [
    "message",
    "user",
    "assistant",
    "input_text",
    "input_audio",
    "text",
    "audio",
    "a",
    "root",
    "function",
    "AAAA",
    "",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
TYPES = [
    "session.update",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.delete",
    "conversation.item.truncate",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "response.create",
    "response.cancel",
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4)), max_size=6)
)
@example(
    [("session.update", {"session": {"tools": [{"name": "x", "parameters": {"type": []}}]}}), ("response.create", {})]
)
@example([("session.update", {"session": {"max_output_tokens": 2**99}}), ("response.create", {})])
@example([("session.update", {"session": {"audio": {"output": {"speed": 1e308}}}}), ("response.create", {})])
def test_whatever_is_sent_is_done_or_refused(sent: list[Any]) -> None:
    async def main() -> None:
        made = Bench()
        for type, fields in [*sent, ("response.create", {})]:
            made.talk.receive(json.dumps({**fields, "type": type}))
            made.talk.receive(json.dumps({"type": "response.cancel", "response_id": fields.get("id", [])}))
            made.talk.receive('{"type": "response.cancel"}')
            faults = [event for event in made.events if "internal_error" in json.dumps(event)]
        assert not faults

    asyncio.run(main())


def test_errors_over_the_wire(hooks: Hooks) -> None:
    with call(hooks) as peer:
        peer.send_raw(b'{"type"')
        assert peer.wait("error")["error"]["code"] == "invalid_json"
        peer.send_raw("{" + " " * 262_000 + "}")
        assert peer.wait("error", after=2)["error"]["code"] == "invalid_event"
        assert peer.ask("Hello", output_modalities=["text"])["status"] == "completed"
