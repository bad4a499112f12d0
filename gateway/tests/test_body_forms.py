"""Every form of body that real clients send, at every operation that takes it."""

from __future__ import annotations

import io
import json
import time

import pytest
from gateway.tests.films import SMALL, film, finished
from gateway.tests.serving import CLIP
from PIL import Image
from plugins.local.tests.peer import Peer

SESSION = {"type": "realtime", "model": "local/realtime-1"}


@pytest.fixture(scope="module")
def source(gateway):
    with gateway.http() as http:
        video = film(http)
        return video["id"], http.get(f"/videos/{video['id']}/content").content


@pytest.fixture(scope="module")
def character(gateway):
    """Made as the posts' curl does it: the file comes before the name, and no model is named."""
    with gateway.http() as http:
        answer = http.post(
            "/videos/characters", files=[("video", ("luna.mp4", CLIP.read_bytes())), part("name", "Luna")]
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "Luna"
    return answer.json()["id"]


def part(name, text, type=None):
    """A form's part without a file name, as clients send fields."""
    return name, (None, text, type)


def made(http, answer):
    """The finished video that an answer began."""
    assert answer.status_code == 200, answer.text
    return finished(http, answer.json()["id"])


@pytest.mark.parametrize("seconds", [2, "2"])
def test_json(gateway, seconds):
    with gateway.http() as http:
        video = made(http, http.post("/videos", json={**SMALL, "seconds": seconds}))
        assert (video["seconds"], video["size"]) == ("2", "320x180")
        with_charset = {"content-type": "Application/JSON; charset=utf-8"}
        made(http, http.post("/videos", content=json.dumps(SMALL), headers=with_charset))


def test_a_form_without_a_file(gateway):
    """As the openai package sends every video."""
    with gateway.http() as http:
        video = made(http, http.post("/videos", files=[part(*item) for item in SMALL.items()]))
        assert video["prompt"] == SMALL["prompt"]
        bracket = {**SMALL, "prompt": '["a lake"]'}  # a prompt is a text, whatever it looks like
        assert (
            made(http, http.post("/videos", files=[part(*item) for item in bracket.items()]))["prompt"] == '["a lake"]'
        )


@pytest.mark.parametrize("first", [True, False], ids=["file first", "file last"])
def test_a_form_with_a_file(gateway, first):
    picture = io.BytesIO()
    Image.new("RGB", (320, 180), (200, 30, 30)).save(picture, "PNG")
    file = ("input_reference", ("first.png", picture.getvalue(), "image/png"))
    fields = [part(*item) for item in SMALL.items()]
    with gateway.http() as http:
        video = made(http, http.post("/videos", files=[file, *fields] if first else [*fields, file]))
        still = http.get(f"/videos/{video['id']}/content", params={"variant": "thumbnail"})
        assert Image.open(io.BytesIO(still.content)).format == "WEBP"
        wrong = Image.new("RGB", (100, 100))
        wrong.save(small := io.BytesIO(), "PNG")
        refused = http.post("/videos", files=[("input_reference", ("a.png", small.getvalue())), *fields])
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input_reference")


@pytest.mark.parametrize("operation", ["edits", "extensions"])
@pytest.mark.parametrize(
    "spelling", ["json", "json text", "video[id]", "json part", "id part", "file first", "file last"]
)
def test_what_video_may_be(gateway, source, operation, spelling):
    id, content = source
    fields = {"prompt": "golden hour", "seconds": "1"} if operation == "extensions" else {"prompt": "golden hour"}
    parts = [part(*item) for item in fields.items()]
    file = ("video", ("film.mp4", content, "video/mp4"))
    with gateway.http() as http:
        match spelling:
            case "json":
                answer = http.post(f"/videos/{operation}", json={"video": {"id": id}, **fields})
            case "json text":
                answer = http.post(f"/videos/{operation}", json={"video": id, **fields})
            case "video[id]":
                answer = http.post(f"/videos/{operation}", files=[part("video[id]", id), *parts])
            case "json part":
                answer = http.post(f"/videos/{operation}", files=[*parts, part("video", json.dumps({"id": id}))])
            case "id part":
                answer = http.post(f"/videos/{operation}", files=[*parts, part("video", id)])
            case "file first":
                answer = http.post(f"/videos/{operation}", files=[file, *parts])
            case "file last":
                answer = http.post(f"/videos/{operation}", files=[*parts, file])
        video = made(http, answer)
    assert video["seconds"] == ("2" if operation == "extensions" else "1")
    assert video["remixed_from_video_id"] == (None if spelling.startswith("file") else id)


@pytest.mark.parametrize("form", ["json", "multipart"])
@pytest.mark.parametrize("path", ["remix", "edits"])
def test_a_video_in_the_path(gateway, source, form, path):
    """`/videos/ID/edits` is an older spelling, still to be found in examples."""
    with gateway.http() as http:
        body = {"json": {"prompt": "a city"}} if form == "json" else {"files": [part("prompt", "a city")]}
        video = made(http, http.post(f"/videos/{source[0]}/{path}", **body))
        assert (video["prompt"], video["remixed_from_video_id"]) == ("a city", source[0])


@pytest.mark.parametrize(
    "spelling", ["json", "json ids", "characters[][id]", "characters[0][id]", "json part", "json part of ids"]
)
def test_what_characters_may_be(gateway, character, spelling):
    fields = {**SMALL, "prompt": "Luna by the sea"}
    parts = [part(*item) for item in fields.items()]
    with gateway.http() as http:
        match spelling:
            case "json":
                answer = http.post("/videos", json={**fields, "characters": [{"id": character}]})
            case "json ids":
                answer = http.post("/videos", json={**fields, "characters": [character]})
            case "json part":
                answer = http.post("/videos", files=[part("characters", json.dumps([{"id": character}])), *parts])
            case "json part of ids":
                answer = http.post("/videos", files=[part("characters", json.dumps([character])), *parts])
            case brackets:
                answer = http.post("/videos", files=[part(brackets, character), *parts])
        assert "warnings" not in made(http, answer)
        # Without the name in the prompt the provider warns: proof that it has heard of the character.
        nameless = {**SMALL, "characters": [{"id": character}]}
        assert "Luna" in http.post("/videos", json=nameless).json()["warnings"][0]


def test_brackets_count(gateway, character):
    parts = [part("characters[][id]", character)] * 3 + [part(*item) for item in SMALL.items()]
    with gateway.http() as http:
        error = http.post("/videos", files=parts).json()["error"]
    assert error["param"] == "characters"
    assert "3" in error["message"]


@pytest.mark.parametrize("form", ["raw", "raw with a key", "parts", "parts with file names", "query"])
def test_what_an_offer_may_come_in(gateway, form):
    with Peer(audio=None) as peer, gateway.http() as http:
        offer = peer.offer()
        sdp, session = {"content-type": "application/sdp"}, json.dumps(SESSION)
        match form:
            case "raw":
                answer = http.post("/realtime/calls", content=offer, headers=sdp)
            case "raw with a key":
                key = http.post("/realtime/client_secrets", json={"session": SESSION}).json()["value"]
                answer = http.post("/realtime/calls", content=offer, headers={**sdp, "authorization": f"Bearer {key}"})
            case "parts":
                files = [part("sdp", offer, "application/sdp"), part("session", session, "application/json")]
                answer = http.post("/realtime/calls", files=files)
            case "parts with file names":
                files = [("session", ("session.json", session)), ("sdp", ("offer.sdp", offer, "application/sdp"))]
                answer = http.post("/realtime/calls", files=files)
            case "query":
                answer = http.post("/realtime/calls", params={"model": SESSION["model"]}, content=offer, headers=sdp)
        assert (answer.status_code, answer.headers["content-type"]) == (201, "application/sdp"), answer.text
        assert answer.headers["location"].startswith("/v1/realtime/calls/rtc_")
        assert b"\r\n" in answer.content
        peer.accept(answer.content)
        assert peer.wait("session.created")["session"]["type"] == "realtime"
        hung = http.post(f"{gateway.root}{answer.headers['location']}/hangup")
        assert hung.status_code == 200
        assert peer.closed.wait(10)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "local/realtime-1"},
        {"session": SESSION},
        {"model": "local/realtime-1", "session": {"type": "realtime"}},
        {"session": {**SESSION, "instructions": "Be kind."}, "expires_after": {"anchor": "created_at", "seconds": 60}},
    ],
)
def test_what_asks_for_a_secret(gateway, body):
    with gateway.http() as http:
        answer = http.post("/realtime/client_secrets", json=body).json()
    assert answer["value"].startswith("ek_")
    assert answer["client_secret"] == {"value": answer["value"], "expires_at": answer["expires_at"]}
    life = answer["expires_at"] - time.time()
    assert 55 < life <= 60 if "expires_after" in body else 115 < life <= 120
    assert answer["session"]["model"] == "local/realtime-1"
    if "instructions" in body.get("session", {}):
        assert answer["session"]["instructions"] == "Be kind."
