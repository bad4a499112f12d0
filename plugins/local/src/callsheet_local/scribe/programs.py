"""The one Python program that the machine can write: whether a number is prime."""

from __future__ import annotations

import re

__all__ = ["asks_for_code", "prime_check"]

_CODE = '''def is_prime(number: int) -> bool:
    """Whether a whole number is prime."""
    if number < 2:
        return False
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return True
'''
_USE = """

if __name__ == "__main__":
    print(is_prime(int(input("Number: "))))
"""
_ASKS = re.compile(
    r"\b(?:write|create|make|give|show|implement|generate|code|need|want)\b"
    r"[^.?!\n]{0,80}?\b(?:function|script|program|code|method|class|snippet)s?\b",
    re.IGNORECASE,
)
_PRIMES = re.compile(r"\bprimes?\b", re.IGNORECASE)
_SCRIPT = re.compile(r"\b(?:script|program)\b", re.IGNORECASE)
_PYTHON = re.compile(r"\bpython\b", re.IGNORECASE)
_OTHER_LANGUAGE = re.compile(
    r"\b(?:javascript|typescript|java|rust|go|golang|ruby|php|perl|swift|kotlin|haskell|bash|shell|sql|html)\b|\bc(?:\+\+|#)?(?=\s)",
    re.IGNORECASE,
)


def asks_for_code(text: str) -> bool:
    """Whether a text asks for a function, a script or the like."""
    return _ASKS.search(text) is not None


def prime_check(text: str) -> str | None:
    """The program, if that is what is asked for: a function, or a script that uses it."""
    if not _PRIMES.search(text) or (_OTHER_LANGUAGE.search(text) and not _PYTHON.search(text)):
        return None
    return _CODE + _USE if _SCRIPT.search(text) else _CODE
