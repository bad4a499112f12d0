"""What a call may cost at most, for who sets money aside before it; and what a video job has cost."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from callsheet.models import CreateChatCompletion, OperationRequest, Video
from callsheet.operations import OPERATIONS
from callsheet.pricing.amounts import length, up
from callsheet.pricing.price import Price

__all__ = ["bound", "charge_of_video"]

VIDEO = frozenset({"generate_video", "edit", "extend", "remix"})
SECONDS = 12
"""How long a video is taken to be where neither request nor table says so."""
OUTPUT_TOKENS = 16_384
"""How much is answered at most where neither request nor table says so."""
SESSION_SECONDS = 3600
LIMITS = {"chat_completions": ("max_completion_tokens", "max_tokens"), "responses": ("max_output_tokens",)}
"""The fields that limit an answer: by operation, for a stranger may put in others, which then limit nothing."""
PICTURE_TOKENS = 3000
"""Tokens that a picture or a file in a request is taken for: its length in base64 says nothing of them."""
PICTURES = frozenset({"url", "image_url", "file_data"})
"""The fields that hold them."""
VALUES, LARGEST = 50_000, 32 * 1024 * 1024
"""How many values of a request are weighed, and the tokens that one with more is taken for: a byte each of the longest that
a gateway lets in. To weigh millions of empty lists takes seconds, in which nobody else is answered."""
READ = ("messages", "input", "instructions", "tools", "functions", "response_format", "text", "prompt")
"""What a model is given to read."""


def bound(price: Price | None, operation: str, request: OperationRequest) -> int | None:
    """What a call can cost at most, in micro-dollars; None if that is not known.

    Of text it is assumed that a token holds at least a byte, and that the model reads what the request holds, once:
    earlier turns, stored prompts and files that the vendor keeps are not seen from here, nor fees for tools.
    """
    if (known := OPERATIONS.get(operation)) is not None and not known.billable:
        return 0
    if price is None:
        return None
    most: Fraction | int | None
    if operation == "create_character":
        most = price.character
    elif operation in VIDEO:
        most = _most_for_video(price, operation, request)
    elif operation == "relay_sdp":
        most = _times(price.per_second, price.max_session_seconds or SESSION_SECONDS)
    else:
        most = _most_for_text(price, request, LIMITS[operation]) if operation in LIMITS else None
    return None if most is None else most if isinstance(most, int) else up(most)


def charge_of_video(price: Price | None, operation: str, request: OperationRequest, video: Video) -> int | None:
    """What a job costs, by what came out of it, in micro-dollars; None if that is not known.

    An extension costs what was added, not the whole. A failed job costs nothing, unless the table says otherwise.
    """
    if price is None or operation not in VIDEO:
        return None
    if video.status == "failed" and not price.charges_failed:
        return 0
    asked = getattr(request, "seconds", None)
    if operation == "generate_video":
        seconds = next((said for said in (video.seconds, asked) if length(said)), price.default_seconds)
    elif operation == "extend":
        seconds = asked or price.extend_seconds or price.default_seconds
    else:
        seconds = video.seconds
    return price.video(seconds, video.size or getattr(request, "size", None))


def _most_for_video(price: Price, operation: str, request: OperationRequest) -> Fraction | None:
    size = getattr(request, "size", None) or (price.default_size if operation == "generate_video" else None)
    if size is not None:
        rate = price.video_rate(size)
    else:  # of whatever size the original is
        rate = max((r for r in (*price.videos.values(), price.other_videos) if r is not None), default=None)
    usual = price.default_seconds
    if operation == "extend":
        usual = price.extend_seconds or usual
    elif operation != "generate_video":  # as long as the original
        usual = price.max_seconds or usual
    return _times(rate, length(getattr(request, "seconds", None)) or usual or SECONDS)


def _most_for_text(price: Price, request: OperationRequest, limits: tuple[str, ...]) -> int | None:
    fields = request.__dict__  # asking a model for a field that it has not takes long
    said = {name: value for name in READ if (value := fields.get(name)) is not None}
    read, heard = _weigh(said | request.options)
    spoken = "audio" in (fields.get("modalities") or ())
    into = price.dearest("input", "cached_input", "cache_write", *(("audio_input", "cached_audio_input") * heard))
    out = price.dearest("output", "reasoning", *(("audio_output",) * spoken))
    if into is None or out is None:
        return None
    # A limit of 0 or less is none: what a vendor makes of it is his.
    given = [limit for name in limits if isinstance(limit := fields.get(name), int) and limit > 0]
    asked = max(given, default=price.max_output_tokens or OUTPUT_TOKENS)
    tokens = max(0, min(asked, price.max_output_tokens or asked))
    answers = max(1, fields.get("n") or 1) if isinstance(request, CreateChatCompletion) else 1
    # By whole numbers: this is counted for every call, and fractions are slow.
    over = into.denominator * out.denominator
    return -(-(into.numerator * read * out.denominator + out.numerator * tokens * answers * into.denominator) // over)


def _times(rate: Fraction | None, number: Fraction | int) -> Fraction | None:
    return None if rate is None else rate * number


def _weigh(document: object) -> tuple[int, bool]:
    """At least as many tokens as a model makes of a document, and whether there is sound in it.

    A rare character can be several tokens, and no byte is more than one. Each value gets something for its frame.
    """
    tokens, heard, seen = 0, False, 0
    rest: list[tuple[str, Any]] = [("", document)]  # no recursion: a stranger chooses how deep it is
    while rest:
        name, value = rest.pop()
        if isinstance(value, str):
            picture = name in PICTURES
            # Only the bytes of a data: URL are the picture itself; any other text may be read as it stands.
            read = 0 if picture and value.startswith("data:") else _bytes(value) + 4
            tokens += max(PICTURE_TOKENS, read) if picture else read
            heard = heard or (name == "type" and value == "input_audio")
        elif isinstance(value, Mapping | list | tuple) and (seen := seen + len(value)) > VALUES:
            # Sound is covered, too: a token of it is dearer, and takes a hundred bytes and more.
            return max(tokens, LARGEST), heard
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                name = str(key)
                tokens += _bytes(name) + 4
                rest.append((name, inner))
        elif isinstance(value, list | tuple):
            rest.extend((name, inner) for inner in value)
        else:
            tokens += 24 + (value.bit_length() // 3 if isinstance(value, int) else 0)
    return tokens, heard


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
