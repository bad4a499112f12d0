"""Whether a number is prime."""

from __future__ import annotations

import re

from callsheet_local.scribe.talk import LOOKS_AT

__all__ = ["is_prime", "primes_asked"]

MOST = 10**24
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
_ASKED = re.compile(
    r"\b(?:is|whether|if|are)\s+(?:the\s+number\s+)?(-?\d[\d,]*)\s+(?:is\s+)?(?:a\s+)?prime\b", re.IGNORECASE
)


def is_prime(number: int) -> bool:
    """Miller and Rabin's test with the bases that make it exact below 3.3 * 10**24."""
    if number < 2:
        return False
    for base in _BASES:
        if number % base == 0:
            return number == base
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _BASES:
        power = pow(base, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def primes_asked(text: str) -> list[tuple[str, str, str]]:
    """Of each number that is asked about: its digits, a sentence, and the sentence in a word."""
    return [_verdict(match.group(1).replace(",", "")) for match in list(_ASKED.finditer(text[:LOOKS_AT]))[:20]]


def _verdict(digits: str) -> tuple[str, str, str]:
    if len(digits) > 25 or abs(int(digits)) > MOST:
        short = digits if len(digits) <= 40 else f"{digits[:20]}..."
        return short, f"I check numbers up to 10**24 only, and {short} is greater.", "Unknown"
    number = int(digits)
    if is_prime(number):
        return digits, f"{number} is prime.", "Yes"
    divisor = next((small for small in range(2, 10_000) if number % small == 0 and number > small), None)
    why = f": {divisor} * {number // divisor} = {number}" if divisor else ": primes are 2 or more" if number < 2 else ""
    return digits, f"{number} is not prime{why}.", "No"
