"""The items of a conversation: put in, found, forgotten and truncated."""

import time

import pytest

from callsheet_local.realtime import conversation

from .realtime_kit import bench, last_error, message


def test_items() -> None:
    async def script(made):
        made.say("conversation.item.create", item=message("b", id="b", mine=1))
        made.say("conversation.item.create", item=message("a", "system", id="a"), previous_item_id="root")
        made.say("conversation.item.create", item=message("c", "assistant", id="c"), previous_item_id="a")
        assert [item["id"] for item in made.dialogue.conversation] == ["a", "c", "b"]
        assert made.events[-1]["previous_item_id"] == "a"
        made.say("conversation.item.retrieve", item_id="b")
        assert made.events[-1]["item"]["mine"] == 1
        made.say("conversation.item.delete", item_id="a")
        assert (made.types()[-1], made.events[-1]["item_id"]) == ("conversation.item.deleted", "a")
        for bad, param in [
            ({"item_id": "a"}, "item_id"),
            ({}, "item_id"),
        ]:
            made.say("conversation.item.retrieve", **bad)
            assert last_error(made)["param"] == param
        for item in [
            None,
            [],
            {},
            {"type": "song"},
            {"type": ["x"]},
            {"type": "message"},
            {"type": "message", "role": ["user"], "content": []},
            {"type": "message", "role": "user", "content": "x"},
            {"type": "message", "role": "user", "content": [5]},
            {"type": "message", "role": "user", "content": [{"type": "input_text"}]},
            {"type": "message", "role": "user", "content": [{"type": ["input_text"]}]},
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "!"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": 5}]},
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": 5}]},
            {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "x"}]},
            {"type": "function_call_output", "output": "x"},
            {"type": "function_call", "name": "x"},
            message("x", id=""),
            message("x", id="b"),
        ]:
            made.say("conversation.item.create", item=item, event_id="mine")
            assert last_error(made)["event_id"] == "mine", item
        made.say("conversation.item.create", item=message("x"), previous_item_id="nowhere")
        assert last_error(made)["code"] == "item_not_found"
        assert [item["id"] for item in made.dialogue.conversation] == ["c", "b"]

    bench(script)()


def test_old_items_are_forgotten() -> None:
    async def script(made):
        for index in range(510):
            made.say("conversation.item.create", item=message("x", id=f"i{index}"))
        kept = [item["id"] for item in made.dialogue.conversation]
        assert (len(kept), kept[0]) == (500, "i10")
        for _ in range(30):
            made.say("conversation.item.create", item=message("y" * 200_000))
        assert len(list(made.dialogue.conversation)) < 25

    bench(script)()


def test_an_item_at_the_beginning_of_a_full_conversation() -> None:
    async def script(made):
        for index in range(500):
            made.say("conversation.item.create", item=message("x", id=f"i{index}"))
        made.say("conversation.item.create", item=message("x", id="first"), previous_item_id="root")
        assert made.events[-1]["previous_item_id"] is None
        made.say("conversation.item.create", item=message("x", id="second"), previous_item_id="first")
        assert made.events[-1]["previous_item_id"] is None  # the first was the oldest, and has made room
        assert [item["id"] for item in made.dialogue.conversation][:2] == ["second", "i1"]

    bench(script)()


def test_answers_are_weighed_when_they_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(made):
        for index in range(3):
            made.say("conversation.item.create", item=message("Say: " + "word " * 300, id=f"i{index}"))
        made.say("response.create")
        await made.done()
        assert [item["id"] for item in made.dialogue.conversation][0] == "i1"

    monkeypatch.setattr(conversation, "_MOST_WEIGHT", 6000)
    bench(script)()


def test_truncation() -> None:
    async def script(made):
        made.say("conversation.item.create", item=message("count to 20"))
        made.say("response.create")
        await made.done()
        item = made.events[-1]["response"]["output"][0]
        made.say("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=500)
        assert made.types()[-1] == "conversation.item.truncated"
        kept = made.dialogue.conversation.get(item["id"])["content"][0]["transcript"]
        assert item["content"][0]["transcript"].startswith("1")
        assert 3 < len(kept) < 20
        for bad in (-1, "x", None, True):
            made.say("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=bad)
            assert last_error(made)["param"] == "audio_end_ms"

    bench(script)()


def test_truncation_goes_by_the_answer_s_speed() -> None:
    async def script(made):
        kept = []
        for speed in (1.0, 0.5):
            made.say("conversation.item.create", item=message("count to 50"))
            made.say("response.create", response={"audio": {"output": {"speed": speed}}})
            await made.done()
            id = made.events[-1]["response"]["output"][0]["id"]
            made.say("conversation.item.truncate", item_id=id, content_index=0, audio_end_ms=2000)
            kept.append(made.dialogue.conversation.get(id)["content"][0]["transcript"].split())
        assert len(kept[0]) == pytest.approx(2 * len(kept[1]), abs=1)

    bench(script)()


def test_truncating_a_long_answer() -> None:
    """It took 14 s, and everybody's calls stood still."""

    async def script(made):
        item = message("", "assistant", id="long", content=[{"type": "output_audio", "transcript": "a " * 9990}])
        made.say("conversation.item.create", item=item)
        began = time.monotonic()
        made.say("conversation.item.truncate", item_id="long", content_index=0, audio_end_ms=10**9)
        assert time.monotonic() - began < 0.5
        assert made.dialogue.conversation.get("long")["content"][0]["transcript"].split() == ["a"] * 9990

    bench(script)()
