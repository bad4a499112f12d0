"""How a form's fields become a document."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet_gateway.errors import Refused
from callsheet_gateway.forms import as_document

TEXTS = frozenset({"prompt"})


@pytest.mark.parametrize(
    ("items", "document"),
    [
        ([("prompt", "a"), ("seconds", "8")], {"prompt": "a", "seconds": "8"}),
        ([("video[id]", "v")], {"video": {"id": "v"}}),
        ([("video", '{"id": "v"}')], {"video": {"id": "v"}}),
        ([("video", "{not json")], {"video": "{not json"}),
        ([("prompt", '{"id": "v"}')], {"prompt": '{"id": "v"}'}),
        ([("characters[][id]", "a")], {"characters": [{"id": "a"}]}),
        ([("characters[][id]", "a"), ("characters[][id]", "b")], {"characters": [{"id": "a"}, {"id": "b"}]}),
        ([("characters[0][id]", "a"), ("characters[1][id]", "b")], {"characters": [{"id": "a"}, {"id": "b"}]}),
        ([("characters[][id]", "a"), ("characters[][name]", "n")], {"characters": [{"id": "a", "name": "n"}]}),
        ([("characters", '[{"id": "a"}]')], {"characters": [{"id": "a"}]}),
        ([("include[]", "a"), ("include[]", "b")], {"include": ["a", "b"]}),
        ([("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "60")],
         {"expires_after": {"anchor": "created_at", "seconds": "60"}}),
        ([("a[b][c][d]", "x")], {"a": {"b": {"c": {"d": "x"}}}}),
        ([("a", "[" * 5000)], {"a": "[" * 5000}),
    ],
)  # fmt: skip
def test_spellings(items, document):
    assert as_document(items, TEXTS) == document


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a"], ["a", "a[b]"], ["a[b]", "a"], ["a[]", "a[b]"], ["a[b]", "a[]"], ["a[0]", "a[0]"], ["a[1]"], ["a[99]"],
        ["a["], ["a]"], ["[a]"], [""], ["a[b]c"], ["a[b[c]]"], ["a[b][c][d][e][f]"], ["a[x]", "a[x][y]"], ["a[]"] * 17,
    ],
)  # fmt: skip
def test_names_that_make_no_sense(names):
    with pytest.raises(Refused) as caught:
        as_document([(name, "x") for name in names], TEXTS)
    assert caught.value.status_code == 400
    assert caught.value.code == "invalid_form"


keys = st.text("abc", min_size=1, max_size=3)
values = st.recursive(
    st.text(max_size=5).filter(lambda text: text[:1] not in {"{", "["}),
    lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=4),
    max_leaves=8,
)


def bracketed(value, name):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from bracketed(inner, f"{name}[{key}]")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from bracketed(inner, f"{name}[{number}]")
    else:
        yield name, value


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(depth, inner)) if isinstance(value, dict | list) else 0


@given(st.dictionaries(keys, values.filter(lambda value: depth(value) <= 4), max_size=4))
def test_brackets_say_what_json_says(document):
    items = [item for name, value in document.items() for item in bracketed(value, name)]
    assert as_document(items, frozenset()) == document


@given(st.dictionaries(keys, values, max_size=4))
def test_a_part_may_hold_json(document):
    items = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in document.items()]
    assert as_document(items, frozenset()) == document


@given(st.lists(st.tuples(st.text("ab[]01", max_size=8), st.just("x")), max_size=6))
def test_any_names_make_a_document_or_a_refusal(items):
    with suppress(Refused):
        assert isinstance(as_document(items, TEXTS), dict)
