"""The Responses API: documents and events as documented, turns that hang together, and what is refused."""

from __future__ import annotations

import copy
import json
import time

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callsheet import BadRequestError, NotFoundError
from callsheet.drive import step_through
from callsheet_local.scribe.talk import tokens

from .conftest import Hooks
from .scribe_rules import checked, watched

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

FIELDS = """
    id object created_at completed_at status background error incomplete_details instructions max_output_tokens
    model output parallel_tool_calls previous_response_id reasoning service_tier store temperature text
    tool_choice tools top_p truncation usage metadata
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    made = Hooks(data_dir=tmp_path_factory.mktemp("scribe"), tokens_per_second=0)
    yield made
    made.provider.close()


def texts(response) -> list[tuple[str | None, str]]:
    return [
        (item.get("phase"), item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])
        for item in response["output"]
    ]


def test_a_response_is_as_documented(quick):
    response = quick("responses", model="scribe-1", input="What is 2 + 3?", metadata={"a": "b"})
    document = checked(response.raw)
    assert texts(response) == [("commentary", "I will add 2 and 3."), ("final_answer", "2 + 3 = 5.")]
    assert document["status"] == "completed"
    assert document["metadata"] == {"a": "b"}
    assert set(document) == set(FIELDS.split())
    assert document["usage"]["output_tokens"] == sum(len(tokens(text)) for _, text in texts(response))
    assert document["usage"]["input_tokens"] == len(tokens("What is 2 + 3?"))


inputs = st.one_of(
    st.sampled_from(
        ["What is 2 + 3?", "My name is Ada.", "What is my name?", "Weather in Paris and Rome?", "Say hi", "…"]
    ),
    st.text(min_size=1, max_size=60),
)
asked = st.fixed_dictionaries(
    {"input": inputs},
    optional={
        "instructions": st.sampled_from(["Be brief.", "The codeword is fish."]),
        "tools": st.just([WEATHER]),
        "tool_choice": st.sampled_from(["auto", "none"]),
        "parallel_tool_calls": st.booleans(),
        "max_output_tokens": st.integers(1, 30),
        "store": st.booleans(),
        "text": st.sampled_from([{"format": {"type": "json_object"}}, {"verbosity": "low"}, {}]),
        "temperature": st.floats(0, 2),
    },
)


@given(asked)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_says_what_the_answer_says_in_the_documented_order(quick, fields):
    whole = checked(quick("responses", **fields).raw)
    streamed = watched(
        step_through(quick("responses", stream=True, stream_options={"include_obfuscation": True}, **fields))
    )
    assert texts(streamed) == texts(whole)
    for name in ("status", "usage", "incomplete_details", "tools", "text", "instructions", "store"):
        assert streamed[name] == whole[name]
    if "max_output_tokens" in fields:
        assert whole["usage"]["output_tokens"] <= fields["max_output_tokens"]


def test_max_output_tokens_cuts(quick):
    response = quick("responses", input="count to 50", max_output_tokens=20)
    assert response.status == "incomplete"
    assert response.incomplete_details == {"reason": "max_output_tokens"}
    assert response["completed_at"] is None
    assert response.output[-1]["status"] == "incomplete"
    assert response.usage["output_tokens"] == 20


# Turns


def test_a_chain_of_turns(quick):
    first = quick("responses", input="My name is Ada.", instructions="Be brief.")
    assert first.output_text == "Noted"
    second = quick("responses", input="The codeword is swordfish.", previous_response_id=first.id)
    third = quick("responses", input="What is my name, and what is the codeword?", previous_response_id=second.id)
    assert texts(third)[-1] == ("final_answer", "Your name is Ada. The codeword is swordfish.")  # not brief any more
    assert third.usage["input_tokens"] > second.usage["input_tokens"] > first.usage["input_tokens"] - 4
    assert third.previous_response_id == second.id


def test_items_are_sent_back_verbatim(quick):
    tools = [WEATHER]
    first = quick("responses", input="My name is Ada. What's the weather in Paris?", tools=tools, store=False)
    assert [item["type"] for item in first.output] == ["message", "function_call"]
    assert first.output[0]["phase"] == "commentary"
    call = first.output[1]
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    history = [{"role": "user", "content": "My name is Ada. What's the weather in Paris?"}, *first.output]
    history[1] = {**history[1], "x_unknown": {"kept": True}}
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees and sunny"}
    sent = copy.deepcopy([*history, result])
    second = quick("responses", input=[*history, result], tools=tools)
    assert sent == [*history, result]
    assert texts(second) == [("final_answer", "The tool said: 21 degrees and sunny")]
    kept = quick("list_input_items", response_id=second.id, order="asc").data
    assert [item["type"] for item in kept] == ["message", "message", "function_call", "function_call_output"]
    assert kept[1] == history[1]
    assert kept[2] == call
    third = quick(
        "responses", input=[*history, result, *second.output, {"role": "user", "content": "What is my name?"}]
    )
    assert texts(third)[-1] == ("final_answer", "Your name is Ada.")


def test_a_call_is_answered_by_previous_response_id(quick):
    first = quick("responses", input="Weather in Oslo?", tools=[WEATHER])
    result = {"type": "function_call_output", "call_id": first.output[-1]["call_id"], "output": '{"temperature": -4}'}
    second = quick("responses", input=[result], previous_response_id=first.id)
    assert second.output_text == 'The tool said: {"temperature": -4}'
    assert (
        "The temperature is -4."
        in quick("responses", input="What is the temperature?", previous_response_id=second.id).output_text
    )
    parts = [{"type": "input_text", "text": "cold"}]
    again = quick("responses", input=[{**result, "output": parts}], previous_response_id=first.id)
    assert again.output_text == "The tool said: cold"


def test_one_call_at_a_time(quick):
    fields = {"input": "Weather in Oslo and Rome?", "tools": [WEATHER]}
    calls = [item for item in quick("responses", **fields).output if item["type"] == "function_call"]
    assert [json.loads(call["arguments"])["city"] for call in calls] == ["Oslo", "Rome"]
    one = quick("responses", parallel_tool_calls=False, **fields)
    assert [item["type"] for item in one.output] == ["message", "function_call"]


def test_item_references(quick):
    first = quick("responses", input=[{"role": "user", "content": "The codeword is fish.", "id": "msg_mine"}])
    question = {"role": "user", "content": "What is the codeword?"}
    for reference in ({"type": "item_reference", "id": "msg_mine"}, {"id": "msg_mine"}):
        assert quick("responses", input=[reference, question]).output_text.endswith("The codeword is fish.")
    assert (
        quick("responses", input=[{"type": "item_reference", "id": first.output[-1]["id"]}, question]).status
        == "completed"
    )
    with pytest.raises(BadRequestError, match="not stored here") as caught:
        quick("responses", input=[{"type": "item_reference", "id": "msg_unknown"}])
    assert caught.value.param == "input[0].id"


def test_pictures_are_not_seen(quick):
    parts = [
        {"type": "input_text", "text": "What is 2 + 2?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_file", "file_id": "file_1"},
    ]
    response = quick("responses", input=[{"role": "user", "content": parts}])
    assert texts(response)[-1][1] == "2 + 2 = 4. I can't see pictures. I can't open files."


# Forms


def test_answers_as_json(quick):
    response = quick("responses", input="What is 2 + 3?", text={"format": {"type": "json_object"}})
    assert json.loads(response.output_text) == {"answer": "2 + 3 = 5."}
    schema = {
        "type": "object",
        "properties": {
            "result": {"type": "number"},
            "answer": {"type": "string"},
            "name": {"type": "string"},
            "sure": {"type": "boolean"},
        },
        "required": ["result", "answer", "name", "sure"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "sum", "schema": schema, "strict": True}
    response = quick("responses", input="My name is Ada. What is 20 + 3?", text={"format": form})
    checked(response.raw)
    said = json.loads(response.output_text)
    jsonschema_rs.validate(schema, said)
    assert (said["result"], said["answer"], said["name"]) == (23, "20 + 3 = 23.", "Ada")
    with pytest.raises(BadRequestError) as caught:
        quick(
            "responses",
            input="hi",
            text={"format": {**form, "schema": {"type": "object", "required": ["x"], "properties": {"x": False}}}},
        )
    assert caught.value.param == "text.format.schema"


# What is refused


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ["text"]}, "input[0]"),
        ({"input": [{"role": "user", "content": "a"}, {"role": "judge", "content": "b"}]}, "input[1].role"),
        ({"input": [{"type": "telepathy"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "smell"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "function_call_output", "call_id": "call_x", "output": "1"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "call_x", "arguments": "{}"}]}, "input[0].name"),
        ({"input": "a", "conversation": "conv_1"}, "conversation"),
        ({"input": "a", "prompt": {"id": "p"}}, "prompt"),
        ({"input": "a", "background": True, "store": False}, "background"),
        ({"input": "a", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "a", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"input": "a", "tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"input": "a", "tool_choice": "required"}, "tool_choice"),
        ({"input": "a", "tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"input": "a", "temperature": 3}, "temperature"),
        ({"input": "a", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "a", "metadata": {"a": 1}}, "metadata"),
        ({"input": "a", "text": {"format": {"type": "poem"}}}, "text.format.type"),
        ({"input": [{"role": "user", "content": "\ud800"}]}, "input"),
        ({"input": "a" * 1_000_001}, "input"),
        ({"input": [{"role": "user", "content": "a", "x": float("nan")}]}, "input"),
    ],
)
def test_what_is_refused(quick, fields, param):
    for stream in (False, True):
        with pytest.raises(BadRequestError) as caught:
            quick("responses", stream=stream, **fields)
        assert caught.value.param == param


def test_unknown_names_are_404(quick):
    with pytest.raises(NotFoundError, match="scribe-1") as caught:
        quick("responses", model="gpt-5", input="a")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(NotFoundError) as caught:
        quick("responses", input="a", previous_response_id="resp_x")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    for name in ("get_response", "delete_response", "cancel_response", "list_input_items"):
        with pytest.raises(NotFoundError) as caught:
            quick(name, response_id="resp_x")
        assert caught.value.param == "response_id"


def test_nested_for_ever(quick):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadRequestError, match="nested"):
        quick("responses", input=[{"role": "user", "content": deep}])
    while deep:  # taken apart one by one: Python's own way is a deep one, too
        deep = deep[0]


def test_ten_thousands_of_turns_are_quick(quick):
    began = time.perf_counter()
    turns = [{"role": "user", "content": "a"}] * 30_000
    assert quick("responses", input=[*turns, {"role": "user", "content": "What is 1 + 1?"}]).output_text.endswith(
        "= 2."
    )
    assert time.perf_counter() - began < 5
