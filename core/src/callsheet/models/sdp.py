"""What an SDP offer, and its answer, must look like before anybody is bothered with it. Bytes are looked at, never changed."""

from __future__ import annotations

__all__ = ["check_answer", "check_offer"]

MAX_BYTES = 64 * 1024
MAX_LINES = 1000
MAX_LINE_BYTES = 4 * 1024
MAX_SECTIONS = 8
_NEEDED = (b"a=fingerprint:", b"a=ice-ufrag:", b"a=ice-pwd:")


def check_offer(value: object) -> bytes:
    """A WebRTC offer's bytes, as they came. ValueError that says what is wrong with it.

    WebRTC always encrypts by DTLS: an offer has a fingerprint and ICE credentials, and keys in the open (a=crypto) are
    refused.
    """
    return _checked(value, "offer", "; send what createOffer() gave, unchanged")


def check_answer(value: object) -> bytes:
    """A WebRTC answer's bytes, as they came. ValueError that says what is wrong with it."""
    return _checked(value, "answer")


def _checked(value: object, kind: str, hint: str = "") -> bytes:
    sdp = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if not isinstance(sdp, bytes):
        raise ValueError(f"an SDP {kind} is wanted as text or bytes, not {type(value).__name__}")  # noqa: TRY004  pydantic collects ValueErrors only
    if len(sdp) > MAX_BYTES:
        raise ValueError(f"the SDP {kind} has {len(sdp):,} bytes; at most {MAX_BYTES:,} are allowed")
    lines = sdp.replace(b"\r\n", b"\n").split(b"\n")
    if lines[0] != b"v=0":
        raise ValueError(f"this is no SDP: its first line must be v=0{hint}")
    try:
        sdp.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("this is no SDP: it is not text in UTF-8") from None
    if len(lines) > MAX_LINES or max(map(len, lines)) > MAX_LINE_BYTES:
        raise ValueError(f"the SDP {kind} has more than {MAX_LINES} lines, or one of more than {MAX_LINE_BYTES} bytes")
    sections = sum(line.startswith(b"m=") for line in lines)
    if not 1 <= sections <= MAX_SECTIONS:
        raise ValueError(f"the SDP {kind} has {sections} media sections (m=); 1 to {MAX_SECTIONS} are allowed")
    if any(line.startswith(b"a=crypto:") for line in lines):
        raise ValueError(f"the SDP {kind} carries keys in the open (a=crypto); WebRTC uses DTLS")
    missing = [name.decode().strip("a=:") for name in _NEEDED if not any(line.startswith(name) for line in lines)]
    if missing:
        raise ValueError(f"the SDP {kind} has no {', '.join(missing)}: it is not a WebRTC {kind}")
    return sdp
