"""Requests that a stranger makes up, and answers that a provider does."""

import pytest
from gateway.tests.odd import Items, Odd, over

from callsheet import Download, Response, Video


@pytest.fixture(scope="module")
def http():
    with over(Odd) as client:
        yield client


@pytest.mark.parametrize("name", ["foo", "foo[]", "foo[a][b]", "characters[][picture]"])
def test_a_file_where_none_belongs(http, name):
    answer = http.post("/videos", data={"prompt": "a", "characters[][id]": "x"}, files={name: ("f.bin", b"x")})
    assert answer.status_code == 400
    assert "takes no file as" in answer.json()["error"]["message"]


def nested(depth):
    return b'{"model": "odd/m", "x": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (nested(64), "at most 64 levels"),
        (nested(900), "at most 64 levels"),
        (nested(900).replace(b"[", b'{"a":').replace(b"]", b"}"), "is not JSON"),
        (nested(90_000), "at most 64 levels"),
        (b'{"x": NaN}', "NaN, which is no JSON"),
        (b'{"x": -Infinity}', "-Infinity, which is no JSON"),
        (b'{"x": 1e999}', "the number 1e999, which is too big"),
        (b'{"x": ' + b"1" * 5000 + b"}", "too many digits"),
    ],
)
@pytest.mark.parametrize("path", ["/videos", "/responses", "/chat/completions", "/realtime/client_secrets"])
def test_json_that_nobody_could_pass_on(http, path, body, words):
    answer = http.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert words in answer.json()["error"]["message"]


def test_json_may_be_deep(http, monkeypatch):
    monkeypatch.setitem(Odd.does, "responses", lambda request: Response({"id": "r", "x": request.model_extra["x"]}))
    answer = http.post("/responses", content=nested(63), headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.text.count("[") == 63


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data; boundary=XX; charset=undefined", 200),
        ("multipart/form-data; boundary=XX; charset=utf-16", 200),
        ('Multipart/Form-Data; Boundary="XX"', 200),
        ("multipart/form-data; xboundary=a; boundary=XX", 200),
        ("multipart/form-data; boundary=" + "X" * 71, 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data", 400),
    ],
)
def test_a_forms_content_type(http, monkeypatch, content_type, status):
    monkeypatch.setitem(
        Odd.does, "generate_video", lambda request: Video(id="v", status="queued", prompt=request.prompt)
    )
    body = '--XX\r\nContent-Disposition: form-data; name="prompt"\r\n\r\ncafé\r\n--XX--\r\n'
    answer = http.post("/videos", content=body.encode(), headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    assert status != 200 or answer.json()["prompt"] == "café"


@pytest.mark.parametrize(
    ("content_type", "given"),
    [
        ("video/mp4", "video/mp4"),
        ("video/x-matroska", "video/x-matroska"),
        ("image/webp", "image/webp"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("video/mp4\r\nx: 1", "application/octet-stream"),
        ("vidéo/mp4", "application/octet-stream"),
    ],
)
def test_a_download_is_never_a_page(http, monkeypatch, content_type, given):
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued"))
    monkeypatch.setitem(Odd.does, "download_video", lambda _: Download(Items(), content_type=content_type))
    id = http.post("/videos", json={"prompt": "a"}).json()["id"]
    answer = http.get(f"/videos/{id}/content")
    assert answer.headers["content-type"] == given
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
