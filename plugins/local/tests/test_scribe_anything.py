"""Whatever is sent: an answer, or a refusal that names the field."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callsheet import BadRequestError

from .conftest import Hooks

WORDS = """
    message user assistant system tool function_call function_call_output item_reference input_text output_text text id
    call_1 get_weather auto required function json_schema {} What is 2+2? x
"""
KEYS = """
    type role content text id call_id name arguments output function parameters properties required items enum $ref schema
    format json_schema tool_calls tool_call_id anyOf default minItems
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    made = Hooks(data_dir=tmp_path_factory.mktemp("anything"), tokens_per_second=0)
    yield made
    made.provider.close()


words, keys = st.sampled_from(WORDS.split()), st.sampled_from(KEYS.split())
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=12,
)
objects = st.dictionaries(keys, anything, max_size=5)
messages = st.builds(lambda role, rest: {"role": role, **rest}, words, objects)


def declared(name, schema):
    inner = {"name": name, "parameters": schema}
    return {"type": "function", **inner, "function": inner}


tools = st.builds(declared, words, objects)
things = st.lists(messages | objects | anything, min_size=1, max_size=4)


@given(
    things,
    st.lists(tools | anything, max_size=2) | st.none(),
    st.none() | words | objects,
    st.none() | objects,
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_anything_is_answered_or_refused(quick, given_input, given_tools, choice, form):
    shared = {"tools": given_tools, "tool_choice": choice}
    shaped = {"format": form} if form is not None else None
    for name, fields in (
        ("responses", {"input": given_input, "text": shaped, "store": False}),
        ("chat_completions", {"messages": given_input, "response_format": form}),
    ):
        try:
            answer = quick(name, **fields, **shared)
        except BadRequestError as error:
            assert error.param  # noqa: PT017  either is right
        else:
            assert answer.usage["total_tokens"] >= 0
