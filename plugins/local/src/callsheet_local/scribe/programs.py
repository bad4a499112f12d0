"""The few Python programs that the machine can write."""

from __future__ import annotations

import re

__all__ = ["KNOWN", "asks_for_code", "program_for"]

_PRIME = '''def is_prime(number: int) -> bool:
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
_FACTORIAL = '''def factorial(number: int) -> int:
    """The product of 1 to number."""
    result = 1
    for factor in range(2, number + 1):
        result *= factor
    return result
'''
_FIBONACCI = '''def fibonacci(count: int) -> list[int]:
    """The first Fibonacci numbers."""
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:count]
'''
_PALINDROME = '''def is_palindrome(text: str) -> bool:
    """Whether a text reads the same backwards, letters and digits only."""
    letters = [letter.lower() for letter in text if letter.isalnum()]
    return letters == letters[::-1]
'''
_REVERSE = '''def reverse(text: str) -> str:
    """A text backwards."""
    return text[::-1]
'''
_GCD = '''def greatest_common_divisor(a: int, b: int) -> int:
    """The greatest number that divides both."""
    while b:
        a, b = b, a % b
    return abs(a)
'''
_PROGRAMS = (
    ("prime numbers", re.compile(r"\bprimes?\b", re.IGNORECASE), _PRIME, "is_prime(int(input('Number: ')))"),
    ("factorials", re.compile(r"\bfactorials?\b", re.IGNORECASE), _FACTORIAL, "factorial(int(input('Number: ')))"),
    (
        "Fibonacci numbers",
        re.compile(r"\bfibonacci\b", re.IGNORECASE),
        _FIBONACCI,
        "fibonacci(int(input('How many: ')))",
    ),
    ("palindromes", re.compile(r"\bpalindromes?\b", re.IGNORECASE), _PALINDROME, "is_palindrome(input('Text: '))"),
    (
        "greatest common divisors",
        re.compile(r"\bgcd\b|\bgreatest common divisor", re.IGNORECASE),
        _GCD,
        "greatest_common_divisor(int(input('First: ')), int(input('Second: ')))",
    ),
    ("reversing a text", re.compile(r"\brevers(?:e|es|ing)\b", re.IGNORECASE), _REVERSE, "reverse(input('Text: '))"),
)
KNOWN = tuple(name for name, *_ in _PROGRAMS)
_ASKS = re.compile(
    r"\b(?:write|create|make|give|show|implement|generate|code|need|want)\b"
    r"[^.?!\n]{0,80}?\b(?:function|script|program|code|method|class|snippet)s?\b",
    re.IGNORECASE,
)
_OTHER_LANGUAGE = re.compile(
    r"\b(?:javascript|typescript|java|rust|go|golang|ruby|php|perl|swift|kotlin|haskell|bash|shell|sql|html)\b|\bc(?:\+\+|#)?(?=\s)",
    re.IGNORECASE,
)


def asks_for_code(text: str) -> bool:
    """Whether a text asks for a function, a script or the like."""
    return _ASKS.search(text) is not None


def program_for(text: str) -> tuple[str, str] | None:
    """What a program that is asked for is about, and its text; None for one that is not known."""
    if _OTHER_LANGUAGE.search(text) and not re.search(r"\bpython\b", text, re.IGNORECASE):
        return None
    for name, trigger, code, use in _PROGRAMS:
        if trigger.search(text):
            script = re.search(r"\b(?:script|program)\b", text, re.IGNORECASE)
            return name, f'{code}\n\nif __name__ == "__main__":\n    print({use})\n' if script else code
    return None
