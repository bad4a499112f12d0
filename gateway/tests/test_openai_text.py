"""Responses and chat by the official `openai` package: streams, tools, a second turn, and what its error classes get."""

from __future__ import annotations

import json

import openai
import pytest
from gateway.tests.test_openai_sdk import TALK, Seen, sync_client

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "name": "get_weather", "description": "Current weather in a city", "parameters": WEATHER}


@pytest.fixture
def client(gateway_with_keys):
    with sync_client(gateway_with_keys, Seen(), strict=True) as client:
        yield client


def question(text):
    return {"role": "user", "content": text}


def test_a_response_is_streamed(client):
    with client.responses.stream(model=TALK, input="What is 17 times 23?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert "391" in final.output_text
    assert final.model == TALK
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:2] == ["response.created", "response.in_progress"]
    assert types[-1] == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text
    phases = [event.item.phase for event in events if event.type == "response.output_item.done"]
    assert phases == ["commentary", "final_answer"]
    assert {event.response.id for event in events if hasattr(event, "response")} == {final.id}
    assert client.responses.retrieve(final.id).output_text == final.output_text


def test_a_stored_response_can_be_streamed_again(client):
    first = client.responses.create(model=TALK, input="Count to 5", background=True)
    events = list(client.responses.retrieve(first.id, stream=True))
    assert events[-1].response.output_text.endswith("1 2 3 4 5")
    assert events[-1].response.id == first.id
    rest = list(client.responses.retrieve(first.id, stream=True, starting_after=3))
    assert [event.sequence_number for event in rest] == [event.sequence_number for event in events[4:]]


def test_a_second_turn_by_previous_response_id(client):
    first = client.responses.create(model=TALK, input="My favourite colour is teal.")
    second = client.responses.create(model=TALK, input="What is my favourite colour?", previous_response_id=first.id)
    assert "teal" in second.output_text
    assert second.previous_response_id == first.id
    apart = client.responses.create(model=TALK, input="What is my favourite colour?")
    assert "teal" not in apart.output_text


def test_a_second_turn_with_the_items_of_the_first_as_they_came(client):
    items = [question("My favourite colour is teal. What is 6 times 7?")]
    first = client.responses.create(model=TALK, input=items, store=False)
    assert [item.phase for item in first.output] == ["commentary", "final_answer"]
    items += [*first.output, question("What is my favourite colour?")]
    second = client.responses.create(model=TALK, input=items)
    assert "teal" in second.output_text
    kept = list(client.responses.input_items.list(second.id, order="asc"))
    assert [item.role for item in kept] == ["user", "assistant", "assistant", "user"]
    assert [item.phase for item in kept[1:3]] == ["commentary", "final_answer"]
    assert [item.content[0].text for item in kept[1:3]] == [item.content[0].text for item in first.output]


def test_a_tool_is_called_and_its_answer_read(client):
    asked = [question("What is the weather in Lisbon?")]
    first = client.responses.create(model=TALK, input=asked, tools=[TOOL])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Lisbon"})
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 degrees"}
    by_items = client.responses.create(model=TALK, input=[*asked, *first.output, output], tools=[TOOL])
    by_id = client.responses.create(model=TALK, input=[output], previous_response_id=first.id, tools=[TOOL])
    for second in (by_items, by_id):
        assert "sunny, 21 degrees" in second.output_text


def test_a_chat_is_streamed_with_its_usage(client):
    chunks = list(
        client.chat.completions.create(
            model=TALK, messages=[question("What is 6 times 7?")], stream=True, stream_options={"include_usage": True}
        )
    )
    assert {chunk.model for chunk in chunks} == {TALK}
    assert "42" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens > 0
    assert chunks[-2].choices[0].finish_reason == "stop"
    plain = list(client.chat.completions.create(model=TALK, messages=[question("Hello")], stream=True))
    assert all(chunk.choices for chunk in plain)


def test_a_chat_calls_a_tool(client):
    tool = {"type": "function", "function": {key: value for key, value in TOOL.items() if key != "type"}}
    messages = [question("What is the weather in Lisbon?")]
    first = client.chat.completions.create(model=TALK, messages=messages, tools=[tool])
    (call,) = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"city": "Lisbon"}
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = client.chat.completions.create(model=TALK, messages=messages, tools=[tool])
    assert "sunny" in second.choices[0].message.content
    with client.chat.completions.stream(model=TALK, messages=messages[:1], tools=[tool]) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.tool_calls[0].function.arguments == call.function.arguments


@pytest.mark.parametrize(
    ("call", "kind", "status", "code", "param"),
    [
        (lambda client: client.responses.create(model="gpt-9", input="Hello"),
         openai.NotFoundError, 404, "model_not_found", "model"),
        (lambda client: client.responses.create(model=TALK, input=[{"role": "nobody", "content": "x"}]),
         openai.BadRequestError, 400, "invalid_value", "input[0].role"),
        (lambda client: client.responses.retrieve("resp_123"),
         openai.NotFoundError, 404, "not_found", None),
        (lambda client: client.responses.create(model=TALK, input="Hello", previous_response_id="resp_123"),
         openai.NotFoundError, 404, "not_found", None),
        (lambda client: client.responses.create(model=TALK, input="Hello", stream=True, max_output_tokens=-1),
         openai.BadRequestError, 400, "invalid_value", "max_output_tokens"),
        (lambda client: client.chat.completions.create(model=TALK, messages=[]),
         openai.BadRequestError, 400, "missing_required_parameter", "messages"),
        (lambda client: client.chat.completions.create(model="gpt-9", messages=[question("Hello")], stream=True),
         openai.NotFoundError, 404, "model_not_found", "model"),
        (lambda client: client.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-9"}),
         openai.NotFoundError, 404, "model_not_found", "model"),
        (lambda client: client.realtime.calls.create(sdp="hello"),
         openai.BadRequestError, 400, "invalid_value", "sdp"),
        (lambda client: client.realtime.calls.hangup("rtc_123"),
         openai.NotFoundError, 404, "not_found", None),
        (lambda client: client.models.retrieve("gpt-9"),
         openai.NotFoundError, 404, "model_not_found", "model"),
    ],
)  # fmt: skip
def test_errors_are_the_packages_own(client, call, kind, status, code, param):
    with pytest.raises(openai.APIStatusError) as caught:
        call(client)
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.param) == (status, code, param)
    assert error.request_id.startswith("req_")
    assert error.type == "invalid_request_error"
