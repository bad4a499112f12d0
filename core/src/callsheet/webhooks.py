"""Inbound webhooks: whether a delivery is genuine, and what it says.

    match webhooks.verify(request.headers, await request.body(), secret):
        case VideoEvent(type="video.completed", video_id=id):
            ...

The wire is Standard Webhooks' (standardwebhooks.com; of its schemes the symmetric one, `v1`), which OpenAI and Azure OpenAI
speak. Pure functions: no network, nothing kept. A delivery may come more than once; `webhook_id` tells that it has.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pydantic import SecretStr

from callsheet.errors import ConfigurationError, WebhookVerificationError
from callsheet.jsontext import number
from callsheet.webhook_events import RealtimeCallEvent, ResponseEvent, VideoEvent, WebhookEvent, event_of

__all__ = ["RealtimeCallEvent", "ResponseEvent", "VideoEvent", "WebhookEvent", "sign", "verify"]


@runtime_checkable
class _Items(Protocol):
    """What mappings are to us, and header classes that are none: http.server's, and those with a name twice."""

    def items(self) -> Iterable[tuple[Any, Any]]: ...


Headers: TypeAlias = _Items | Iterable[tuple[str | bytes, str | bytes]]
Secret: TypeAlias = str | bytes | SecretStr

_ID, _TIMESTAMP, _SIGNATURE = b"webhook-id", b"webhook-timestamp", b"webhook-signature"
_PREFIX = b"whsec_"
_SECONDS = re.compile(rb"[0-9]{1,20}")  # not what int() takes: spaces, signs, underscores, other scripts' digits


def verify(
    headers: Headers,
    body: bytes | str,
    secret: Secret | Iterable[Secret],
    *,
    tolerance: float = 300,
    now: float | None = None,
) -> WebhookEvent:
    """The event of a delivery whose signature is right; nothing is read out of one whose signature is not.

    `headers`: any mapping or pairs, names in any case. `body`: the raw bytes, before any decoding (a str counts as its
    UTF-8). `secret`: `whsec_` and base64, or else the key itself; several while one is being replaced. `tolerance`: how
    many seconds the timestamp may be off, either way. `now`: the time in Unix seconds, for tests.

    Raises WebhookVerificationError, whose `code` is missing_header, bad_timestamp, too_old, too_new, bad_signature or
    bad_body; ConfigurationError for a secret that is none; TypeError for a body that somebody has decoded already.
    """
    keys = _keys(secret)
    content = _body(body)
    found = _signed_headers(headers)
    seconds = _on_time(found[_TIMESTAMP], tolerance, time.time() if now is None else now)
    # Text is compared, not what it decodes to: base64 has several spellings of the same bytes, the sender writes one.
    given = [entry[3:] for entry in found[_SIGNATURE].split(b" ") if entry.startswith(b"v1,")]
    right = [_signature(key, found[_ID], found[_TIMESTAMP], content) for key in keys]
    if not any(hmac.compare_digest(one, other) for one in right for other in given):
        raise WebhookVerificationError(
            "no signature matches: compare the endpoint's secret with the provider's, and verify the body's bytes as they"
            " came",
            code="bad_signature",
        )
    document = _decoded(content)
    if document is None:
        raise WebhookVerificationError("the signature is right, but the body is no JSON object", code="bad_body")
    # An id that is no UTF-8 stays apart from every other.
    return event_of(document, found[_ID].decode("utf-8", "surrogateescape"), seconds)


def sign(body: bytes | str, secret: Secret | Iterable[Secret], *, webhook_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of a delivery, as the sender makes them: to try an endpoint out. `timestamp` is in Unix seconds.

    Several secrets give several signatures. Raises what `verify` does for a secret or a body that is none.
    """
    seconds = str(int(timestamp))
    id, content = _bytes(webhook_id, "webhook_id"), _body(body)
    signatures = [_signature(key, id, seconds.encode(), content).decode() for key in _keys(secret)]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _signature(key: bytes, id: bytes, timestamp: bytes, body: bytes) -> bytes:
    return b64encode(hmac.digest(key, b".".join((id, timestamp, body)), "sha256"))


def _keys(secret: object) -> list[bytes]:
    several = isinstance(secret, Iterable) and not isinstance(secret, str | bytes)
    keys = [_key(one) for one in (secret if several else [secret])]  # type: ignore[attr-defined]  # just looked
    if not keys:
        raise ConfigurationError("no webhook secret is given: the list is empty", status_code=500)
    return keys


def _key(secret: object) -> bytes:
    if isinstance(secret, SecretStr):
        secret = secret.get_secret_value()
    if secret is not None and not isinstance(secret, str | bytes):
        raise TypeError(
            f"a webhook secret is a str, bytes or SecretStr, or a list of them; not {type(secret).__name__}"
        )
    try:
        key = secret.encode() if isinstance(secret, str) else secret or b""
        if key.startswith(_PREFIX):
            key = key.removeprefix(_PREFIX)
            key = b64decode(key + b"=" * (-len(key) % 4), validate=True)  # some write it without the padding
    except ValueError:  # its text holds the secret: raise outside, so that it isn't even the context
        key = b""
    if not key:
        # Not the sender's fault: 500 makes it send again later, when the operator has put this right.
        raise ConfigurationError(
            "the webhook secret is empty, or what follows whsec_ is not base64: set it as the provider showed it, without"
            " spaces or line ends",
            status_code=500,
        )
    return key


def _signed_headers(headers: Headers) -> dict[bytes, bytes]:
    found: dict[bytes, set[bytes]] = {_ID: set(), _TIMESTAMP: set(), _SIGNATURE: set()}
    for name, value in headers.items() if isinstance(headers, _Items) else headers:
        key = _bytes(name, "a header's name").lower()  # of bytes: ASCII only, the Kelvin sign is no k
        if key in found and value is not None:
            found[key].add(_bytes(value, "a header's value"))
    for key, values in found.items():
        # Two values that differ: whoever else looks at the request might take the one that was not signed.
        if len(values) != 1 or not all(values):
            why = "is there with different values" if len(values) > 1 else "is missing or empty"
            raise WebhookVerificationError(
                f"the header {key.decode()} {why}", code="missing_header", param=key.decode()
            )
    return {key: values.pop() for key, values in found.items()}


def _on_time(timestamp: bytes, tolerance: float, now: float) -> int:
    param = _TIMESTAMP.decode()
    if not _SECONDS.fullmatch(timestamp):
        raise WebhookVerificationError(f"{param} is not a number of seconds", code="bad_timestamp", param=param)
    seconds = int(timestamp)
    # As "not within", so that a NaN refuses.
    if not now - seconds <= tolerance:
        raise WebhookVerificationError(
            f"{param} is more than {tolerance:g} s ago: a replay, or this machine's clock is fast",
            code="too_old",
            param=param,
        )
    if not seconds - now <= tolerance:
        raise WebhookVerificationError(
            f"{param} is more than {tolerance:g} s ahead: this machine's clock is slow", code="too_new", param=param
        )
    return seconds


def _body(body: object) -> bytes:
    return _bytes(body, "pass the raw bytes of the body, which are what was signed")


def _bytes(value: object, what: str) -> bytes:
    """Never fails for a text: half a character (a lone surrogate) becomes bytes that nobody has signed."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"{what}: str or bytes are wanted, not {type(value).__name__}")


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body.decode(), parse_float=number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None  # the caller raises: a decoding error holds the body, and should not even be the context
    return document if isinstance(document, dict) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
