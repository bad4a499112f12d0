"""What the answer's headers tell: hints on retrying and polling, request ids, rate limits. Names are lower case."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache

__all__ = ["can_be_sent", "limits", "poll_after", "request_id", "reset_after", "retry_after", "should_retry", "used_up"]

Headers = Mapping[str, str]
_RESET = "x-ratelimit-reset-"
_REMAINING = "x-ratelimit-remaining-"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_GO_STEP = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(h|ms|m|s|us|µs|ns)", re.ASCII)
_GO_DURATION = re.compile(f"(?:{_GO_STEP.pattern})+", re.ASCII)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"([!-~]([ -~\t]*[!-~])?)?")


def retry_after(headers: Headers, now: float | None = None) -> float | None:
    """Seconds to wait before another try: `retry-after-ms`, or `retry-after` as seconds or as an HTTP date."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None or (seconds := _number(text)) is not None:
        return seconds if text is not None else None
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def poll_after(headers: Headers) -> float | None:
    """Seconds that the provider asks to wait before the next look at a job (OpenAI's `openai-poll-after-ms`)."""
    milliseconds = _number(headers.get("openai-poll-after-ms"))
    return None if milliseconds is None else milliseconds / 1000


def should_retry(headers: Headers) -> bool | None:
    """The upstream's own word on retrying, `x-should-retry`, or None."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def request_id(headers: Headers) -> str | None:
    """The provider's id of this exchange (OpenAI's `x-request-id`, Azure's `apim-request-id`)."""
    return headers.get("x-request-id") or headers.get("apim-request-id")


def limits(headers: Headers) -> dict[str, str]:
    """The rate-limit headers, as they were spelled."""
    return {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}


def reset_after(headers: Headers) -> dict[str, float]:
    """Seconds until each rate limit is whole again, by what it counts ("requests", "tokens").

    Vendors spell `x-ratelimit-reset-*` as plain seconds or as Go's durations ("6m0s", "120ms"); what is neither is left out.
    """
    spelled = {name.removeprefix(_RESET): value for name, value in headers.items() if name.startswith(_RESET)}
    return {what: seconds for what, text in spelled.items() if (seconds := _duration(text)) is not None}


def used_up(limits: Headers, most: float = 60.0) -> float | None:
    """Seconds until a rate limit that is used up lets something through again, `most` at most; None if none is."""
    if "0" not in limits.values():  # as nearly always
        return None
    resets = reset_after(limits)
    waits = [
        resets.get(name.removeprefix(_REMAINING), 1.0)
        for name, value in limits.items()
        if name.startswith(_REMAINING) and value == "0"
    ]
    return min(most, max(waits)) if waits else None


def _duration(text: str) -> float | None:
    if (seconds := _number(text)) is not None:
        return seconds
    if not _GO_DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _GO_STEP.findall(text))


def can_be_sent(name: str, value: str) -> bool:
    """Whether a header is well-formed. HTTP clients say so, too, but with the whole value, key and all, in the message."""
    return _is_a_name(name) and _VALUE.fullmatch(value) is not None


@lru_cache(maxsize=256)
def _is_a_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e9 else None  # NaN fails both comparisons
