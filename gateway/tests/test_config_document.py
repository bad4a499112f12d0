"""YAML as plain data: what it becomes, and what is refused before anything is built of it."""

import time

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from callsheet import ConfigurationError
from callsheet_gateway.configfile import document as module
from callsheet_gateway.configfile.document import parse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=["C", "Python"])
def either_parser(request, monkeypatch):
    """PyYAML may be built without libyaml."""
    if request.param == "Python":
        monkeypatch.setattr(module, "_PARSER", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no libyaml here")


def data(text):
    return parse(text.encode()).data


@given(PLAIN)
@example({"<<": 1, "=": 2, "on": True, "2024-10-21": "2024-10-21", "0b_": "1:30", "~": "null"})
def test_what_was_dumped_is_what_is_loaded(value):
    text = yaml.safe_dump(value)
    assert data(text) == value
    assert yaml.safe_dump(data(text)) == text


def test_words_are_what_yaml_says_and_dates_are_texts():
    assert data("{a: 1, b: 1.5, c: yes, d: ~, e: 2024-10-21, f: 0x10, g: 'yes', h: !!str 1, 2: x, on: y, i: 0b_}") == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": "2024-10-21", "f": 16, "g": "yes", "h": "1", "2": "x", "on": "y",
        "i": "0b_",
    }  # fmt: skip
    assert data("a: " + "1:" * 50 + "1") == {"a": "1:" * 50 + "1"}  # no number is so long
    assert data("") is None
    assert data("\ufeffa: 1") == {"a": 1}


def test_anchors_and_merges():
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo:\n  <<: [*b, {x: 5, z: 6}]\n  w: 4\nthree: *b\n"
    found = parse(text.encode())
    assert found.data["one"] == {"x": 1, "y": 3}
    assert found.data["two"] == {"x": 1, "y": 2, "z": 6, "w": 4}
    assert found.data["three"] is found.data["base"]
    assert [found.line_of(("one", key)) for key in "xy"] == [1, 2]
    assert [found.line_of(("two", key)) for key in "xzw"] == [1, 4, 5]
    assert (found.line_of(("three",)), found.line_of(("three", "y"))) == (6, 1)


def test_lines_of_what_is_there_and_of_what_is_not():
    found = parse(b"a:\n  - b: 1\n    c:\n      d\n  - {e: [1,\n    2]}\n")
    lines = {
        ("a",): 1,
        ("a", 0): 2,
        ("a", 0, "c"): 3,
        ("a", 1): 5,
        ("a", 1, "e", 1): 6,
        ("a", 7): 1,
        ("a", 0, "c", "x"): 3,
    }
    assert {path: found.line_of(path) for path in lines} == lines
    assert (found.line_of(()), found.line_of(("x",))) == (None, None)


@pytest.mark.usefixtures("either_parser")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "3: this key is there twice"),
        ("x: {a: 1,\n a: 2}", "2: this key is there twice"),
        ("a: 1\n'a': 2", "2: this key is there twice"),
        ("a: *SECRET", "1: this alias"),
        ("a: &a [*a]", "1: this alias .* stands within what it refers to"),
        ("a: &a 1\nb: &a 2", "2: an anchor .* is there already"),
        ("a: !!python/name:os.system x", "1: tags"),
        ("a: 1\nb: !SECRET {}", "2: tags"),
        ("a: !!binary aGk=", "1: tags"),
        ("a: !!set {x}", "1: tags"),
        ("a: !!int SECRET", "1: tags"),
        ("? [SECRET]\n: 1", "1: a key must be a plain text"),
        ("? {SECRET: 1}\n: 1", "1: a key must be a plain text"),
        ("a: 1\n&k SECRET: 1", "2: a key must be a plain text"),
        ("a: 1\n--- \nb: 2", "2: a second document begins here"),
        ("a: 1\n<<: SECRET", "2: << takes a mapping"),
        ("a:\n\t- SECRET", "2: this is not YAML"),
        ("a: b: SECRET", "1: this is not YAML"),
        ('a: "SECRET\n\nb: 1', "this is not YAML"),
        ("a: %SECRET", "1: this is not YAML"),
        ("a: !SECRET!x y", "this is not YAML"),
        ("a: 1\nb: \x07SECRET", "2: there is a control character"),
        (b"a: 1\nb: SECRET\xff", "2: this is not UTF-8"),
        ("SECRET: [", "this is not YAML"),
        ("%SECRET 1\n---\n%SECRET: 1", "this is not YAML"),
        ('a: "\\ud800"', "this is not YAML|half a character"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    assert "SECRET" not in str(caught.value)


def laughs(levels, width):
    """The billion laughs: each level refers to the one before, many times."""
    lines = [f"a0: &a0 [{', '.join(['ha'] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels):
    """The same with mappings that take over what is in others."""
    lines = [f"m{n}: &m{n} {{<<: [*m{n - 1}], k{n}: *m{n - 1}}}" for n in range(1, levels)]
    return "\n".join(["m0: &m0 {k: 1}", *lines])


@pytest.mark.usefixtures("either_parser")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 33 + "]" * 33, "nested more than 32 levels deep"),
        ("[" * 100_000, "nested more than 32 levels deep"),
        ("{a: " * 100_000, "nested more than 32 levels deep"),
        ("- " * 100_000, "nested more than 32 levels deep"),
        ("\n".join(" " * n + f"a{n}:" for n in range(1_000)), "nested more than 32 levels deep"),
        ("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20, "nested more than 32 levels deep"),
        (laughs(9, 9), "more than 100,000 values"),
        (laughs(30, 3), "more than 100,000 values"),
        (merges(30), "100,000|32 levels"),
        ("a: &a x\nb: [" + "*a," * 101 + "]", "more than 100 aliases"),
        ("a: [" + "x," * 100_001 + "]", "more than 100,000 values"),
    ],
    ids=range(11),
)  # fmt: skip
def test_bombs_are_refused_at_once(text, words):
    begin = time.process_time()
    with pytest.raises(ConfigurationError, match=words):
        parse(text.encode())
    assert time.process_time() - begin < (1 if module._PARSER is not yaml.SafeLoader else 20)


def test_what_is_just_right():
    assert data("[" * 32 + "]" * 32)
    assert len(data("a: &a x\nb: [" + "*a," * 100 + "]")["b"]) == 100
