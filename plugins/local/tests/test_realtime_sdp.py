"""SDP offers: real ones in all their shapes are answered, everything else is refused in the same way."""

import contextlib
import logging
import random
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from callsheet import BadRequestError
from callsheet_local.realtime.sdp import read_offer

from .conftest import Hooks
from .peer import Peer

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


def offer(*candidates: str, direction: str = "sendrecv") -> bytes:
    """An offer as Chromium writes it."""
    lines = [
        "v=0", "o=- 4616 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
        *candidates,
        "a=ice-ufrag:p4Fm", "a=ice-pwd:7kNzW/3nUsWMRmEzv4sDOb+x", "a=ice-options:trickle",
        f"a=fingerprint:{FINGERPRINT}", "a=setup:actpass", "a=mid:0",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        f"a={direction}", "a=msid:- 5f0b", "a=rtcp-mux", "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc", "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000", "a=rtpmap:13 CN/8000", "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000", "a=ssrc:3735928559 cname:a b",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:p4Fm", "a=ice-pwd:7kNzW/3nUsWMRmEzv4sDOb+x", "a=ice-options:trickle",
        f"a=fingerprint:{FINGERPRINT}", "a=setup:actpass", "a=mid:1", "a=sctp-port:5000", "a=max-message-size:262144",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n").encode()


UDP = "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host generation 0 network-cost 999"
LOCAL = "a=candidate:1 1 udp 2113937151 5bb3b0c8-0f3b-4b3e-8f3e-1f8b8f1c1c1c.local 50000 typ host generation 0"
TCP = "a=candidate:2 1 tcp 1518214911 192.0.2.7 9 typ host tcptype active generation 0"


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory):
    made = Hooks(data_dir=tmp_path_factory.mktemp("sdp") / "data", ice="loopback")
    yield made
    made.provider.close()


def test_a_chromium_offer_with_no_candidates(steady: Hooks) -> None:
    call = steady("relay_sdp", sdp=offer())
    steady("hang_up", call_id=call.id)
    text = call.sdp.decode()
    assert call.id.startswith("rtc_")
    assert text.startswith("v=0\r\n")
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert set(re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) \d+ typ host", text, re.MULTILINE)) == {"127.0.0.1"}
    assert "a=end-of-candidates\r\n" in text
    assert "a=setup:active" in text
    assert "a=sendrecv" in text
    assert "opus/48000/2" in text


def test_candidates_of_no_use_are_dropped_and_no_name_is_looked_up(steady: Hooks) -> None:
    kept = read_offer(offer(UDP, LOCAL, TCP, "a=candidate:oops", "a=end-of-candidates")).text
    assert re.findall("a=candidate[^\r]*", kept) == [UDP]
    assert "a=end-of-candidates" not in kept
    call = steady("relay_sdp", sdp=offer(LOCAL, "a=end-of-candidates"))
    steady("hang_up", call_id=call.id)


@pytest.mark.parametrize(
    "candidate",
    [
        "a=candidate:1 2 udp 1 192.0.2.7 5000 typ host",
        "a=candidate:1 1 udp 1 192.0.2.7 0 typ host",
        "a=candidate:1 1 udp 1 192.0.2.7 99999 typ host",
        "a=candidate:1 1 udp -1 192.0.2.7 5000 typ host",
        "a=candidate:1 1 udp 1 224.0.0.1 5000 typ host",
        "a=candidate:1 1 udp 1 0.0.0.0 5000 typ host",
        "a=candidate:1 1 udp 1 fe80::1%eth0 5000 typ host",
        "a=candidate:1 1 udp 1 example.com 5000 typ host",
        "a=candidate:1 1 udp 1 192.0.2.7 5000 typ srflx raddr 1.2.3.4 rport x",
        "a=candidate:1 1 udp 1 192.0.2.7 5000",
    ],
)
def test_odd_candidates(candidate: str) -> None:
    assert "a=candidate" not in read_offer(offer(candidate)).text
    assert read_offer(offer(*[UDP] * 100)).text.count("a=candidate") == 64


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (offer() + b"a=x:\x00\r\n", "control characters"),
        (offer() + "a=x:\u2028\r\n".encode(), "control characters"),
        (offer().replace(b"a=ice-pwd", b"a=ice-lwd", 1), "its audio section has no a=ice-pwd"),
        (offer().replace(b"a=ice-ufrag:p4Fm", b"a=ice-ufrag:p\xc3\xa4"), "an a=ice-ufrag that can't be read"),
        (offer().replace(b"a=fingerprint:sha-256 AB", b"a=fingerprint:sha-256 XY"), "an a=fingerprint that"),
        (offer().replace(b"a=fingerprint", b"a=toeprint", 1), "no a=fingerprint"),
        (offer().replace(b"sctp-port:5000", b"sctp-port:70000"), "a=sctp-port from 1 to 65535"),
        (offer().replace(b"a=sctp-port:5000\r\n", b""), "a=sctp-port from 1 to 65535"),
        (offer().replace(b"a=mid:1", b"a=mid:0"), "an a=mid of its own"),
        (offer().replace(b"a=mid:1\r\n", b""), "an a=mid of its own"),
        (offer().replace(b"m=audio", b"m=text"), "neither audio nor video"),
        (offer().partition(b"m=audio")[0] + b"m=video 9 X 1\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:"
         + FINGERPRINT.encode(), "neither an audio section nor a data channel"),
        (offer().replace(b"a=rtcp-mux\r\n", b""), "can't be answered (ValueError)"),
        (offer().replace(b"a=setup:actpass", b"a=setup:later"), "can't be answered (KeyError)"),
        (offer().replace(b"opus", b"soup").replace(b"PCM", b"MCP").replace(b"G722", b"G7"), "can't be answered (Op"),
        (offer().replace(b"BUNDLE 0 1", b"BUNDLE 5 1 0"), "can't be answered (AttributeError)"),
    ],
)  # fmt: skip
def test_what_is_no_offer(steady: Hooks, raw: bytes, words: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        steady("relay_sdp", sdp=raw)
    assert words in str(caught.value)
    assert "createOffer()" in str(caught.value)
    assert "7kNzW" not in str(caught.value)
    assert (caught.value.code, caught.value.param) == ("invalid_sdp_offer", "sdp")


def test_lines_may_end_in_lf_and_a_direction_may_be_left_out(steady: Hooks) -> None:
    for raw in (offer().replace(b"\r\n", b"\n"), offer().replace(b"a=sendrecv\r\n", b""), offer().rstrip()):
        steady("hang_up", call_id=steady("relay_sdp", sdp=raw).id)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("sendrecv", "sendrecv"), ("recvonly", "sendonly"), ("sendonly", "recvonly"), ("inactive",) * 2],
)
def test_directions(steady: Hooks, theirs: str, ours: str) -> None:
    call = steady("relay_sdp", sdp=offer(direction=theirs))
    steady("hang_up", call_id=call.id)
    assert f"a={ours}\r\n".encode() in call.sdp


def test_no_sdp_is_logged(steady: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call = steady("relay_sdp", sdp=offer())
    steady("hang_up", call_id=call.id)
    assert "setRemoteDescription(offer)" in caplog.text  # it does log, but not that
    assert "characters of SDP]" in caplog.text
    assert "7kNzW" not in caplog.text
    assert re.findall(r"a=ice-pwd:(\S+)", call.sdp.decode())[0] not in caplog.text
    assert "v=0" not in repr(read_offer(offer()))


def relay(hooks: Hooks, raw: bytes) -> None:
    """Answered or refused; nothing else."""
    with contextlib.suppress(ValidationError):  # the request's own model refuses it
        call = refused = None
        try:
            call = hooks("relay_sdp", sdp=raw)
        except BadRequestError as error:
            refused = error.code
        assert (call is not None and call.sdp.startswith(b"v=0\r\n")) or refused == "invalid_sdp_offer"
        if call is not None:
            hooks("hang_up", call_id=call.id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
@example(b"v=0\nm=audio")
@example(b"v=0\r\nm=\r\n")
def test_any_bytes(steady: Hooks, raw: bytes) -> None:
    relay(steady, raw)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 4))
@example(1, 1)
def test_mutated_offers(steady: Hooks, seed: int, changes: int) -> None:
    """Lines that are dropped, doubled, swapped or cut; numbers, letters and values that are others."""
    dice = random.Random(seed)
    lines = offer(UDP).decode().split("\r\n")
    for _ in range(changes):
        at = dice.randrange(1, len(lines))
        line = lines[at]
        what = dice.randrange(7)
        if what == 0:
            del lines[at]
        elif what == 1:
            lines.insert(dice.randrange(1, len(lines)), line)
        elif what == 2:
            other = dice.randrange(1, len(lines))
            lines[at], lines[other] = lines[other], line
        elif what == 3:
            lines[at] = line[: dice.randrange(len(line) + 1)]
        elif what == 4:
            lines[at] = re.sub(r"\d+", lambda _: str(dice.choice([0, 1, 7, 96, 255, 65536, 2**33, -1])), line)
        elif what == 5 and line:
            place = dice.randrange(len(line))
            lines[at] = line[:place] + dice.choice(" :/;=xZ0\u00e4") + line[place + 1 :]
        else:
            lines[at] = line.partition(":")[0] + ":" + dice.choice(["", " ", "0", "x y z", "a" * 300])
    relay(steady, "\r\n".join(lines).encode())


def test_aiortc_offers(steady: Hooks) -> None:
    for peer in (Peer(audio=None), Peer(video=True), Peer(audio="sendonly", channel=None)):
        with peer:
            call = steady("relay_sdp", sdp=peer.offer())
            steady("hang_up", call_id=call.id)
            if peer.video:
                assert b"m=video" in call.sdp
                assert b"a=inactive" in call.sdp
