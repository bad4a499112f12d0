"""Chat completions: documents and chunks as documented."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from callsheet import BadRequestError, NotFoundError
from callsheet.drive import step_through

from .conftest import Hooks

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    made = Hooks(data_dir=tmp_path_factory.mktemp("chat"), tokens_per_second=0)
    yield made
    made.provider.close()


def user(text):
    return {"role": "user", "content": text}


def checked(document):
    ChatCompletion.model_validate(document, strict=True)
    usage = document["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return document


def gathered(events, include_usage=False):
    """The choices that chunks add up to, when they come in the documented order."""
    events = list(events)
    assert {event.type for event in events} == {"message"}
    chunks = [event.data for event in events]
    usage = None
    if include_usage:
        usage = chunks.pop()
        assert usage["choices"] == []
        assert all(chunk["usage"] is None for chunk in chunks)
    choices: dict[int, dict] = {}
    for chunk in [*chunks, *([usage] if usage else [])]:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        assert ("usage" in chunk) == include_usage
    for chunk in chunks:
        [choice] = chunk["choices"]
        delta, index = choice["delta"], choice["index"]
        if index not in choices:
            assert delta["role"] == "assistant"
            choices[index] = {"content": delta["content"], "tool_calls": [], "finish_reason": None}
            continue
        mine = choices[index]
        assert mine["finish_reason"] is None
        mine["finish_reason"] = choice["finish_reason"]
        if choice["finish_reason"]:
            assert delta == {}
        if "content" in delta:
            mine["content"] += delta["content"]
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == len(mine["tool_calls"])
                mine["tool_calls"].append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
            else:
                mine["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return choices, usage and usage["usage"]


def test_a_completion_is_as_documented(quick):
    answer = checked(
        quick("chat_completions", model="scribe-1", messages=[user("What is 2 + 3?")], store=True, metadata={}).raw
    )
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "2 + 3 = 5.", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["id"].startswith("chatcmpl-")


asked = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.sampled_from(["What is 2 + 3?", "Weather in Paris and Rome?", "Say hi", ""]).map(user),
            min_size=1,
            max_size=3,
        )
    },
    optional={
        "n": st.integers(1, 3),
        "max_completion_tokens": st.integers(1, 20),
        "max_tokens": st.integers(1, 20),
        "stop": st.sampled_from([" ", ["=", "5"], "zz"]),
        "tools": st.just([WEATHER]),
        "parallel_tool_calls": st.booleans(),
        "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}]),
        "verbosity": st.sampled_from(["low", "high"]),
    },
)


@given(asked, st.booleans())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_say_what_the_completion_says(quick, fields, include_usage):
    whole = checked(quick("chat_completions", **fields).raw)
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    choices, usage = gathered(step_through(quick("chat_completions", stream=True, **options, **fields)), include_usage)
    assert len(choices) == len(whole["choices"]) == fields.get("n", 1)
    for choice in whole["choices"]:
        streamed, message = choices[choice["index"]], choice["message"]
        assert streamed["content"] == message["content"]
        assert streamed["finish_reason"] == choice["finish_reason"]
        functions = [call["function"] for call in message.get("tool_calls", ())]
        assert [call["function"] for call in streamed["tool_calls"]] == functions
    assert usage is None or usage == whole["usage"]


def test_a_call_and_its_answer(quick):
    messages = [user("What's the weather in Paris?")]
    first = quick("chat_completions", messages=messages, tools=[WEATHER])
    [choice] = first.choices
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    messages += [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}]
    assert quick("chat_completions", messages=messages, tools=[WEATHER]).text == "The tool said: 21 degrees"


def test_ends(quick):
    cut = quick("chat_completions", messages=[user("count to 50")], max_completion_tokens=5)
    assert (cut.text, cut.choices[0]["finish_reason"], cut.usage["completion_tokens"]) == ("1 2 3 4 5", "length", 5)
    stopped = quick("chat_completions", messages=[user("count to 50")], stop=[" 7", " 5"])
    assert (stopped.text, stopped.choices[0]["finish_reason"]) == ("1 2 3 4", "stop")
    schema = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}
    form = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}
    assert json.loads(quick("chat_completions", messages=[user("2 + 3?")], response_format=form).text) == {"result": 5}
    parts = [{"type": "text", "text": "1 + 1"}, {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]
    assert quick("chat_completions", messages=[user(parts)]).text == "1 + 1 = 2. I can't see pictures."


def test_chunks_take_their_time(tmp_path):
    hooks = Hooks(data_dir=tmp_path, tokens_per_second=100)
    began = time.perf_counter()
    gathered(step_through(hooks("chat_completions", messages=[user("count to 30")], stream=True)))
    assert time.perf_counter() - began == pytest.approx(0.3, abs=0.2)
    assert not list(tmp_path.iterdir())  # chat keeps nothing


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "judge", "content": "a"}]}, "messages[0].role"),
        ({"messages": ["a"]}, "messages[0].role"),
        ({"messages": [user(None)]}, "messages[0].content"),
        ({"messages": [user([{"type": "smell"}])]}, "messages[0].content[0].type"),
        ({"messages": [user("a"), {"role": "tool", "tool_call_id": "x", "content": "b"}]}, "messages[1].tool_call_id"),
        ({"messages": [user("a")], "n": 9}, "n"),
        ({"messages": [user("a")], "stop": ["a"] * 5}, "stop"),
        ({"messages": [user("a")], "functions": []}, "functions"),
        ({"messages": [user("a")], "modalities": ["audio"]}, "modalities"),
        ({"messages": [user("a")], "tools": [{"type": "function"}]}, "tools[0].function"),
        ({"messages": [user("a")], "tool_choice": "required"}, "tool_choice"),
        ({"messages": [user("a")], "response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        ({"messages": [user("a" * 1_000_001)]}, "messages"),
    ],
)
def test_what_is_refused(quick, fields, param):
    with pytest.raises(BadRequestError) as caught:
        quick("chat_completions", **fields)
    assert caught.value.param == param


def test_an_unknown_model(quick):
    with pytest.raises(NotFoundError, match="scribe-1"):
        quick("chat_completions", model="gpt-5", messages=[user("a")])
