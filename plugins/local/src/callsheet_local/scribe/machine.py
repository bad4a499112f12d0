"""The rule machine: what was said, and what may be called, in; what is said and called, out. Pure, and always the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from callsheet_local.scribe.arithmetic import Sum, sums_in
from callsheet_local.scribe.calling import calls_for
from callsheet_local.scribe.facts import Facts, asked, sentences, told
from callsheet_local.scribe.primes import primes_asked
from callsheet_local.scribe.programs import asks_for_code, prime_check
from callsheet_local.scribe.talk import LOOKS_AT, Reply, Tool, ToolCall, Turn, listed, tokens, words

# What talk.py defines is imported from there; realtime takes these names from here.
__all__ = ["Reply", "Tool", "ToolCall", "Turn", "question_of", "reply", "tokens"]

MOST_COUNTED = 10_000
CAN = (
    "I am a rule machine, not a language model. I can do arithmetic, check primes, count, repeat what I am told to say,"
    " recall what I was told, call declared tools, and write a Python check for primes."
)
_BRIEF = re.compile(
    r"\b(?:be\s+(?:very\s+)?(?:brief|concise|short|terse)|briefly|(?:in|with|use)\s+(?:only\s+)?(?:one|a\s+single)\s+word"
    r"|one[- ]word(?:\s+answer)?|(?:keep|make)\s+(?:it|your\s+answers?|answers)\s+(?:short|brief)"
    r"|short\s+answers?|answer\s+shortly|only\s+the\s+(?:number|answer|result|name|value)|no\s+explanations?)\b",
    re.IGNORECASE,
)
_ONLY_BRIEF = re.compile(
    rf"(?:please\s+)?(?:answer|reply|respond)?\s*(?:me\s+)?(?:{_BRIEF.pattern})\s*(?:please)?[.!]*", re.IGNORECASE
)
_COUNT = re.compile(r"\bcount\s+(?:up\s+)?(?:from\s+1\s+)?to\s+(\d[\d,]*)", re.IGNORECASE)
_SAY = re.compile(
    r"(?:please\s+|now\s+|can\s+you\s+|could\s+you\s+)*(?:say|repeat(?:\s+after\s+me)?|echo)\b\s*:?\s*(?P<words>.+)",
    re.IGNORECASE | re.DOTALL,
)
_GREETING = re.compile(r"\s*(?:hi|hello|hey|good\s+(?:morning|day|evening|afternoon))\b", re.IGNORECASE)
_DULL = words(
    """
    what which who whom whose how when where why can could would will shall should please tell give make write the a
    an of for to in on at by with from and or is are was were be it its this that these those me my your i you we do
    does did have has had not no yes about there here so if then than as into some any all one
    """
)


def reply(
    turns: Sequence[Turn], tools: Sequence[Tool] = (), tool_choice: str | dict[str, Any] | None = "auto"
) -> Reply:
    """What the machine says to a conversation. The same conversation always gets the same reply."""
    question, brief = question_of(turns), _is_brief(turns)
    facts = Facts.of(turns)
    known = {key.removeprefix("my "): fact.value for key, fact in facts.items()}
    answered = bool(turns) and turns[-1].role == "tool"
    forced = tool_choice == "required" or isinstance(tool_choice, dict)
    if tools and (forced or not answered) and (calls := calls_for(question, tools, tool_choice, known)):
        names = list(dict.fromkeys(call.name for call in calls))
        return Reply(None if brief else f"I will call {listed(names)}.", "", calls)
    if answered:
        return Reply(None, _tool_said(turns, brief))
    for rule in _RULES:
        if (found := rule(question, facts, brief)) is not None:
            break
    else:
        found = None, _fallback(question, brief)
    if len(question) == LOOKS_AT and not brief:
        found = found[0], f"{found[1]} (I look at the first {LOOKS_AT:,} characters of a message only.)"
    return Reply(None if brief else found[0], found[1])


def _is_brief(turns: Sequence[Turn]) -> bool:
    """Whether the instructions, or the last user turn, ask for short answers."""
    last = next((turn.text for turn in reversed(turns) if turn.role == "user"), "")
    return any(
        _BRIEF.search(text[:LOOKS_AT]) for text in [last, *(turn.text for turn in turns if turn.role == "system")]
    )


def question_of(turns: Sequence[Turn]) -> str:
    """What the user says last; what they said before if that is but "Answer in one word."."""
    said = [turn.text[:LOOKS_AT] for turn in reversed(turns) if turn.role == "user"][:20]
    return next((text for text in said if text.strip() and not _ONLY_BRIEF.fullmatch(text.strip())), "")


def _tool_said(turns: Sequence[Turn], brief: bool) -> str:
    """What the tools answered, as it is: all answers since somebody else spoke."""
    said: list[str] = []
    for turn in reversed(turns):
        if turn.role != "tool":
            break
        said.append(turn.text)
    lines = "\n".join(reversed(said))
    if not lines.strip():
        return "Nothing" if brief else "The tool said nothing."
    return lines if brief else f"The tool said: {lines}"


Found = tuple[str | None, str] | None


def _count(text: str, _facts: Facts, _brief: bool) -> Found:
    match = _COUNT.search(text)
    if match is None:
        return None
    digits = match.group(1).replace(",", "")
    if len(digits) > 5 or int(digits) > MOST_COUNTED:
        return None, f"I count to {MOST_COUNTED} at most."
    return f"I will count to {int(digits)}.", " ".join(str(number) for number in range(1, int(digits) + 1)) or "0"


def _say(text: str, _facts: Facts, _brief: bool) -> Found:
    match = _SAY.fullmatch(text.strip())
    if match is None or re.match(r"(?:what|who|where|my|our|your|the|that)\b", match["words"], re.IGNORECASE):
        return None
    words = match["words"].strip()
    return None, words[1:-1] if len(words) > 2 and words[0] + words[-1] in {'""', "''", "“”", "``"} else words


def _code(text: str, _facts: Facts, brief: bool) -> Found:
    if not asks_for_code(text):
        return None
    if (code := prime_check(text)) is None:
        return None, "I have no rule for that program. I can write one in Python that checks whether a number is prime."
    return "I will write Python code about prime numbers.", code if brief else f"```python\n{code}```"


def _work(text: str, facts: Facts, brief: bool) -> Found:
    """Primes, sums and questions for facts: as many as are in the text."""
    primes, sums = primes_asked(text), sums_in(text)
    questions = [one for one in asked(text) if _is_about_a_fact(*one, facts) and not (sums and _is_a_sum(one[1]))]
    if not primes and not sums and not questions:
        return None
    answers: list[str] = [word if brief else sentence for _, sentence, word in primes]
    plans: list[str] = [f"check whether {digits} is prime" for digits, _, _ in primes]
    for one in sums:
        plans.append(_plan(one))
        if one.value is not None:
            answers.append(one.said if brief else f"{one.text} = {one.said}.")
        else:
            answers.append("Undefined" if brief else f"{one.text} can't be worked out: {one.why}.")
    for key, subject in questions:
        plans.append(f"look up {subject}")
        if (fact := facts.get(key)) is not None:
            answers.append(fact.value if brief else fact.sentence)
        else:
            answers.append("Unknown" if brief else _not_told(subject, facts))
    plan = "; ".join(plans[:3]) + ("; and so on" if len(plans) > 3 else "")
    return f"I will {plan}.", (", " if brief else " ").join(answers)


_THING = re.compile(r"(?:my|our|your|the|an?)\s|\S{1,40}['’]s?\s", re.IGNORECASE)


def _is_about_a_fact(key: str, subject: str, facts: Facts) -> bool:
    """Whether a question names a thing: "What is wrong?" does not."""
    return key in facts or subject[:1].isupper() or _THING.match(subject) is not None


_A_SUM = re.compile(r"[\d(.+−-]|the\s+(?:sum|product|result|value|difference|quotient)\b", re.IGNORECASE)


def _is_a_sum(subject: str) -> bool:
    """Whether "what is" introduces a sum: "What is 2 + 3?" asks for no fact."""
    return _A_SUM.match(subject) is not None or bool(sums_in(subject))


def _plan(one: Sum) -> str:
    """What is about to be done, for the commentary."""
    if len(one.numbers) == 2 and len(one.operators) == 1 and "(" not in one.text and len(one.text) < 80:
        first, second = one.numbers
        if one.text == f"{first} {one.operators[0]} {second}":
            words = {
                "+": f"add {first} and {second}",
                "-": f"subtract {second} from {first}",
                "*": f"multiply {first} by {second}",
                "/": f"divide {first} by {second}",
                "**": f"raise {first} to the power of {second}",
            }
            return words.get(one.operators[0], f"work out {one.text}")
    return f"work out {one.text}"


def _not_told(subject: str, facts: Facts) -> str:
    known = list(dict.fromkeys(fact.subject for fact in facts.values()))[-10:]
    return f"I was not told {subject}." + (f" I was told {listed(known)}." if known else " I was told no facts so far.")


def _noted(text: str, _facts: Facts, brief: bool) -> Found:
    found = told(text)
    if not found:
        return None
    if brief:
        return None, "Noted"
    latest = {fact.key: fact for fact in found}
    return None, "Noted: " + " ".join(fact.sentence for fact in latest.values())


_RULES: tuple[Callable[[str, Facts, bool], Found], ...] = (_count, _say, _code, _work, _noted)


def _fallback(text: str, brief: bool) -> str:
    """What was read, and what can be done."""
    if not text.strip():
        return "Nothing" if brief else f"There is nothing to answer yet. {CAN}"
    if _GREETING.match(text) and len(text.split()) <= 6:
        return "Hello" if brief else f"Hello! {CAN}"
    if brief:
        return "Unknown"
    words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    subject = list(dict.fromkeys(word for word in words if word.casefold() not in _DULL and len(word) > 1))[:5]
    about = f" about {listed([one[:40] for one in subject])}" if subject else ""
    kind = "question" if any(one.endswith("?") for one in sentences(text)) else "message"
    count = f"{len(words)} word{'' if len(words) == 1 else 's'}"
    return f"I read a {kind} of {count}{about}, and have no rule for it. {CAN}"
