"""How many tokens a call took, as the provider reports it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from callsheet.models.document import Document

__all__ = ["Usage", "usage_of"]

MOST = 10**12
"""Tokens above which a number is nonsense: it came from elsewhere, and goes into sums and databases."""

PARTS = (
    "input", "cached_input", "cache_write", "audio_input", "cached_audio_input", "output", "reasoning", "audio_output",
)  # fmt: skip
"""The kinds of tokens that have prices of their own."""


@frozen
class Usage:
    """Tokens of a call. As on OpenAI's wire, cached, written and audio tokens are parts of the input; reasoning and audio
    tokens are parts of the output; cached audio tokens are part of both the cached and the audio tokens."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0

    def counts(self) -> tuple[int, ...]:
        """The tokens by what is paid for them, in the order of PARTS: every token once. A negative number is a contradiction."""
        audio = self.audio_input_tokens - self.cached_audio_input_tokens
        return (
            self.input_tokens - self.cached_input_tokens - self.cache_write_tokens - audio,
            self.cached_input_tokens - self.cached_audio_input_tokens,
            self.cache_write_tokens,
            audio,
            self.cached_audio_input_tokens,
            self.output_tokens - self.reasoning_tokens - self.audio_output_tokens,
            self.reasoning_tokens,
            self.audio_output_tokens,
        )

    def parts(self) -> dict[str, int]:
        """The same by name."""
        return dict(zip(PARTS, self.counts(), strict=True))


def usage_of(document: object) -> Usage | None:
    """What a chat completion, a response or a realtime response says it used. None where it does not say, or talks nonsense."""
    raw = document.raw if isinstance(document, Document) else document
    said = raw.get("usage") if isinstance(raw, Mapping) else None
    if not isinstance(said, Mapping):
        return None
    try:
        usage = _read(said)
    except _NonsenseError:
        return None
    return usage if usage is not None and min(usage.counts()) >= 0 else None


class _NonsenseError(Exception):
    """A number that is none."""


def _read(said: Mapping[str, object]) -> Usage | None:
    into, out = _count(said, "prompt_tokens", "input_tokens"), _count(said, "completion_tokens", "output_tokens")
    if into is None and out is None:
        return None  # counted in something else: transcriptions are, in seconds
    into, out = into or 0, out or 0
    cached = written = audio = cached_audio = reasoning = spoken = 0
    if ins := _details(said, "prompt_tokens_details", "input_tokens_details", "input_token_details"):
        cached, written = _count(ins, "cached_tokens") or 0, _count(ins, "cache_write_tokens") or 0
        audio = _count(ins, "audio_tokens") or 0
        told = _count(_details(ins, "cached_tokens_details"), "audio_tokens")
        # Not told apart: as little of it as fits, for what is not cached is the dearer.
        cached_audio = max(0, cached + written + audio - into) if told is None else told
    if outs := _details(said, "completion_tokens_details", "output_tokens_details", "output_token_details"):
        reasoning, spoken = _count(outs, "reasoning_tokens") or 0, _count(outs, "audio_tokens") or 0
    # Some servers count thinking beside the output, and only in the total. It is paid for as output.
    beside = (_count(said, "total_tokens") or 0) - into - out
    if beside > 0:
        out, reasoning = out + beside, max(reasoning, beside)
    return Usage(into, cached, written, audio, cached_audio, out, reasoning, spoken)


def _count(said: Mapping[str, object], *names: str) -> int | None:
    value = None
    for name in names:
        if (value := said.get(name)) is not None:
            break
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise _NonsenseError
    return value


def _details(said: Mapping[str, object], *names: str) -> Mapping[str, object]:
    value = None
    for name in names:
        if (value := said.get(name)) is not None:
            break
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _NonsenseError
    return value
