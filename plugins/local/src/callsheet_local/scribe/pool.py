"""What a user's text offers as values for arguments. Each value is handed out once, except what is asked for by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from callsheet_local.scribe.budget import Budget
from callsheet_local.scribe.talk import LOOKS_AT

__all__ = ["Pool"]

_NUMBER = re.compile(r"(?<![\w.:-])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w:]|[.-]\d)")
_QUOTED = re.compile(r"\"([^\"\n]{1,2000})\"|“([^”\n]{1,2000})”|(?<!\w)'([^'\n]{1,2000})'(?!\w)|`([^`\n]{1,2000})`")
_NAME = r"[A-Z][\w'’-]*(?:\s+(?:[A-Z][\w'’-]*|de|la|of|the(?=\s[A-Z])))*"
_AFTER_IN = re.compile(rf"\b(?:in|for|of|at|to|from|near|about|named|called)\s+({_NAME})")
_CAPITALISED = re.compile(rf"(?<=[\w,)\"'] )({_NAME})")
_DATE_TIME = re.compile(r"(?<!\d)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"(?<!\d)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_URL = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;!?)]")
_YES = re.compile(r"\b(true|yes|on|enabled|with)\b", re.IGNORECASE)
_NO = re.compile(r"\b(false|no|off|disabled|without|not)\b", re.IGNORECASE)

_PARTS = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+|[^\w\s]+")


@define
class Pool:
    """The values in a text. `known` are facts by their names; `text` itself serves arguments such as `query`."""

    text: str
    known: Mapping[str, str] = field(factory=dict)
    first: list[Any] = field(factory=list)
    """Numbers that go before those of the text: results."""
    budget: Budget = field(factory=Budget)
    """What each look at the text is paid from: an argument's name is a stranger's, and may be one of thousands."""
    lowered: str = field(init=False, repr=False)
    numbers: list[int | float] = field(init=False)
    quoted: list[str] = field(init=False)
    names: list[str] = field(init=False)
    dates: dict[str, list[str]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.text = text = self.text[:LOOKS_AT]
        self.budget.spend(len(text) // 4)
        self.lowered = text.casefold()
        self.numbers = [*self.first, *(_number(found) for found in _NUMBER.findall(text) if len(found) < 300)]
        self.quoted = ["".join(groups) for groups in _QUOTED.findall(text)]
        unquoted = _QUOTED.sub(" ", text)
        names = [*_AFTER_IN.findall(unquoted), *_CAPITALISED.findall(unquoted)]
        self.names = [name for name in dict.fromkeys(names) if name not in {"I", "JSON"}]
        self.dates = {
            "date": _DATE.findall(text),
            "date-time": _DATE_TIME.findall(text),
            "email": _EMAIL.findall(text),
            "uri": _URL.findall(text),
        }

    def take(self, values: list[Any], fits: Callable[[Any], bool]) -> Any:
        """The first value that fits, which is then used up; None if none does."""
        for index, value in enumerate(values[:200]):
            if fits(value):
                return values.pop(index)
        return None

    def number_named(self, name: str) -> int | float | None:
        """ "limit 5", "limit: 5", "5 seconds" for the argument `seconds`."""
        if not self._may_name(name):
            return None
        self._look(name)
        spelled = _spelled(name)
        number = r"(-?\d{1,300}(?:\.\d{1,300})?)(?![\w.]\d)"
        for pattern in (
            rf"\b{spelled}\b\s*(?:[:=]|is|of|to|as)?\s*{number}",
            rf"(?<![\w.]){number}\s*-?\s*{spelled}\b",
        ):
            if match := re.search(pattern, self.text, re.IGNORECASE):
                value = _number(match.group(1))
                if value in self.numbers:
                    self.numbers.remove(value)
                return value
        return None

    def text_named(self, name: str) -> str | None:
        """ "city: Paris", "city = 'Paris'", "the city is Paris", "city Paris"."""
        spelled = _spelled(name)
        rest = r"(?:\"([^\"\n]+)\"|'([^'\n]+)'|“([^”\n]+)”|([^\s\"',;.?!]+(?:[.'][^\s\"',;.?!]+)*))"
        match = None
        if self._may_name(name):
            self._look(name)
            match = re.search(rf"\b{spelled}\b\s*(?:[:=]|\bis\b)\s*{rest}", self.text, re.IGNORECASE)
            match = match or re.search(rf"\b(?i:{spelled})\b\s+(?:\"([^\"\n]+)\"|'([^'\n]+)'|({_NAME}))", self.text)
        if match is None:
            return self.known.get(name.casefold().replace("_", " "))
        value = next(group for group in match.groups() if group is not None)
        for values in (self.quoted, self.names):
            if value in values:
                values.remove(value)
        return value

    def truth_named(self, name: str) -> bool | None:
        """ "dry_run true", "with wind", "no wind"; None if the text says nothing of it."""
        plain = re.sub(r"^(?:include|with|is|use|enable|show|has)_", "", name)
        if not self._may_name(plain):
            return None
        self._look(name, 3)
        spelled = _spelled(plain)
        if match := re.search(
            rf"\b(?:{_spelled(name)}|{spelled})\b\s*(?:[:=]|is|to)?\s*(true|yes|on|false|no|off)\b",
            self.text,
            re.IGNORECASE,
        ):
            return match.group(1).lower() in {"true", "yes", "on"}
        if re.search(rf"\b(?:no|without|not|exclude|excluding)\s+(?:the\s+)?{spelled}\b", self.text, re.IGNORECASE):
            return False
        if re.search(rf"\b(?:with|include|including|enable)\s+(?:the\s+)?{spelled}\b", self.text, re.IGNORECASE):
            return True
        return None

    def truth(self) -> bool | None:
        """What a plain yes or no in the text says."""
        if _NO.search(self.text):
            return False
        return True if _YES.search(self.text) else None

    def _may_name(self, name: str) -> bool:
        """A quick look, before the patterns, at whether a name can be in the text at all."""
        self.budget.spend(1 + len(self.text) // 1000)
        first = _PARTS.search(name)
        return bool(name) and (first is None or first[0].casefold() in self.lowered)

    def _look(self, name: str, times: int = 1) -> None:
        """Pay for a search for a name: the pattern is made, and each part of it may be tried at each letter."""
        parts = len(_PARTS.findall(name[:200]))
        self.budget.spend(4 * len(name[:200]) + times * len(self.text) * (4 + parts) // 64)

    def mentions(self, word: str) -> bool:
        """Whether the text has a word or phrase, in any case, with _ and - for blanks or not."""
        if len(word) > 200 or not self._may_name(word):
            return False
        self._look(word)
        return re.search(rf"(?<!\w){_spelled(word)}(?!\w)", self.text, re.IGNORECASE) is not None


def _spelled(name: str) -> str:
    """A pattern for a name however it is written: max_length, max-length, maxLength, max length."""
    parts = _PARTS.findall(name[:200])
    return r"[\s_-]*".join(re.escape(part) for part in parts) or re.escape(name[:200])


def _number(text: str) -> int | float:
    text = text.replace(",", "")
    return float(text) if "." in text else int(text)
