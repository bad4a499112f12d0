"""Responses that are kept: from another process, in the background, cancelled, followed from an event on."""

from __future__ import annotations

import time

import anyio
import pytest

from callsheet import IO, AsyncClient, BadRequestError, Client, ConfigurationError, NotFoundError
from callsheet.drive import finish, step_through
from callsheet.operations import OPERATIONS

from .conftest import Blocking, Hooks
from .scribe_rules import Order, checked, watched


@pytest.fixture
def pair(tmp_path):
    """Two providers on one directory, as two processes have them; 200 tokens a second."""
    made = [Hooks(data_dir=tmp_path, tokens_per_second=200) for _ in range(2)]
    yield made
    for hooks in made:
        hooks.provider.close()


def wait_for(hooks, id, *statuses):
    deadline = time.monotonic() + 20
    while (response := hooks("get_response", response_id=id)).status not in statuses:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return response


def test_from_another_process(pair):
    one, other = pair
    made = one("responses", input=[{"role": "user", "content": f"The word{index} is fish."} for index in range(5)])
    assert other("get_response", response_id=made.id).raw == made.raw
    page = other("list_input_items", response_id=made.id, limit=2)
    assert [item["content"][0]["text"] for item in page.data] == ["The word4 is fish.", "The word3 is fish."]
    assert page.has_more
    assert (page["first_id"], page["last_id"]) == (page.data[0]["id"], page.data[1]["id"])
    rest = other("list_input_items", response_id=made.id, after=page["last_id"])
    assert [item["content"][0]["text"][4:9] for item in rest.data] == ["word2", "word1", "word0"]
    assert not rest.has_more
    first = other("list_input_items", response_id=made.id, order="asc", limit=1).data
    assert first == rest.data[-1:]
    with pytest.raises(BadRequestError):
        other("list_input_items", response_id=made.id, after="msg_x")
    with pytest.raises(BadRequestError):
        other("list_input_items", response_id=made.id, limit=0)
    assert other("delete_response", response_id=made.id).raw == {"id": made.id, "object": "response", "deleted": True}
    for name in ("get_response", "delete_response", "list_input_items", "cancel_response"):
        with pytest.raises(NotFoundError):
            one(name, response_id=made.id)


def test_what_is_not_stored_is_not_found(pair):
    one, other = pair
    made = one("responses", input="My name is Ada.", store=False)
    with pytest.raises(NotFoundError):
        other("get_response", response_id=made.id)
    with pytest.raises(NotFoundError):
        one("responses", input="What is my name?", previous_response_id=made.id)


def test_what_is_not_stored_needs_no_directory(tmp_path):
    (tmp_path / "file").touch()
    hooks = Hooks(data_dir=tmp_path / "file" / "below", tokens_per_second=0)
    assert hooks("responses", input="1 + 1", store=False).output_text.endswith("= 2.")
    assert watched(step_through(hooks("responses", input="1 + 1", store=False, stream=True)))
    assert hooks("chat_completions", messages=[{"role": "user", "content": "1 + 1"}]).text == "1 + 1 = 2."


def test_a_deleted_turn_is_forgotten(pair):
    one, _ = pair
    first = one("responses", input="My name is Ada.")
    second = one("responses", input="The codeword is fish.", previous_response_id=first.id)
    one("delete_response", response_id=first.id)
    asked = one("responses", input="What is my name and what is the codeword?", previous_response_id=second.id)
    assert asked.output_text.endswith("I was not told your name. I was told the codeword. The codeword is fish.")


def test_in_the_background(pair):
    one, other = pair
    made = one("responses", input="count to 100", background=True)
    assert made.status == "queued"
    assert (made.output, made.usage, made["completed_at"]) == ([], None, None)
    seen = {"queued"}
    texts = []
    while (now := other("get_response", response_id=made.id)).status != "completed":
        checked(now.raw)
        seen.add(now.status)
        texts.append(now.output_text)
        time.sleep(0.01)
    assert seen == {"queued", "in_progress"}
    assert texts == sorted(texts, key=len)
    assert len(set(texts)) > 5
    assert all(now.output_text.startswith(text) for text in texts)
    checked(now.raw)
    assert now["completed_at"] - now["created_at"] in {0, 1}
    assert other("cancel_response", response_id=made.id).raw == now.raw  # done is done


def test_cancelled_for_good(pair):
    one, other = pair
    made = one("responses", input="count to 9000", background=True)
    wait_for(one, made.id, "in_progress")
    time.sleep(0.2)
    stopped = other("cancel_response", response_id=made.id)
    assert stopped.status == "cancelled"
    assert stopped.output_text
    assert stopped.output[-1]["status"] == "incomplete"
    checked(stopped.raw)
    time.sleep(0.1)
    assert one("get_response", response_id=made.id).raw == stopped.raw
    assert one("cancel_response", response_id=made.id).raw == stopped.raw
    queued = one("responses", input="count to 9000", background=True)
    with pytest.raises(BadRequestError, match="when it is done"):
        one("responses", input="And?", previous_response_id=queued.id)
    assert one("cancel_response", response_id=queued.id).status == "cancelled"
    plain = one("responses", input="count to 5")
    with pytest.raises(BadRequestError, match="background"):
        one("cancel_response", response_id=plain.id)


def test_background_and_stream(pair):
    one, other = pair
    whole = watched(step_through(one("responses", input="What is 2 + 3?", background=True, stream=True)))
    assert other("get_response", response_id=whole["id"]).raw == whole
    events = list(step_through(other("get_response", response_id=whole["id"], stream=True)))
    assert [event.type for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    later = list(step_through(other("get_response", response_id=whole["id"], stream=True, starting_after=4)))
    assert [event.raw for event in later] == [event.raw for event in events[5:]]
    assert later[0].data["sequence_number"] == 5


def test_a_follower_sees_the_cancelling(pair):
    one, other = pair
    stream = one("responses", input="count to 9000", background=True, stream=True)
    order, id = Order(), newest(one)
    for event in step_through(stream):
        order.see(event.type, event.data)
        if order.number == 40:
            other("cancel_response", response_id=id)
    assert order.state == "end"
    assert order.last["status"] == "cancelled"
    assert order.number < 400


def test_a_stream_takes_its_time_and_ends_early(pair):
    one, other = pair
    began = time.perf_counter()
    whole = watched(step_through(one("responses", input="count to 20", stream=True)))
    assert time.perf_counter() - began == pytest.approx(whole["usage"]["output_tokens"] / 200, abs=0.4)
    assert other("get_response", response_id=whole["id"]).raw == whole
    stream = one("responses", input="count to 9000", stream=True)
    for event in step_through(stream):
        if event.type == "response.output_text.delta":
            break
    finish(stream.aclose())
    id = newest(one)
    stopped = other("get_response", response_id=id)
    assert stopped.status == "cancelled"
    assert len(stopped.output_text) < 200


@pytest.mark.parametrize("background", [False, True])
def test_a_stream_outlives_its_calls_deadline(tmp_path, background):
    hooks = Hooks(data_dir=tmp_path, tokens_per_second=100)
    request = OPERATIONS["responses"].request(input="count to 60", stream=True, background=background)
    way = IO(hooks.account, hooks.provider, OPERATIONS["responses"], Blocking(), time.monotonic() + 0.3)
    assert watched(step_through(finish(hooks.provider.responses(request, way))))["status"] == "completed"
    assert time.monotonic() > way.deadline + 0.2
    hooks.provider.close()


@pytest.mark.parametrize("after", [10**12, 10**30])
def test_nothing_follows_what_was_never_told(pair, after):
    made = pair[0]("responses", input="count to 5")
    began = time.perf_counter()
    assert list(step_through(pair[1]("get_response", response_id=made.id, stream=True, starting_after=after))) == []
    assert time.perf_counter() - began < 1


def test_a_stream_that_outlives_its_client_opens_nothing_again(tmp_path):
    hooks = Hooks(data_dir=tmp_path, tokens_per_second=50)
    index = hooks.provider._open().index
    stream = hooks("responses", input="count to 9000", stream=True)
    followed = hooks("responses", input="count to 60", stream=True, background=True)
    finish(stream.__anext__())
    hooks.provider.close()
    finish(stream.aclose())
    with pytest.raises(ConfigurationError, match="was closed"):
        list(step_through(followed))
    assert hooks.provider._studio is None
    assert index._connection is None


def test_input_items_are_those_of_all_turns(pair):
    one, other = pair
    first = one("responses", input="My name is Ada.")
    fact = {"role": "user", "content": "The codeword is fish.", "id": "msg_fact"}
    second = one("responses", input=[fact], previous_response_id=first.id)
    again = {"type": "item_reference", "id": "msg_fact"}
    third = one("responses", input=[again, {"role": "user", "content": "And?"}], previous_response_id=second.id)

    def pages(order):
        found, after = [], None
        while True:
            page = other("list_input_items", response_id=third.id, order=order, limit=2, after=after)
            found += [item["content"][0]["text"] for item in page.data]
            if not page.has_more:
                return found
            after = page["last_id"]
            assert len(found) < 20

    answers = [first.output[0]["content"][0]["text"], second.output[0]["content"][0]["text"]]
    assert pages("asc") == ["My name is Ada.", answers[0], "The codeword is fish.", answers[1], "And?"]
    assert sorted(pages("desc")) == sorted(pages("asc"))  # what was sent twice stands where it was last
    assert pages("desc")[0] == "And?"
    one("delete_response", response_id=first.id)
    assert pages("asc") == ["The codeword is fish.", answers[1], "And?"]


def newest(hooks) -> str:
    """The newest response's id."""
    sql = "SELECT id FROM responses ORDER BY created_at DESC LIMIT 1"
    return hooks.provider._open().index.read(sql)[0]["id"]


def test_old_and_too_many_responses_are_removed(tmp_path):
    hooks = Hooks(data_dir=tmp_path, keep_responses_hours=1, keep_responses_mb=0.01)
    first = hooks("responses", input="first")
    index = hooks.provider._open().index
    index.change("UPDATE responses SET created_at = created_at - 3601")
    with pytest.raises(NotFoundError):
        hooks("get_response", response_id=first.id)
    many = [hooks("responses", input="x" * 3000).id for _ in range(5)]
    hooks.provider.close()
    again = Hooks(data_dir=tmp_path, keep_responses_hours=1, keep_responses_mb=0.01)
    last = again("responses", input="last")
    index = again.provider._open().index
    kept = {row["id"] for row in index.read("SELECT id FROM responses")}
    assert kept == {*many[-2:], last.id} or kept == {many[-1], last.id}
    assert {row["response_id"] for row in index.read("SELECT response_id FROM response_items")} == kept
    again.provider.close()


def test_much_at_once_is_removed_at_once(tmp_path):
    hooks = Hooks(data_dir=tmp_path, keep_responses_mb=0.1)
    made = [hooks("responses", input="x" * 20_000).id for _ in range(20)]
    index = hooks.provider._open().index
    assert index.read("SELECT sum(bytes) AS total FROM responses")[0]["total"] < 150_000  # the last one comes on top
    assert hooks("get_response", response_id=made[-1]).id == made[-1]
    hooks.provider.close()


# Clients


def settings_of(tmp_path):
    return {"provider": "local", "settings": {"data_dir": str(tmp_path), "tokens_per_second": 2000}}


def test_the_sync_client(tmp_path):
    with Client(**settings_of(tmp_path)) as client:
        made = client.responses(model="local/scribe-1", input="My name is Ada.")
        assert made.id.startswith("resp_")
        streamed = watched(
            client.responses(
                input="What is my name?", previous_response_id=made.id, stream=True, model="local/scribe-1"
            )
        )
        assert streamed["previous_response_id"] == made.id
        assert client.get_response(response_id=streamed["id"]).output_text.endswith("Your name is Ada.")
        assert client.list_input_items(response_id=streamed["id"]).data[0]["content"][0]["text"] == "What is my name?"
        client.delete_response(response_id=streamed["id"])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client(tmp_path, backend):
    async def main():
        async with AsyncClient(**settings_of(tmp_path)) as client:
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await anyio.sleep(0.005)

            async with anyio.create_task_group() as group:
                group.start_soon(tick)
                stream = await client.responses(model="local/scribe-1", input="count to 60", stream=True)
                order = Order()
                async for event in stream:
                    order.see(event.type, event.data)
                assert order.state == "end"
                made = await client.responses(model="local/scribe-1", input="count to 2000", background=True)
                assert (await client.cancel_response(response_id=made.id)).status == "cancelled"
                chat = await client.chat_completions(
                    model="local/scribe-1", messages=[{"role": "user", "content": "1 + 1"}], stream=True
                )
                assert [event.data async for event in chat][-1]["choices"][0]["finish_reason"] == "stop"
                group.cancel_scope.cancel()
            assert ticks > 5  # the loop lived meanwhile

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_left_by_a_cancelled_scope_is_cancelled(tmp_path, backend):
    async def main():
        settings = {"data_dir": str(tmp_path), "tokens_per_second": 50}
        async with AsyncClient(provider="local", settings=settings) as client:
            with anyio.CancelScope() as scope:
                stream = await client.responses(input="count to 9000", stream=True, model="local/scribe-1")
                id = (await anext(stream)).data["response"]["id"]
                async for event in stream:
                    if event.type == "response.output_text.delta":
                        scope.cancel()
            assert scope.cancelled_caught
            assert (await client.get_response(response_id=id)).status == "cancelled"
            with anyio.CancelScope() as scope:
                async with await client.responses(input="count to 9000", stream=True, model="local/scribe-1") as stream:
                    id = (await anext(stream)).data["response"]["id"]
                    scope.cancel()
            assert (await client.get_response(response_id=id)).status == "cancelled"

    anyio.run(main, backend=backend)
