"""The rule machine answers what it is asked, not what somebody wrote down: random sums, random facts, programs that run."""

from __future__ import annotations

import json
import re
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet_local.scribe.machine import reply
from callsheet_local.scribe.talk import Reply, Tool, Turn, tokens

LETTERS = "abcdefghijklmnopqrstuvwxyz"
RESERVED = {"is", "are", "am", "and", "or", "the", "an", "my", "i", "now", "one", "two", "six", "ten", "not", "again"}


def said(*texts: str, **keywords) -> Reply:
    return reply([Turn("user", text) for text in texts], **keywords)


word = st.text(LETTERS, min_size=3, max_size=9).filter(lambda text: text not in RESERVED)
nonsense = st.builds("qx{}".format, st.text(LETTERS, min_size=2, max_size=8))


@given(st.text(max_size=300))
def test_pieces_make_up_the_text(text):
    assert "".join(tokens(text)) == text
    assert all(tokens(text))


# Arithmetic

numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.builds("{}.{}".format, st.integers(0, 999), st.integers(0, 99).map("{:02}".format)),
)


def _joined(parts):
    left, operator, right, blank = parts
    return f"{left}{blank}{operator}{blank}{right}"


expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner, st.sampled_from(["", " "])).map(_joined),
        inner.map("({})".format),
        inner.map("(-{})".format),
        st.tuples(inner, st.integers(0, 4)).map(lambda pair: f"({pair[0]}) ** {pair[1]}"),
    ),
    max_leaves=8,
)


def worked_out(expression: str) -> Fraction:
    """Python's own reading of an expression, in fractions."""
    return eval(re.sub(r"\d+(?:\.\d+)?", lambda match: f"F('{match[0]}')", expression), {"F": Fraction})


@given(expressions.filter(lambda text: re.search(r"\d\s*[-+*/%)]", text) and re.search(r"[\d)]\s*(?:[+/%*]|-)", text)))
@settings(max_examples=150, deadline=None)
def test_sums_are_exact(expression):
    answer = said(f"What is {expression}?").answer
    try:
        expected = worked_out(expression)
    except ZeroDivisionError:
        assert "division by zero has no result" in answer
        return
    assert isinstance(expected, Fraction)
    if not re.search(r"[-+/%*]", expression):
        return
    found = re.search(r" = (-?\d+(?:\.\d+|/\d+)?)(?: \(about [-\d.e+*]+\))?\.$", answer)
    assert found, (expression, answer)
    assert Fraction(found[1]) == expected


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("What is two plus three?", "2 + 3 = 5."),
        ("What is 7 divided by 2?", "7 / 2 = 3.5."),
        ("12 times 12 minus four", "12 * 12 - 4 = 140."),
        ("-2 ** 2 please", "-2 ** 2 = -4."),
        ("2 ** 3 ** 2", "2 ** 3 ** 2 = 512."),
        ("2 ** -2", "2 ** -2 = 0.25."),
        ("What's 20% of 50?", "20 percent of 50 = 10."),
        ("17 // 5 and 17 % 5", "17 // 5 = 3. 17 % 5 = 2."),
        ("5 squared", "5 squared = 25."),
        ("1,000 + 1", "1000 + 1 = 1001."),
        ("3 × 4 ÷ 2", "3 * 4 / 2 = 6."),
        ("0.1 + 0.2", "0.1 + 0.2 = 0.3."),
        ("1/3", "1 / 3 = 1/3 (about 0.3333333333)."),
        ("Is 97 prime?", "97 is prime."),
        ("Is 91 a prime number?", "91 is not prime: 7 * 13 = 91."),
        ("Is 1000000007 prime?", "1000000007 is prime."),
        ("Is 1 prime?", "1 is not prime: primes are 2 or more."),
        ("count to 5", "1 2 3 4 5"),
        ("Say: hello there", "hello there"),
    ],
)
def test_answers(text, ending):
    assert said(text).answer == ending


@pytest.mark.parametrize(
    "text",
    [
        "The date is 2024-05-01.",
        "See https://example.com/1-2/3*4",
        "gpt-5 is out",
        "version 1.2.3-4",
        "It is 10:30 - 11",
    ],
)
def test_what_is_no_sum_is_left_alone(text):
    assert " = " not in said(text).answer


def test_commentary_tells_what_will_be_done():
    assert said("What is 2 + 3?").commentary == "I will add 2 and 3."
    assert said("What is 2 * (3 + 4)?").commentary == "I will work out 2 * (3 + 4)."
    assert said("What is my name?").commentary == "I will look up your name."
    assert said("Hello!").commentary is None
    assert said("What is 2 + 3? Be brief.") == Reply(None, "5", ())
    assert reply([Turn("system", "Answer in one word."), Turn("user", "Is 97 prime?")]) == Reply(None, "Yes", ())


def test_a_wish_for_one_word_is_about_the_question_before():
    turns = [Turn("user", "What is 6 * 7?"), Turn("assistant", "Let me think."), Turn("user", "Answer in one word.")]
    assert reply(turns).answer == "42"
    assert said("What is the capital of France?", "Answer in one word.").answer == "Unknown"


# Facts


@given(st.dictionaries(nonsense, word, min_size=1, max_size=6), st.randoms(), st.sampled_from(["user", "system"]))
@settings(max_examples=100, deadline=None)
def test_facts_are_recalled(facts, random, role):
    turns = [Turn(role, f"The {name} is {value}.") for name, value in facts.items()]
    for _ in range(3):
        turns.insert(random.randrange(len(turns) + 1), Turn("assistant", "The qxfalse is wrong."))
    name = random.choice(sorted(facts))
    assert reply([*turns, Turn("user", f"What is the {name}?")]).answer == f"The {name} is {facts[name]}."
    unknown = reply([*turns, Turn("user", "What is the qzzz?")]).answer
    assert unknown.startswith("I was not told the qzzz. I was told the ")
    assert all(f"the {one}" in unknown for one in facts)


@given(word, word, word)
def test_later_facts_replace_earlier_ones(first, second, third):
    answer = said(
        f"My codeword is {first}.",
        f"My codeword is {second}.",
        f"Actually, my codeword is {third}",
        "What's my codeword?",
    ).answer
    assert answer == f"Your codeword is {third}."


@pytest.mark.parametrize(
    ("told", "asked", "answer"),
    [
        ("My name is Ada.", "What is my name?", "Your name is Ada."),
        ("Hi, I'm Ada Lovelace!", "Do you remember my name?", "Your name is Ada Lovelace."),
        ("Call me Ada", "Tell me my name.", "Your name is Ada."),
        ("Luna is a fox.", "Who is Luna?", "Luna is a fox."),
        ("Luna is a fox.", "what's Luna", "Luna is a fox."),
        ("My favourite colour is teal and my dog is Rex.", "Who is my dog?", "Your dog is Rex."),
        ("Please remember that the codeword is 'swordfish'.", "What was the codeword?", "The codeword is swordfish."),
        ("The capital of France is Paris.", "What is the capital of France?", "The capital of France is Paris."),
        ("My cats are Tom and Kit.", "Who are my cats?", "Your cats are Tom and Kit."),
        ("Your name is Bob.", "What is your name?", "My name is Bob."),
        ("Luna's colour is red.", "What is Luna's colour?", "Luna's colour is red."),
        ("The price is 3.50 euros.", "What is the price?", "The price is 3.50 euros."),
        (
            "Is the codeword swordfish?",
            "What is the codeword?",
            "I was not told the codeword. I was told no facts so far.",
        ),
    ],
)
def test_ways_of_telling_and_asking(told, asked, answer):
    assert said(told, asked).answer == answer


def test_several_questions_at_once():
    answer = said(
        "My name is Ada. The codeword is fish.", "What is my name, what is the codeword and what is 7 * 6?"
    ).answer
    assert answer == "7 * 6 = 42. Your name is Ada. The codeword is fish."


@pytest.mark.parametrize(
    "text", ["What is wrong?", "How are you?", "Tell me a joke.", "Who is there?", "Say nothing of it"]
)
def test_what_asks_for_no_fact(text):
    assert "not told" not in said(text).answer


def test_told_facts_are_noted():
    assert said("My name is Ada and the codeword is fish.").answer == "Noted: Your name is Ada. The codeword is fish."


def test_what_a_tool_said_is_told_and_known():
    turns = [
        Turn("user", "Weather?"),
        Turn("assistant", "get_weather({})"),
        Turn("tool", '{"temperature": 21, "sky": "clear"}'),
    ]
    assert reply(turns) == Reply(None, 'The tool said: {"temperature": 21, "sky": "clear"}', ())
    assert reply([*turns, Turn("user", "What is the temperature?")]).answer == "The temperature is 21."
    assert (
        reply([*turns[:2], Turn("tool", "The sky is grey."), Turn("user", "What is the sky?")]).answer
        == "The sky is grey."
    )


# Programs


@pytest.mark.parametrize("kind", ["function to check", "script that checks"])
def test_the_program_for_primes_runs(kind):
    answer = said(f"Write a Python {kind} if a number is prime.").answer
    code = re.fullmatch(r"```python\n(.*)```", answer, re.DOTALL)[1]
    names: dict = {"__name__": "tested"}
    exec(code, names)
    assert [number for number in range(-3, 30) if names["is_prime"](number)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]


def test_other_programs_are_not_pretended():
    assert said("Write a function that parses HTML.").answer.startswith("I have no rule for that program.")
    assert said("Write a Python function for factorials.").answer.startswith("I have no rule for that program.")
    assert said("Write a Rust function that checks primes.").answer.startswith("I have no rule for that program.")


def test_without_a_rule_it_says_what_it_can_do():
    answer = said("Explain quantum gravity to Zoltan.").answer
    assert "5 words about Explain, quantum, gravity and Zoltan" in answer
    assert "I can do arithmetic" in answer
    assert reply([]).answer.startswith("There is nothing to answer yet.")


# Hostile input


HOSTILE = {
    "a number of a million digits": "9" * 10**6 + " + 1",
    "ten thousand digits": "9" * 10_000 + " + 1",
    "a tower of powers": "9 ** 9 ** 9 ** 9",
    "a large power": "12345 ** 123456789",
    "a small power": "1 ** 99999999999999999999",
    "nested deep": "(" * 9000 + "1 + 1" + ")" * 9000,
    "nested for ever": "(" * 10**6,
    "signs": "-" * 10**6 + "1",
    "powers": "2**" * 5000 + "2",
    "many sums": "1+1," * 5000,
    "a long sum": "1+" * 9000 + "1",
    "blanks": " " * 10**6 + "?",
    "is is is": "is " * 300_000,
    "the the is": "the " * 4000 + "is " * 1000,
    "commas": "my, and my " * 20_000,
    "what is": "what is " * 100_000,
    "quotes": "\"'" * 10**5,
    "names": "In Paris And " * 20_000,
    "prime": f"Is {'7' * 5000} prime?",
    "count": "count to 999999999",
    "count long": f"count to {'9' * 10_000}",
    "decimals": "0." + "1" * 900 + " / 0." + "3" * 900,
    "digits and dots": "1." * 10_000,
    "write": "write " * 50_000 + "function",
    "please say": "please " * 20_000 + "say",
    "remember": "remember that " * 20_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_answered_quickly(text):
    tool = Tool(
        "look_up",
        "Look a word up in the books of names",
        {"properties": {"word": {"type": "string"}}, "required": ["word"]},
    )
    began = time.perf_counter()
    for tools, choice in (((), "auto"), ([tool], "required")):
        answered = reply([Turn("user", text)], tools, choice)
        assert answered.answer or answered.calls
        assert len(json.dumps(answered.answer)) < 200_000
    assert time.perf_counter() - began < 2


def test_many_turns_are_answered_quickly():
    turns = [Turn("user", f"The word{index} is fish.") for index in range(100_000)]
    began = time.perf_counter()
    assert reply([*turns, Turn("user", "What is the word99007?")]).answer == "The word99007 is fish."
    assert time.perf_counter() - began < 8


def test_a_tools_number_is_told_as_it_was_written():
    turns = [Turn("assistant", "look()"), Turn("tool", '{"x": 1e999, "y": 2.50}')]
    assert reply([*turns, Turn("user", "What is the x? And what is the y?")]).answer == "The x is 1e999. The y is 2.50."


def test_limits_are_said_in_words():
    assert "more than 1000 digits" in said("9 ** 9 ** 9").answer
    assert "whole powers" in said("2 ** 0.5").answer
    assert "at most" in said("count to 999999").answer
    assert "10**24" in said(f"Is {'7' * 50} prime?").answer
