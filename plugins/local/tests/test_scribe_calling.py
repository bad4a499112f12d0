"""Calls: arguments fit their schema, whatever it is; their values come from what the user said."""

from __future__ import annotations

import time

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callsheet_local.scribe.budget import Exhausted
from callsheet_local.scribe.filling import fill
from callsheet_local.scribe.machine import reply
from callsheet_local.scribe.pool import Pool
from callsheet_local.scribe.schema import fits
from callsheet_local.scribe.talk import Tool, Turn

WEATHER = Tool(
    "get_weather",
    "Get the current weather for a city",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "include_wind": {"type": "boolean"},
        },
        "required": ["city"],
    },
)
SUM = Tool(
    "add_numbers",
    "Adds two numbers",
    {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]},
)


def calls(text: str, *tools: Tool, choice="auto", before=()):
    made = reply([*before, Turn("user", text)], tools, choice).calls
    return [(call.name, call.arguments) for call in made]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("What's the weather in Paris?", {"city": "Paris"}),
        ("weather for New York in fahrenheit, for 3 days", {"city": "New York", "unit": "fahrenheit", "days": 3}),
        ('Get the weather of "Rio de Janeiro" without wind', {"city": "Rio de Janeiro", "include_wind": False}),
        ("get_weather city: Oslo, unit=celsius", {"city": "Oslo", "unit": "celsius"}),
        ("What is the weather in Lima in the next 99 days?", {"city": "Lima"}),
    ],
)
def test_values_come_from_the_text(text, arguments):
    assert calls(text, WEATHER, SUM) == [("get_weather", arguments)]


def test_two_places_are_two_calls():
    assert calls("Weather in Paris, Rome and New York?", WEATHER) == [
        ("get_weather", {"city": city}) for city in ("Paris", "Rome", "New York")
    ]


def test_a_tool_is_called_only_when_asked_for():
    assert calls("What is 2 + 3?", WEATHER) == []
    assert calls("Hello!", WEATHER, SUM) == []
    assert calls("What's the weather in Paris?", WEATHER, choice="none") == []
    assert calls("Please add numbers 2.5 and -4", WEATHER, SUM) == [("add_numbers", {"a": 2.5, "b": -4})]


def test_a_tool_that_must_be_called_is():
    assert calls("Hello!", WEATHER, SUM, choice="required")[0][0] in {"get_weather", "add_numbers"}
    for choice in (
        {"type": "function", "name": "add_numbers"},
        {"type": "function", "function": {"name": "add_numbers"}},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add_numbers"}]},
    ):
        assert calls("What's the weather for 7 days and 8 nights?", WEATHER, SUM, choice=choice) == [
            ("add_numbers", {"a": 7, "b": 8})
        ]


def test_facts_serve_as_arguments():
    assert calls("What's the weather like?", WEATHER, before=[Turn("user", "The city is Lagos.")]) == [
        ("get_weather", {"city": "Lagos"})
    ]


def test_formats_arrays_and_objects():
    parameters = {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "to": {"type": "string", "format": "email"},
            "sizes": {"type": "array", "items": {"type": "integer"}},
            "options": {"type": "object", "properties": {"urgent": {"type": "boolean"}}, "required": ["urgent"]},
            "query": {"type": "string"},
        },
        "required": ["when", "to", "sizes", "options", "query"],
    }
    text = "send_report on 2026-03-04 to ada@example.com with sizes 3 and 5, urgent: true"
    [(_, arguments)] = calls(text, Tool("send_report", "", parameters))
    expected = {
        "when": "2026-03-04",
        "to": "ada@example.com",
        "sizes": [3, 5],
        "options": {"urgent": True},
        "query": text,
    }
    assert arguments == expected


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_random_numbers_arrive(a, b):
    assert calls(f"add numbers {a} and {b}", SUM) == [("add_numbers", {"a": a, "b": b})]


# Random schemas

scalars = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text("abc", max_size=4))
names = st.sampled_from(["city", "unit", "limit", "query", "tags", "x", "deep_value", "when"])


@st.composite
def bounded_integers(draw):
    low = draw(st.none() | st.integers(-50, 50))
    high = draw(st.none() | st.integers(low if low is not None else -50, 100))
    schema = {"type": draw(st.sampled_from(["integer", "number"]))}
    if low is not None:
        schema[draw(st.sampled_from(["minimum", "minimum", "exclusiveMinimum"]))] = low
    if high is not None:
        schema["maximum"] = high + 2
    return schema


@st.composite
def strings(draw):
    low = draw(st.none() | st.integers(0, 12))
    schema: dict = {"type": "string"}
    if low is not None:
        schema["minLength"] = low
    if draw(st.booleans()):
        schema["maxLength"] = (low or 0) + draw(st.integers(0, 9))
    elif draw(st.booleans()) and not low:
        schema = {"type": "string", "format": draw(st.sampled_from(["date", "date-time", "email", "uri", "uuid"]))}
    return schema


def objects(inner):
    def made(properties, required, closed):
        schema: dict = {"type": "object", "properties": properties}
        schema["required"] = sorted(name for name in properties if name in required)
        if closed:
            schema["additionalProperties"] = False
        return schema

    return st.builds(made, st.dictionaries(names, inner, max_size=4), st.sets(names), st.booleans())


def arrays(inner):
    def made(items, low, more):
        return {"type": "array", "items": items, "minItems": low, "maxItems": low + more}

    return st.builds(made, inner, st.integers(0, 3), st.integers(0, 3))


leaves = st.one_of(
    st.just({}),
    st.just({"$ref": "#/$defs/place"}),
    st.just({"type": "boolean"}),
    st.just({"type": ["string", "null"]}),
    st.builds(lambda values: {"enum": values}, st.lists(scalars, min_size=1, max_size=4, unique_by=repr)),
    st.builds(lambda value: {"const": value}, scalars),
    st.builds(lambda value: {"type": "string", "default": value}, st.text("xyz", max_size=5)),
    bounded_integers(),
    strings(),
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        objects(inner),
        arrays(inner),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"oneOf": [one, {"type": "null"}]}, objects(inner)),
        st.builds(lambda one, other: {"allOf": [one, other]}, objects(inner), st.just({"type": "object"})),
    ),
    max_leaves=10,
)
DEFS = {"place": {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}}
texts = st.sampled_from(
    [
        "",
        "call it",
        "In Paris, limit 7, unit: c, with 'a b' and 2026-01-02 for ada@example.com, -3.5 and 12 are numbers",
        'city Rome, query="x", deep value 5, https://example.com/a true null a b abc 42 99',
    ]
)


@given(objects(schemas), texts)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_arguments_fit_any_schema(schema, text):
    schema["$defs"] = DEFS
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    [call] = reply([Turn("user", text)], [Tool("tool", "", schema)], "required").calls
    errors = [error.message for error in validator.iter_errors(call.arguments)]
    assert not errors, call.arguments


@given(schemas, st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(names, scalars, max_size=3)))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_our_reading_of_schemas_is_the_validators(schema, value):
    root = {"$defs": DEFS, "allOf": [schema]}
    assert fits(value, root, root) == jsonschema_rs.Draft202012Validator(root).is_valid(value)


def test_unusual_schemas():
    tree = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["value", "next"],
    }
    jsonschema_rs.validate(tree, fill(tree, Pool("1 2 3")))
    different = {"type": "array", "items": {"type": "integer", "minimum": 5}, "minItems": 4, "uniqueItems": True}
    jsonschema_rs.validate(different, fill(different, Pool("")))
    stepped = {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "multipleOf": 0.25}
    jsonschema_rs.validate(stepped, fill(stepped, Pool("")))
    beyond_floats = {"type": "integer", "minimum": 10**400}
    jsonschema_rs.validate(beyond_floats, fill(beyond_floats, Pool("")))


@pytest.mark.parametrize(
    "own", [{"default": "ABC-1"}, {"examples": ["ABC-1"]}, {"enum": ["ABC-1", "b"]}, {"const": "ABC-1"}]
)
def test_patterns_are_never_evaluated(own):
    """`^(a+)+$` takes minutes on a text like this one, and holds the whole process up."""
    code = {"type": "string", "pattern": "^(a+)+$", "maxLength": 64}
    schema = {"type": "object", "properties": {"code": code, "more": code}, "required": ["code"]}
    text = f"call it with '{'a' * 40}!' code: {'a' * 40}!"
    assert calls(text, Tool("tool", "", schema), choice="required") == [("tool", {})]
    with pytest.raises(Exhausted):
        fill(schema, Pool(text))
    schema = {**schema, "properties": {"code": {**code, **own}, "more": code}}
    assert fill(schema, Pool(text)) == {"code": "ABC-1"}  # at its word


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"a_" * 50 + "_" * n: {"type": "boolean"} for n in range(500)}}, "a " * 10_000),
        ({"properties": {f"{'_' * n}city": {"type": "string"} for n in range(1111)}}, "city " * 4000),
        ({"properties": {"x": {"enum": ["a a a a a" * 20 + str(n) for n in range(1111)]}}}, "a " * 10_000),
        ({"properties": {"x": {"allOf": [{"enum": [*range(9000)]}, {"enum": [*range(9000, 18_000)]}]}}}, ""),
        ({"properties": {f"p{n}": {"const": [[n]] * 900} for n in range(300)}}, ""),
        ({"properties": {f"p{n}": {"$ref": "#/$defs/long"} for n in range(20)}}, ""),
        ({"properties": {"x": {"type": "array", "uniqueItems": True, "minItems": 900}}}, ""),
    ],
)
def test_eight_tools_share_one_budget(schema, text):
    schema = {**schema, "required": list(schema["properties"]), "$defs": {"long": {"const": "x" * 900_000}}}
    tools = [Tool(f"tool{index}", "", schema) for index in range(8)]
    said = " ".join(tool.name for tool in tools)
    began = time.perf_counter()
    made = calls(f"{said} {text}", *tools)
    assert time.perf_counter() - began < 1  # about 0.3 s; machines differ
    assert len(made) == 8
    assert sum(len(repr(arguments)) for _, arguments in made) < 3_000_000


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#/allOf/0"}]},
        {"type": "array", "minItems": 10**9, "items": {}},
        {"type": "string", "minLength": 10**9},
        {"type": "object", "required": ["x"], "properties": {"x": {"$ref": "#"}}},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "string", "pattern": "(a+)+$", "minLength": 60},
        {"$ref": "https://example.com/schema"},
        False,
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "array", "items": {"enum": list(range(50_000))}, "minItems": 900, "maxItems": 800},
        {"type": "array", "uniqueItems": True, "default": [*range(50_000), 0], "minItems": 50_000},
        {
            "type": "object",
            "properties": {f"p{n}": {"allOf": [{"minLength": 3}, False]} for n in range(5000)},
            "required": ["p7"],
        },
    ],
)
def test_schemas_that_nothing_fits_end_quickly(schema):
    began = time.perf_counter()
    with pytest.raises((Exhausted, RecursionError)):
        fill(schema, Pool("a text with 3 numbers"))
    if isinstance(schema, dict):
        [call] = reply([Turn("user", "call it")], [Tool("tool", "", schema)], "required").calls
        assert isinstance(call.arguments, dict)
    assert time.perf_counter() - began < 3
