"""What is said on the data channel: names, order, usage, cancelling, errors."""

import asyncio
import json
import time
from typing import Any

import pytest

from callsheet_local.realtime import answering

from .conftest import Hooks
from .peer import Peer
from .realtime_kit import bench, call, last_error, message

SPOKEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "output_audio_buffer.started",
    "response.output_audio_transcript.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "output_audio_buffer.stopped",
]
WRITTEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]
CALLED = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def squeezed(types: list[str]) -> list[str]:
    """With what is repeated said once."""
    return [type for index, type in enumerate(types) if index == 0 or types[index - 1] != type]


def adds_up(usage: dict[str, Any]) -> None:
    for side in ("input", "output"):
        details = usage[f"{side}_token_details"]
        assert usage[f"{side}_tokens"] == details["text_tokens"] + details["audio_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_spoken_answer_over_the_wire(hooks: Hooks) -> None:
    with call(hooks) as peer:
        assert peer.wait("session.created")["session"]["id"].startswith("sess_")
        assert peer.events[0]["type"] == "session.created"
        response = peer.ask("What is 2 + 3?")
        peer.wait("output_audio_buffer.stopped")
        assert squeezed(peer.types()[3:]) == SPOKEN
        assert response["status"] == "completed"
        assert response["usage"]["output_token_details"]["audio_tokens"] > 0
        adds_up(response["usage"])
        deltas = [e["delta"] for e in peer.events if e["type"] == "response.output_audio_transcript.delta"]
        assert "".join(deltas) == "2 + 3 = 5." == response["output"][0]["content"][0]["transcript"]


def test_a_written_answer() -> None:
    async def script(made):
        made.say("conversation.item.create", item=message("What is 2 + 3?"))
        assert made.types()[1:] == ["conversation.item.added", "conversation.item.done"]
        made.say("response.create", response={"output_modalities": ["text"], "metadata": {"topic": "sums"}})
        await made.done()
        assert squeezed(made.types()[3:]) == WRITTEN
        created, done = made.events[3]["response"], made.events[-1]["response"]
        assert created["status"] == "in_progress"
        assert (created["output"], created["usage"]) == ([], None)
        assert done["output"][0]["content"] == [{"type": "output_text", "text": "2 + 3 = 5."}]
        assert done["metadata"] == {"topic": "sums"}
        assert done["conversation_id"].startswith("conv_")
        assert done["usage"]["output_token_details"]["audio_tokens"] == 0
        adds_up(done["usage"])
        added = [event for event in made.events if event["type"] == "conversation.item.added"]
        assert added[1]["previous_item_id"] == added[0]["item"]["id"]

    bench(script)()


def test_the_conversation_is_remembered_and_responses_apart_from_it_are_not() -> None:
    async def script(made):
        made.say("conversation.item.create", item=message("My name is Luna."))
        made.say("conversation.item.create", item=message("What is my name?"))
        made.say("response.create", response={"conversation": "none"})
        await made.done()
        assert "conversation.item.added" not in made.types()[6:]
        assert made.events[-1]["response"]["conversation_id"] is None
        assert "Luna" in made.events[-1]["response"]["output"][0]["content"][0]["transcript"]
        given = [message("What is 6 * 7?")]
        made.say("response.create", response={"conversation": "none", "input": given, "instructions": "be brief"})
        await made.done()
        assert made.events[-1]["response"]["output"][0]["content"][0]["transcript"] == "42"
        first = made.events[1]["item"]["id"]
        made.say("response.create", response={"input": [{"type": "item_reference", "id": first}]})
        await made.done()
        assert made.events[-1]["response"]["status"] == "completed"

    bench(script)()


def test_a_function_call_and_its_output() -> None:
    async def script(made):
        made.say("session.update", session={"tools": [WEATHER], "output_modalities": ["text"]})
        made.say("conversation.item.create", item=message("What is the weather in Paris?"))
        made.say("response.create")
        await made.done()
        assert squeezed(made.types()[4:]) == CALLED
        done = made.events[-1]["response"]
        [called] = done["output"]
        assert (called["name"], json.loads(called["arguments"])) == ("get_weather", {"city": "Paris"})
        adds_up(done["usage"])
        output = {"type": "function_call_output", "call_id": called["call_id"], "output": "Sunny, 21 degrees"}
        made.say("conversation.item.create", item=output)
        made.say("response.create")
        await made.done()
        assert "Sunny, 21 degrees" in made.events[-1]["response"]["output"][0]["content"][0]["text"]

    bench(script)()


def test_a_session_update() -> None:
    async def script(made):
        update = {"instructions": "be brief", "audio": {"output": {"voice": "echo"}}, "extra": {"a": 1}}
        made.say("session.update", session=update)
        session = made.events[-1]["session"]
        assert made.types() == ["session.created", "session.updated"]
        assert session["audio"]["output"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "echo",
            "speed": 1.0,
        }
        assert session["extra"] == {"a": 1}
        made.say(
            "session.update", session={"id": "other", "extra": {"b": 2}, "audio": {"input": {"turn_detection": None}}}
        )
        assert made.events[-1]["session"]["id"] == session["id"]
        assert made.events[-1]["session"]["extra"] == {"a": 1, "b": 2}
        assert made.events[-1]["session"]["audio"]["input"]["turn_detection"] is None
        for bad in (None, 5, {"type": "transcription"}, {"model": "gpt-realtime"}, {"x": "y" * 200_000}):
            made.say("session.update", session=bad)
            assert last_error(made)["type"] == "invalid_request_error"

    bench(script)()


def test_one_response_at_a_time() -> None:
    async def script(made):
        made.say("conversation.item.create", item=message("count to 100"))
        made.say("response.create")
        made.say("response.create", event_id="second")
        error = last_error(made)
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
        await asyncio.sleep(0.1)
        made.say("response.cancel")

    bench(script)()


@pytest.mark.parametrize("how", ["response.cancel", "output_audio_buffer.clear"])
def test_cancelling(hooks: Hooks, how: str) -> None:
    with call(hooks) as peer:
        peer.send("conversation.item.create", item=message("count to 100"))
        peer.send("response.create")
        started = peer.wait("output_audio_buffer.started")
        peer.wait("response.output_audio_transcript.delta")
        time.sleep(0.2)
        peer.send(how, **({"response_id": started["response_id"]} if how == "response.cancel" else {}))
        began = time.monotonic()
        done = peer.wait("response.done")["response"]
        assert time.monotonic() - began < 0.2
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        assert done["output"][0]["status"] == "incomplete"
        assert 0 < len(done["output"][0]["content"][0]["transcript"]) < 200
        adds_up(done["usage"])
        peer.wait("output_audio_buffer.cleared", response_id=done["id"])
        assert peer.types()[-6:] == [
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
            "output_audio_buffer.cleared",
        ]
        time.sleep(0.3)  # what is under way
        assert abs(peer.listen(0.3)).max() < 300
        assert "output_audio_buffer.stopped" not in peer.types()


def test_cancelling_what_is_only_spoken_still() -> None:
    async def script(made):
        made.say("response.create")
        await made.done()
        assert made.types()[-1] == "response.done"
        made.say("response.cancel", response_id="resp_other")
        assert last_error(made)["code"] == "response_cancel_not_active"
        made.say("response.cancel")
        assert made.types()[-1] == "output_audio_buffer.cleared"
        made.say("output_audio_buffer.clear")
        assert made.types()[-1] == "output_audio_buffer.cleared"

    bench(script)()


def test_most_output_tokens() -> None:
    async def script(made):
        made.say("conversation.item.create", item=message("count to 50"))
        made.say("response.create", response={"max_output_tokens": 5})
        await made.done()
        done = made.events[-1]["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
        assert done["usage"]["output_token_details"]["text_tokens"] == 5

    bench(script)()


def test_a_fault_of_ours_fails_the_response_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(made):
        with monkeypatch.context() as patch:
            patch.setattr(answering, "reply", lambda *_: 1 / 0)
            made.say("response.create")
            await made.done()
        done = made.events[-1]["response"]
        assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "internal_error")
        made.say("response.create")

    bench(script)()


def test_a_transcription_session_gives_no_answers() -> None:
    async def script(made):
        made.say("response.create")
        assert last_error(made)["code"] == "invalid_session_type"

    bench(script)(type="transcription")


def test_events_filtered_for_pages(hooks: Hooks) -> None:
    with call(hooks, webrtcfilter=True) as peer:
        peer.send("conversation.item.create", item=message("What is 2 + 3?"))
        peer.send("response.create")
        peer.wait("output_audio_buffer.stopped")
        assert set(peer.types()) == {
            "conversation.item.added",
            "output_audio_buffer.started",
            "output_audio_buffer.stopped",
            "response.output_audio_transcript.delta",
            "response.output_audio_transcript.done",
        }


def test_another_label_and_a_second_channel(hooks: Hooks) -> None:
    with call(hooks, Peer(channel="realtime-channel")) as peer:
        peer.wait("session.created")
        second = asyncio.run_coroutine_threadsafe(open_another(peer), peer._loop).result(5)
        assert second
        assert peer.ask("Hello", output_modalities=["text"])


async def open_another(peer: Peer) -> bool:
    closed = asyncio.Event()
    channel = peer.pc.createDataChannel("other")
    channel.on("close", closed.set)
    await asyncio.wait_for(closed.wait(), 5)
    return True
