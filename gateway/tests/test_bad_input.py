"""Bad input: each its own error, never a 500, and nothing is left behind. Every request is sent several times over."""

from __future__ import annotations

import json
import socket
import time

import httpx
import pytest
from gateway.tests.films import SMALL, film
from gateway.tests.leftovers import Held, nothing_more
from gateway.tests.serving import BUNNY, serving

TIMES = 3
SDP = {"content-type": "application/sdp"}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=x"}
TALK = "local/scribe-1"
BIG = b"v=0\r\n" + b"a=x-filler:0123456789\r\n" * 3050
assert 70_000 < len(BIG) < 71_000


@pytest.fixture(scope="module")
def temp_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tmp")


@pytest.fixture(scope="module")
def server(tmp_path_factory, temp_dir):
    """A gateway of its own, so that all that it holds comes from here. It has done some work: nothing is opened late."""
    data_dir = tmp_path_factory.mktemp("bad") / "data"
    with serving(data_dir, TMPDIR=str(temp_dir), TMP=str(temp_dir), TEMP=str(temp_dir)) as gateway:
        with gateway.http() as http:
            film(http)
            http.post("/responses", json={"model": TALK, "input": "Hello"})
            http.post("/realtime/client_secrets", json={"model": "local/realtime-1"})
        yield gateway


@pytest.fixture(scope="module", autouse=True)
def short_lived(server):
    """A secret that ends soon after the first test begins, and when: by the last one that has passed."""
    body = {"model": "local/realtime-1", "expires_after": {"anchor": "created_at", "seconds": 10}}
    with server.http() as http:
        secret = http.post("/realtime/client_secrets", json=body).json()
    return secret["value"], secret["expires_at"]


@pytest.fixture
def refused(server, temp_dir):
    """Sends a request several times; checks the error, and that nothing is left of it."""

    def check(status, code, param, *words, method="POST", path="/videos", **request):
        before = Held.by(server, temp_dir)
        with server.http() as http:
            videos = http.get("/videos").json()["data"]
            for _ in range(TIMES):
                answer = http.request(method, path, **request)
                assert answer.headers["content-type"] == "application/json"
                error = answer.json()["error"]
                assert set(error) == {"message", "type", "param", "code"}
                assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
                for word in words:
                    assert word in error["message"]
                assert str(server.data_dir) not in answer.text
            assert http.get("/videos").json()["data"] == videos  # no job was begun
        nothing_more(server, temp_dir, before)

    return check


def parts(*items):
    return [(name, (None, text)) for name, text in items]


@pytest.mark.parametrize(
    ("status", "code", "param", "words", "content"),
    [
        (400, "invalid_value", "sdp", ["first line must be v=0"], b"hello"),
        (400, "invalid_value", "sdp", ["first line must be v=0"], b""),
        (400, "invalid_value", "sdp", ["first line must be v=0"], json.dumps({"sdp": "v=0"}).encode()),
        (400, "invalid_value", "sdp", ["0 media sections"], b"v=0\r\ns=-\r\n"),
        (400, "invalid_value", "sdp", ["not text in UTF-8"], b"v=0\r\n\xff\xfe\r\nm=audio 9 x 0\r\n"),
        (400, "invalid_value", "sdp", ["no fingerprint, ice-ufrag, ice-pwd"], b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"),
        (400, "invalid_value", "sdp", ["70,155 bytes", "65,536"], BIG),
        (413, "body_too_big", None, ["262,144"], BIG * 4),
    ],
    ids=["no SDP", "empty", "JSON", "no media", "not UTF-8", "not WebRTC", "70 KB", "280 KB"],
)  # fmt: skip
def test_an_offer(refused, status, code, param, words, content):
    refused(status, code, param, *words, path="/realtime/calls", content=content, headers=SDP)


def test_an_offer_in_parts(refused):
    calls = {"path": "/realtime/calls"}
    refused(400, "missing_field", "sdp", "'sdp'", files=parts(("session", "{}")), **calls)
    refused(400, "invalid_json", "session", "'session'", files=parts(("sdp", "v=0"), ("session", "[1]")), **calls)
    refused(400, "invalid_value", "sdp", "v=0", files=parts(("sdp", "hello")), **calls)
    refused(400, "invalid_value", "sdp", "65,536", files=[("sdp", ("offer.sdp", BIG))], **calls)
    refused(415, "unsupported_media_type", None, "application/sdp", content=b"v=0", headers=JSON, **calls)


def test_keys(refused):
    for key in ("ek_", "ek_abc", "ek_" + "A" * 200, "ek_ü".encode().decode("latin-1")):
        headers = {**SDP, "authorization": f"Bearer {key}".encode("latin-1")}
        refused(
            401, "invalid_ephemeral_key", None, "not issued by this server",
            path="/realtime/calls", content=offer(), headers=headers,
        )  # fmt: skip


def offer():
    """An offer in order, as far as it is looked at before the key."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]
    lines += ["a=mid:0", "a=ice-ufrag:abcd", "a=ice-pwd:" + "a" * 24, "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)]
    return "\r\n".join([*lines, "a=setup:actpass", "a=sctp-port:5000", ""]).encode()


def test_secrets(refused):
    secrets = {"path": "/realtime/client_secrets"}
    refused(404, "model_not_found", "model", "local/realtime-1", json={"model": "gpt-9"}, **secrets)
    both = {"model": "local/realtime-1", "session": {"type": "realtime", "model": "other"}}
    refused(400, "invalid_value", "model", "session.model", json=both, **secrets)
    refused(400, "invalid_value", "session", json={"session": "realtime"}, **secrets)
    short = {"model": "local/realtime-1", "expires_after": {"anchor": "created_at", "seconds": 9}}
    refused(400, "invalid_value", "expires_after", "10", json=short, **secrets)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/videos", SMALL),
        ("/responses", {"input": "Hello"}),
        ("/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    ],
)
def test_an_unknown_model(refused, path, body):
    known = "there are: local/motion-1, local/realtime-1, local/scribe-1"
    refused(404, "model_not_found", "model", "'sora-3'", known, path=path, json={**body, "model": "sora-3"})
    refused(400, "invalid_value", "model", path=path, json={**body, "model": 5})


@pytest.mark.parametrize(
    "path", ["/videos", "/videos/edits", "/realtime/client_secrets", "/responses", "/chat/completions"]
)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'["a"]', "not an array"), (b'"a"', "not a string"), (b"5", "not a number"), (b"true", "not a boolean"),
        (b"null", "not null"), (b'{"model": ', "is not JSON"), (b"\xff\xfe{}", "is not JSON"), (b"prompt=a", "is not JSON"),
        (b"[" * 100_000, "nested too deep"), (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
    ],
    ids=["array", "text", "number", "boolean", "null", "cut short", "not UTF-8", "a form's text", "deep", "long number"],
)  # fmt: skip
def test_json_that_is_no_object(refused, path, content, words):
    refused(400, "invalid_json", None, words, path=path, content=content, headers=JSON)


@pytest.mark.parametrize("path", ["/videos/edits", "/videos/extensions"])
def test_the_video_of_an_edit(refused, path):
    fields = {"prompt": "golden hour", "seconds": "1"}

    def wrong(status, code, param, *words, **request):
        refused(status, code, param, *words, path=path, **request)

    wrong(400, "invalid_value", "video", "video.id", "string", json={**fields, "video": {"id": 5}})
    wrong(400, "invalid_value", "video", "video.id", "string", files=parts(*fields.items(), ("video", '{"id": 5}')))
    wrong(400, "invalid_value", "video", "video.id", "required", json={**fields, "video": {}})
    wrong(400, "invalid_value", "video", "required", json=fields)
    wrong(400, "invalid_value", "video", "required", files=parts(*fields.items()))
    wrong(400, "invalid_value", "video", json={**fields, "video": 5})
    wrong(404, "not_found", None, "'video_1'", json={**fields, "video": {"id": "video_1"}})
    wrong(404, "not_found", None, "'video_1'", files=parts(*fields.items(), ("video[id]", "video_1")))
    twice = parts(*fields.items(), ("video[id]", "video_1"), ("video", "video_1"))
    wrong(400, "invalid_form", "video", "twice", files=twice)
    no_film = [("video", ("film.mp4", b"no film")), *parts(*fields.items())]
    wrong(400, "video_not_mp4", "video", "not an MP4", files=no_film)
    cut = [("video", ("film.mp4", BUNNY.read_bytes()[:100_000])), *parts(*fields.items())]
    wrong(400, "video_truncated", "video", "cut off", files=cut)


def test_characters(refused):
    path = {"path": "/videos/characters"}
    clip = ("video", ("luna.mp4", b"x" * 2_000_000))  # more than is kept in memory: it goes over the disk
    refused(400, "invalid_value", "video", "required", files=parts(("name", "Luna")), **path)
    refused(400, "invalid_value", "name", "required", files=[clip], **path)
    refused(400, "invalid_value", "name", "80", files=[clip, *parts(("name", "L" * 81))], **path)
    refused(400, "clip_not_mp4", "video", "not an MP4", files=[clip, *parts(("name", "Luna"))], **path)
    refused(400, "invalid_value", "video", "file", json={"name": "Luna", "video": "luna.mp4"}, **path)
    refused(400, "invalid_value", "characters", json={**SMALL, "characters": [1]})
    refused(404, "not_found", None, "'char_1'", json={**SMALL, "characters": [{"id": "char_1"}]})


@pytest.mark.parametrize(
    ("field", "value", "code", "words"),
    [
        ("prompt", "", "invalid_value", "empty"), ("prompt", 5, "invalid_value", "a text"),
        ("prompt", "x" * 33_000, "invalid_value", "32,000"), ("prompt", None, "invalid_value", "a text"),
        ("size", "big", "invalid_value", "WIDTHxHEIGHT"), ("size", "9999x9999", "invalid_size", "1920"),
        ("seconds", "-1", "invalid_value", "whole seconds"), ("seconds", "four", "invalid_value", "whole seconds"),
        ("seconds", 99, "invalid_seconds", "1 to 20"), ("model", ["a"], "invalid_value", "string"),
    ],
)  # fmt: skip
def test_a_videos_fields(refused, field, value, code, words):
    refused(400, code, field, words, json={**SMALL, field: value})


def test_forms(refused):
    many = [(f"field{number}", "x") for number in range(17)]
    big = ("video", ("luna.mp4", b"x" * 2_000_000))
    for path in ("/videos", "/videos/characters", "/videos/edits"):
        refused(400, "too_many_parts", None, "more than 16 parts", path=path, files=parts(*many))
        refused(400, "too_many_parts", None, path=path, files=[big, *parts(*many[:16])])
    line = b'Content-Disposition: form-data; name="prompt"'
    refused(400, "body_cut_short", None, "cut short", content=b"--x\r\n" + line + b"\r\n\r\nabc", headers=FORM)
    refused(400, "invalid_form", None, "can't be read", content=b"hello", headers=FORM)
    refused(400, "invalid_form", None, "boundary", content=b"hello", headers={"content-type": "multipart/form-data"})
    long = b"--x\r\n" + line + b"\r\nX-Filler: " + b"y" * 9000 + b"\r\n\r\nabc\r\n--x--\r\n"
    refused(400, "invalid_form", None, content=long, headers=FORM)
    nameless = b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n"
    refused(400, "invalid_form", None, "name", content=nameless, headers=FORM)
    form = {"content-type": "application/x-www-form-urlencoded"}
    refused(415, "unsupported_media_type", None, "application/json", content=b"prompt=a", headers=form)


def test_a_file_before_the_cut(refused):
    """Two megabytes are on the disk by the time that the body turns out to be incomplete."""
    head = b'--x\r\nContent-Disposition: form-data; name="video"; filename="luna.mp4"\r\n\r\n'
    refused(
        400, "body_cut_short", None, "closing boundary",
        path="/videos/characters", content=head + b"x" * 2_000_000, headers=FORM,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/videos/characters", "/v1/videos/edits", "/v1/videos", "/v1/realtime/calls"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_connection_that_breaks_off(server, temp_dir, path, chunked):
    before = Held.by(server, temp_dir)
    body = b'--x\r\nContent-Disposition: form-data; name="video"; filename="luna.mp4"\r\n\r\n' + b"x" * 2_000_000
    host, _, port = server.root.removeprefix("http://").rpartition(":")
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 3000000"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM['content-type']}\r\n{length}\r\n\r\n"
    for _ in range(TIMES):
        with socket.create_connection((host, int(port)), timeout=10) as wire:
            wire.sendall(head.encode() + (f"{len(body):x}\r\n".encode() if chunked else b"") + body[:1_500_000])
    nothing_more(server, temp_dir, before)
    assert httpx.get(f"{server.root}/health/live", trust_env=False).status_code == 200


def test_a_download_that_is_broken_off(server, temp_dir):
    with server.http() as http:
        video = http.get("/videos").json()["data"][0]["id"]
    before = Held.by(server, temp_dir)
    for _ in range(TIMES):
        with server.http() as http, http.stream("GET", f"/videos/{video}/content") as answer:
            assert next(answer.iter_raw(1000))
    nothing_more(server, temp_dir, before)


def test_what_is_asked_of_lists_and_ids(refused):
    get = {"method": "GET"}
    refused(400, "invalid_value", "limit", params={"limit": "abc"}, **get)
    refused(400, "invalid_value", "limit", params={"limit": "101"}, **get)
    refused(400, "invalid_value", "order", params={"order": "up"}, **get)
    refused(404, "not_found", None, params={"after": "video_1"}, **get)
    for path in ("/videos/video_1", "/videos/video_1/content", "/videos/characters/char_1", "/responses/resp_1"):
        refused(404, "not_found", None, "not issued here", path=path, **get)
    refused(404, "not_found", None, "not issued here", path="/videos/" + "v" * 5000, **get)


def test_an_expired_secret(server, short_lived, refused):
    """Ten seconds is the shortest life that a secret may have."""
    value, ends = short_lived
    time.sleep(max(0.0, ends - time.time()) + 0.1)
    refused(
        401, "token_expired", None, "Token expired",
        path="/realtime/calls", content=offer(), headers={**SDP, "authorization": f"Bearer {value}"},
    )  # fmt: skip
