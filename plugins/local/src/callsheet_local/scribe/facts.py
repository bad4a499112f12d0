"""Facts: "My name is Ada", "The codeword is swordfish", "Luna is a fox"; and the questions that ask for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from attrs import frozen

from callsheet_local.scribe.talk import LOOKS_AT, Turn, words

__all__ = ["Fact", "Facts", "asked", "sentences", "told"]

MOST_ASKED = 20
MOST_TURNS = 10_000
_SENTENCE = re.compile(r"(?:[^.!?;\n]|[.!?;](?=\S))+[.!?;]*")
_OPENING = re.compile(
    r"(?:no|yes|actually|sorry|well|ok|okay|please|hi|hello|hey|remember|note|also|now|and|but|so|by the way|know"
    r"|for the record|from now on)\b[\s,:!]*(?:that\b\s*)?",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r",?\s+and\s+(?=(?:my|our|your|the)\s+[^,]{1,60}?\s+(?:is|are)\s)|,\s+(?=(?:my|our|your|the)\s+[^,]{1,60}?\s+(?:is|are)\s)",
    re.IGNORECASE,
)
_STATEMENT = re.compile(
    r"(?P<subject>[^,:]{1,80}?)\s+(?P<verb>is|are)\s+(?P<value>\S.{0,199})", re.IGNORECASE | re.DOTALL
)
_I_AM = re.compile(r"(?:(?i:i\s+am|i['’]m|call\s+me))\s+(?P<value>[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*){0,3})\s*")
_OWNERS = ("my", "our", "your", "the", "the user's", "a", "an")
_NOT_SUBJECTS = words(
    """
    it this that these those there here he she they we i you what who whom whose where when why how which if whether
    nothing everything something someone everyone all and or but because is are let as then than one
    """
)
_QUESTION = re.compile(
    r"\b(?:(?:what|who|where|when|which|how)(?:\s+(?:is|are|was|were)|['’]s|['’]re)"
    r"|(?:do\s+you\s+(?:know|remember)|tell\s+me|remind\s+me\s+of|say|what\s+about|recall|repeat)"
    r"(?:\s+(?:what|who|where))?(?=\s+(?:my|our|your|the)\b)"
    r"|what\s+did\s+i\s+(?:say|tell\s+you)(?:\s+that)?(?=\s+(?:my|our|the)\b))"
    r"\s+(?P<subject>[^?!;,\n]{1,120})",
    re.IGNORECASE,
)
_QUESTION_END = re.compile(
    r"\s*(?:[.](?:\s|$)|\b(?:and|or)\s+(?:what|who|where|when|how|tell|is)\b|\s(?:is|are|was|were)\s*$"
    r"|\s(?:again|now|please|called|in\s+one\s+word|then)\b\s*[.]?\s*$|$)",
    re.IGNORECASE,
)
_QUOTES = "\"'“”‘’`"


@frozen
class Fact:
    """Something that was said of something. `subject` is as the answer names it: "your name", "the codeword", "Luna"."""

    key: str
    subject: str
    verb: str
    value: str

    @property
    def sentence(self) -> str:
        """The fact as the machine tells it."""
        return f"{self.subject[:1].upper()}{self.subject[1:]} {self.verb} {self.value}."


class Facts(dict[str, Fact]):
    """What was told, by key; the latest counts."""

    def learn(self, found: Iterable[Fact]) -> None:
        for fact in found:
            self.pop(fact.key, None)  # so that the latest stands last
            self[fact.key] = fact

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> Facts:
        """All that was told by users, by instructions and by tools. What the machine itself said is no source."""
        facts = cls()
        rules = [turn for turn in turns[:-MOST_TURNS] if turn.role == "system"]
        for turn in [*rules[:100], *turns[-MOST_TURNS:]]:
            if turn.role != "assistant" and len(turn.text) > 4:
                facts.learn(told(turn.text, json_too=turn.role == "tool"))
        return facts


def sentences(text: str) -> list[str]:
    """A text's sentences, each with the mark that ends it."""
    return [found.strip() for found in _SENTENCE.findall(text[:LOOKS_AT]) if found.strip()]


def told(text: str, json_too: bool = False) -> list[Fact]:
    """The facts in a text. In a tool's result, the members of a JSON object are facts, too."""
    if json_too and text.lstrip()[:1] == "{" and len(text) <= LOOKS_AT:
        try:
            document = json.loads(text, parse_float=str, parse_constant=str)  # told as written: 1e999 is no Infinity
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return [
                Fact(_key(name), f"the {_plain(name)}", "is", value if isinstance(value, str) else json.dumps(value))
                for name, value in list(document.items())[:100]
                if isinstance(value, str | int | float) and _key(name)
            ]
    lowered = text.casefold()
    if not any(sign in lowered for sign in (" is ", " are ", "i am ", "call me ", "i'm ", "i’m ", "\nis ", "\nare ")):
        return []
    found = []
    for sentence in sentences(text):
        if sentence.endswith("?"):
            continue
        for part in _PARTS.split(sentence[:2000])[:20]:
            if (fact := _fact(part)) is not None:
                found.append(fact)
    return found


def _fact(part: str) -> Fact | None:
    part = part.strip().rstrip(".!;").strip()
    for _ in range(4):
        opening = _OPENING.match(part)
        if opening is None:
            break
        part = part[opening.end() :]
    if named := _I_AM.fullmatch(part):
        return Fact("my name", "your name", "is", named["value"])
    match = _STATEMENT.fullmatch(part)
    if match is None:
        return None
    subject, verb, value = " ".join(match["subject"].split()), match["verb"].lower(), match["value"]
    value = re.sub(r"^(?:now|really|actually|called)\s+", "", value, flags=re.IGNORECASE).strip().strip(_QUOTES).strip()
    key, words = _key(subject), subject.split()
    if not value or not key or len(words) > 8 or words[0].casefold() in _NOT_SUBJECTS or "?" in value:
        return None
    determined = words[0].casefold() in _OWNERS and len(words) > 1
    if not determined and not (subject[0].isupper() or subject[0] in _QUOTES or "'s " in subject):
        return None
    return Fact(key, _told_back(subject), verb, value)


def _key(subject: str) -> str:
    """What a subject is looked up by: "my name" stays the user's, articles don't matter."""
    words = re.sub(r"[_\s]+", " ", subject.casefold().replace("’", "'")).strip(_QUOTES + " .").strip()
    words = re.sub(r"^(?:the user's|users?'s?|our)\s+", "my ", words)
    return re.sub(r"^(?:the|an?)\s+", "", words)


def _plain(name: str) -> str:
    return re.sub(r"[_\s]+", " ", name).strip()


def _told_back(subject: str) -> str:
    """A subject from the other side: my name becomes your name."""
    first, _, rest = subject.strip(_QUOTES).partition(" ")
    lowered = first.casefold()
    if rest and subject.casefold().startswith(("the user's ", "the user’s ")):
        return f"your {rest.partition(' ')[2]}"
    if rest and lowered in {"my", "our", "your"}:
        return f"{'my' if lowered == 'your' else 'your'} {rest}"
    return f"{lowered} {rest}" if rest and lowered in {"the", "a", "an"} else subject.strip(_QUOTES)


def asked(text: str) -> list[tuple[str, str]]:
    """What a text asks for: each subject's key, and the subject as the answer names it."""
    found: dict[str, str] = {}
    at, text = 0, text[:LOOKS_AT]
    while (match := _QUESTION.search(text, at)) and len(found) < MOST_ASKED:
        subject = match["subject"]
        end = _QUESTION_END.search(subject)
        stop = end.start() if end else len(subject)
        # The next question may begin inside this one: "my name and what is the codeword?"
        at = match.start("subject") + max(1, min(stop, len(subject)))
        subject = " ".join(subject[:stop].split()).strip(_QUOTES + ".: ")
        key = _key(subject)
        if key and subject.split()[0].casefold() not in _NOT_SUBJECTS:
            found.setdefault(key, _told_back(subject))
    return list(found.items())
