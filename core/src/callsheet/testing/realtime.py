"""Realtime over WebRTC: ephemeral keys, the exchange of SDP, hanging up (wire of /realtime)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from callsheet.testing.answers import Answer, document
from callsheet.testing.checks import check, integer, object_of, one_of
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.route import FORM, JSON, SDP
from callsheet.testing.seen import Seen, strict_json
from callsheet.testing.state import Call, Secret

if TYPE_CHECKING:
    from callsheet.testing.upstream import FakeUpstream

__all__ = ["call", "hang_up", "mint"]

_EXPIRES = object_of({"anchor": one_of("created_at"), "seconds": integer(10, 7200)})
_SESSION = {
    "realtime": {
        *("type", "model", "instructions", "output_modalities", "audio", "include", "tracing", "tools", "tool_choice"),
        *("parallel_tool_calls", "reasoning", "max_output_tokens", "truncation", "prompt"),
    },
    "transcription": {"type", "audio", "include"},
}


def mint(fake: FakeUpstream, seen: Seen) -> Answer:
    fields = check(seen.document, {"expires_after": _EXPIRES, "session": _session_rule}, allowed=fake.extra_fields)
    asked = fields.get("session", {"type": "realtime"})
    value = fake.state.new_id("ek_")
    expires_at = fake.now() + fields.get("expires_after", {}).get("seconds", 600)
    session = _session(fake, asked)
    fake.state.secrets[value] = Secret(expires_at, session)
    fake.begin(seen, "secret", value, asked.get("model"))
    return document({"value": value, "expires_at": expires_at, "session": session})


def _session_rule(value: Any, name: str) -> None:
    object_of(required=["type"])(value, name)
    one_of(*_SESSION)(value["type"], f"{name}.type")
    for key in value:
        if key not in _SESSION[value["type"]] and not key.startswith("x_"):
            raise Violation(f"Unknown parameter: '{name}.{key}'.", param=f"{name}.{key}", code="unknown_parameter")


def _session(fake: FakeUpstream, asked: dict[str, Any]) -> dict[str, Any]:
    """The session as it is reported: what was asked for, laid over the defaults, with the nulls that OpenAI sends."""
    detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    pcm = {"type": "audio/pcm", "rate": 24000}
    heard = {"format": pcm, "transcription": None, "noise_reduction": None, "turn_detection": detection}
    id = fake.state.new_id("sess_")
    if asked["type"] == "transcription":
        head = {"type": "transcription", "object": "realtime.transcription_session", "id": id, "expires_at": 0}
        return _laid_over({**head, "audio": {"input": heard}}, asked)
    defaults = {
        "type": "realtime",
        "object": "realtime.session",
        "id": id,
        "model": "gpt-realtime-2.1",
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": 0,
        "audio": {"input": heard, "output": {"format": pcm, "voice": "alloy", "speed": 1.0}},
        "include": None,
    }
    return _laid_over(defaults, asked)


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(under.get(key), dict) and "type" not in value
        merged[key] = _laid_over(under[key], value) if both else value
    return merged


def call(fake: FakeUpstream, seen: Seen) -> Answer:
    fake.check_call(seen)
    if seen.content_type == SDP:
        offer = seen.body
        # Of a subclass's account key, which opens no session of its own, there is nothing to look up.
        session = fake.state.secrets[seen.key].session if seen.key in fake.state.secrets else {"type": "realtime"}
    else:
        offer, session = _form(seen)
    _check_offer(offer)
    id = fake.state.new_id("rtc_u1_")
    fake.state.calls[id] = Call(offer, session)
    fake.begin(seen, "call", id, session.get("model"))
    headers = {"content-type": SDP, "location": fake.location(id)}
    return Answer(201, headers, [_answer_to(offer, id)])


def _form(seen: Seen) -> tuple[bytes, dict[str, Any]]:
    """The parts `sdp` and `session`, which have a media type and no filename."""
    assert seen.content_type == FORM
    wanted = {"sdp": SDP, "session": JSON}
    parts = {part.name: part for part in seen.form or []}
    if len(parts) != len(seen.form or []):
        raise Violation("A part came twice.", code="duplicate_parameter")
    for name, part in parts.items():
        if name not in wanted:
            raise Violation(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if part.filename is not None or part.content_type != wanted[name]:
            raise Violation(f"The part '{name}' must be {wanted[name]} without a filename.", param=name)
    if "sdp" not in parts:
        raise Violation("Missing required parameter: 'sdp'.", param="sdp", code="missing_required_parameter")
    session = strict_json(parts["session"].content, "session") if "session" in parts else {"type": "realtime"}
    _session_rule(session, "session")
    return parts["sdp"].content, session


def _check_offer(offer: bytes) -> None:
    """The bytes as a browser makes them: every line ends in CRLF, the last one included."""
    if not offer.startswith(b"v=0\r\n") or not offer.endswith(b"\r\n"):
        raise Violation("The SDP offer must begin with v=0 and end with a line end.", param="sdp", code="invalid_offer")
    if offer.count(b"\n") != offer.count(b"\r\n") or offer.count(b"\r") != offer.count(b"\r\n"):
        raise Violation("The lines of an SDP offer end in CRLF.", param="sdp", code="invalid_offer")


def _answer_to(offer: bytes, id: str) -> bytes:
    """An answer with the offer's sections."""
    digest = hashlib.sha256(id.encode()).hexdigest()
    lines = ["v=0", f"o=- {int(digest[:12], 16)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    for line in offer.decode("utf-8", "replace").split("\r\n"):
        if line.startswith("m="):
            kind, _, protocol, *formats = line[2:].split(" ")
            lines += [f"m={kind} 9 {protocol} {formats[0] if formats else 0}", "c=IN IP4 0.0.0.0", "a=setup:active"]
            lines += [f"a=ice-ufrag:{digest[:4]}", f"a=ice-pwd:{digest[:24]}", "a=rtcp-mux"]
            pairs = zip(digest[::2].upper(), digest[1::2].upper(), strict=True)
            lines.append("a=fingerprint:sha-256 " + ":".join(a + b for a, b in pairs))
        elif line.startswith("a=mid:"):
            lines.append(line)
    return "".join(f"{line}\r\n" for line in lines).encode()


def hang_up(fake: FakeUpstream, _seen: Seen, call_id: str) -> Answer:
    found = fake.state.calls.get(call_id)
    if found is None or found.over:
        raise Refusal(f"Call '{call_id}' not found.", 404, code="not_found")
    found.over = True
    return Answer(200)
