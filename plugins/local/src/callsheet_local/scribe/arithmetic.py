"""Arithmetic: expressions found in a text, and their exact values. A precedence parser of our own; nothing is eval'd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from attrs import define, frozen

from callsheet_local.scribe.talk import LOOKS_AT, words

__all__ = ["Sum", "TooMuch", "evaluate", "number_text", "sums_in"]

MOST_DIGITS = 1000
MOST_TOKENS = 1000
MOST_DEPTH = 50
MOST_SUMS = 20
_MOST_BITS = MOST_DIGITS * 10 // 3

_WORDS = {
    "plus": "+",
    "minus": "-",
    "times": "*",
    "multiplied by": "*",
    "divided by": "/",
    "over": "/",
    "modulo": "%",
    "mod": "%",
    "to the power of": "**",
    "squared": "squared",
    "cubed": "cubed",
    "percent of": "percent of",
}
_SIGNS = {"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "^": "**"}
_SMALL = words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
    """
)
_NUMBER_WORDS = {word: str(number) for word, number in _SMALL.items()}
_LEXEME = re.compile(
    r"(?P<other>https?://\S*|\d{4}-\d\d-\d\d(?:T[\d:.Z+-]*)?(?!\d)|\d+(?:\.\d+){2,}|\d+(?::\d+)+|\d[\d.,]*[^\W\d]\w*)"
    r"|(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+)"
    rf"|(?P<word>\b(?:{'|'.join(phrase.replace(' ', r'[ ]+') for phrase in _WORDS)}|{'|'.join(_SMALL)})\b(?!['’-]\w))"
    r"|(?P<percent>%[ ]*of\b)"
    r"|(?P<name>[^\W\d]\w*(?:['’-]\w+)*)"
    r"|(?P<sign>\*\*|//|[-+*/%()^−–×·÷])"
    r"|(?P<break>[^\s])",
    re.IGNORECASE,
)
_BINARY = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "percent of": 2, "**": 4}
_UNARY = 3
_AFTER = {"squared": 2, "cubed": 3}


class TooMuch(ValueError):
    """A sum that is not done; the message says why, as a clause."""


@frozen
class Sum:
    """An expression as it was written, and its value or why it has none."""

    text: str
    value: Fraction | None
    why: str = ""
    numbers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The value in words and digits; why there is none, otherwise."""
        return number_text(self.value) if self.value is not None else self.why


def sums_in(text: str) -> list[Sum]:
    """The expressions in a text that have at least one operation in them."""
    found = []
    for run in _runs(text[:LOOKS_AT]):
        tokens = _trimmed(run)
        operators = tuple(token for token in tokens if token in _BINARY or token in _AFTER)
        numbers = tuple(token for token in tokens if token[0] in "0123456789.")
        if not operators or not numbers or (len(numbers) < 2 and not _AFTER.keys() & set(operators)):
            continue
        written = " ".join(tokens).replace("( ", "(").replace(" )", ")")
        written = re.sub(r"(^|[-(+*/%] ?)- (?=[\d.(])", r"\1-", written)
        if len(written) > 120:
            written = "that expression"
        try:
            found.append(Sum(written, evaluate(tokens), "", numbers, operators))
        except TooMuch as error:
            found.append(Sum(written, None, str(error), numbers, operators))
        if len(found) == MOST_SUMS:
            break
    return found


def _runs(text: str) -> Iterator[list[str]]:
    """What may be an expression: stretches of numbers, operators and parentheses with nothing else between."""
    run: list[str] = []
    for match in _LEXEME.finditer(text):
        kind, found = match.lastgroup, match.group()
        if kind == "number":
            run.append(found.replace(",", ""))
        elif kind == "word":
            word = " ".join(found.lower().split())
            run.append(_WORDS.get(word) or _NUMBER_WORDS[word])
        elif kind == "percent":
            run.append("percent of")
        elif kind == "sign":
            run.append(_SIGNS.get(found, found))
        else:
            if run:
                yield run
            run = []
    if run:
        yield run


def _trimmed(run: list[str]) -> list[str]:
    """A run without what a sentence leaves at its ends: bullets, dashes, parentheses that open or close elsewhere."""
    start, end = 0, len(run)
    while start < end and (run[start] in {")", "**", "//", "*", "/", "%", "+", "percent of"} or run[start] in _AFTER):
        start += 1
    while end > start and (run[end - 1] == "(" or run[end - 1] in _BINARY):
        end -= 1
    depth = 0
    for index in range(start, end):  # a parenthesis too many ends the expression
        depth += (run[index] == "(") - (run[index] == ")")
        if depth < 0:
            end = index
            break
    if depth > 0 and run[start] == "(" and run[start:end].count("(") - run[start:end].count(")") == 1:
        start += 1
    return run[start:end]


def evaluate(tokens: list[str]) -> Fraction:
    """The value of an expression. TooMuch says why it has none, or none that is worked out here."""
    if len(tokens) > MOST_TOKENS:
        raise TooMuch(f"it has more than {MOST_TOKENS} numbers and signs, which is more than I work out")
    parser = _Parser(tokens)
    value = parser.expression(0, 0)
    if parser.at < len(tokens):
        raise TooMuch("I can't read it as one expression")
    return value


@define
class _Parser:
    tokens: list[str]
    at: int = 0

    def _next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def expression(self, strength: int, depth: int) -> Fraction:
        """An expression whose operators bind at least so strongly."""
        if depth > MOST_DEPTH:
            raise TooMuch(f"it is nested deeper than {MOST_DEPTH} levels, which is deeper than I go")
        value = self._operand(depth)
        while (operator := self._next()) is not None:
            if operator in _AFTER:
                self.at += 1
                value = _power(value, Fraction(_AFTER[operator]))
                continue
            binds = _BINARY.get(operator, -1)
            if binds < max(strength, 1):
                break
            self.at += 1
            right = self.expression(binds if operator == "**" else binds + 1, depth + 1)
            value = _bounded(_apply(operator, value, right))
        return value

    def _operand(self, depth: int) -> Fraction:
        found = self._next()
        self.at += 1
        if found in {"-", "+"}:
            value = self.expression(_UNARY, depth + 1)
            return -value if found == "-" else value
        if found == "(":
            value = self.expression(0, depth + 1)
            if self._next() != ")":
                raise TooMuch("a closing parenthesis is missing")
            self.at += 1
            return value
        if found is None or found[0] not in "0123456789.":
            raise TooMuch("I can't read it as one expression")
        if len(found) > MOST_DIGITS:
            raise TooMuch(f"it has a number of more than {MOST_DIGITS} digits, which is more than I work with")
        return Fraction(found)


def _apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "percent of":
            return left * right / 100
        case "**":
            return _power(left, right)
    if right == 0:
        raise TooMuch("division by zero has no result")
    match operator:
        case "/":
            return left / right
        case "//":
            return Fraction(left // right)
        case _:
            return left % right


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise TooMuch("I raise to whole powers only")
    if base == 0 and exponent < 0:
        raise TooMuch("division by zero has no result")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if base not in {0, 1, -1} and (abs(exponent) > _MOST_BITS or (size - 1) * abs(int(exponent)) > _MOST_BITS):
        raise TooMuch(_TOO_LONG)
    if base in {0, 1, -1}:  # however large the exponent is
        return base ** (int(exponent) % 2 if base == -1 else min(1, abs(int(exponent))))
    return _bounded(base ** int(exponent))


_TOO_LONG = f"the result would have more than {MOST_DIGITS} digits, which is more than I work with"


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise TooMuch(_TOO_LONG)
    return value


def number_text(value: Fraction) -> str:
    """A number as people write it: whole, a decimal that ends, or a fraction and about what it is."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest == 1 and places <= 30:
        digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
        return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return f"{value.numerator}/{value.denominator} (about {_about(value)})"


def _about(value: Fraction) -> str:
    """Ten digits of a number of any size: floats end at 1e308."""
    try:
        short = f"{float(value):.10g}"
    except OverflowError:
        short = ""
    if short and (float(short) != 0 or value == 0):
        return short
    digits = len(str(abs(value.numerator))) - len(str(value.denominator))
    return f"{float(value / Fraction(10) ** digits):.10g} * 10**{digits}"
