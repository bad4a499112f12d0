"""What no correct client sends, the fake upstream refuses in OpenAI's words, and notes."""

from __future__ import annotations

import json

import pytest
from core.tests.fake_kit import AUTH, MP4, OFFER, WAYS, form, fresh

from callsheet.testing import FAKE_KEY, Violation

VIDEO = {"prompt": "a cat"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ASK = {"model": "m", "input": "hi"}
MINT = {"session": {"type": "realtime"}}
CLIP = ("video", MP4, "video/mp4", "a.mp4")
REALTIME = ("session", '{"type":"realtime"}', "application/json")


@pytest.fixture
def way():
    with WAYS["blocking"](fresh()) as made:
        yield made


def refused(way, got, status, words, param=None):
    """The envelope with all four keys, nothing begun, and one note."""
    assert got.status == status, got.body
    error = got.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert words in error["message"]
    assert error["param"] == param
    assert not way.fake.book.entries
    [problem] = way.fake.problems
    assert (problem.request, problem.message) == (0, error["message"])
    assert error["message"] in str(problem)


JSON_BODIES = {
    "an int for seconds": ("/videos", {**VIDEO, "seconds": 4}, "expected a string, but got an integer", "seconds"),
    "words for seconds": ("/videos", {**VIDEO, "seconds": "four"}, "a string of digits", "seconds"),
    "no prompt": ("/videos", {}, "Missing required parameter: 'prompt'.", "prompt"),
    "an empty prompt": ("/videos", {"prompt": ""}, "minimum length 1", "prompt"),
    "a long prompt": ("/videos", {"prompt": "x" * 32_001}, "maximum length 32000", "prompt"),
    "a null": ("/videos", {**VIDEO, "size": None}, "expected a string, but got null", "size"),
    "an odd size": ("/videos", {**VIDEO, "size": "720p"}, "WIDTHxHEIGHT", "size"),
    "an unknown field": ("/videos", {**VIDEO, "steps": 7}, "Unknown parameter: 'steps'.", "steps"),
    "characters as ids": ("/videos", {**VIDEO, "characters": ["c"]}, "expected an object", "characters[0]"),
    "three characters": ("/videos", {**VIDEO, "characters": [{"id": "c"}] * 3}, "0 to 2 items", "characters"),
    "a character by name": (
        "/videos",
        {**VIDEO, "characters": [{"name": "c"}]},
        "Missing required parameter",
        "characters[0].id",
    ),
    "a file in JSON": ("/videos", {**VIDEO, "input_reference": "x"}, "expected an object", "input_reference"),
    "two references": (
        "/videos",
        {**VIDEO, "input_reference": {"image_url": "https://a.example/b", "file_id": "f"}},
        "exactly one",
        "input_reference",
    ),
    "an edit of nothing": ("/videos/edits", VIDEO, "Missing required parameter: 'video'.", "video"),
    "an edit of an id": ("/videos/edits", {**VIDEO, "video": "video_1"}, "expected an object", "video"),
    "an extension without seconds": (
        "/videos/extensions",
        {**VIDEO, "video": {"id": "v"}},
        "Missing required parameter: 'seconds'.",
        "seconds",
    ),
    "a remix by seconds": ("/videos/v/remix", {**VIDEO, "seconds": "4"}, "Unknown parameter: 'seconds'.", "seconds"),
    "a short life": ("/realtime/client_secrets", {"expires_after": {"seconds": 9}}, "from 10", "expires_after.seconds"),
    "no kind of session": (
        "/realtime/client_secrets",
        {"session": {}},
        "Missing required parameter: 'session.type'.",
        "session.type",
    ),
    "an odd session": (
        "/realtime/client_secrets",
        {"session": {"type": "realtime", "voice": "alloy"}},
        "Unknown parameter: 'session.voice'.",
        "session.voice",
    ),
    "no model": ("/responses", {"input": "hi"}, "Missing required parameter: 'model'.", "model"),
    "no input": ("/responses", {"model": "m"}, "Missing required parameter: 'input'.", "input"),
    "an odd input": ("/responses", {**ASK, "input": 7}, "expected a string", "input"),
    "an item that is a text": ("/responses", {**ASK, "input": ["hi"]}, "expected an object", "input[0]"),
    "an item without a type": ("/responses", {**ASK, "input": [{"id": "x"}]}, "Missing required", "input[0].type"),
    "an odd phase": (
        "/responses",
        {**ASK, "input": [{"role": "user", "content": "x", "phase": "last"}]},
        "supported values",
        "input[0].phase",
    ),
    "few tokens": ("/responses", {**ASK, "max_output_tokens": 15}, "expected a value from 16", "max_output_tokens"),
    "a text for stream": ("/responses", {**ASK, "stream": "true"}, "expected a boolean", "stream"),
    "messages at responses": ("/responses", {**ASK, "messages": []}, "Unknown parameter: 'messages'.", "messages"),
    "two pasts": (
        "/responses",
        {**ASK, "previous_response_id": "resp_1", "conversation": "conv_1"},
        "exclude each other",
        "previous_response_id",
    ),
    "unstored in the background": (
        "/responses",
        {**ASK, "background": True, "store": False},
        "must be stored",
        "background",
    ),
    "no messages": ("/chat/completions", {"model": "m"}, "Missing required parameter: 'messages'.", "messages"),
    "an empty talk": ("/chat/completions", {**CHAT, "messages": []}, "expected an array of at least 1", "messages"),
    "an odd role": (
        "/chat/completions",
        {**CHAT, "messages": [{"role": "robot", "content": "x"}]},
        "supported values",
        "messages[0].role",
    ),
    "a tool's answer to nothing": (
        "/chat/completions",
        {**CHAT, "messages": [{"role": "tool", "content": "x"}]},
        "tool_call_id",
        "messages[0].tool_call_id",
    ),
    "options of no stream": (
        "/chat/completions",
        {**CHAT, "stream_options": {"include_usage": True}},
        "only allowed when 'stream' is enabled",
        "stream_options",
    ),
    "hot": ("/chat/completions", {**CHAT, "temperature": 3}, "from 0 to 2", "temperature"),
    "input at chat": ("/chat/completions", {**CHAT, "input": "x"}, "Unknown parameter: 'input'.", "input"),
    "a list": ("/responses", [], "must be an object", None),
}


@pytest.mark.parametrize("case", JSON_BODIES)
def test_a_bad_document(way, case):
    path, body, words, param = JSON_BODIES[case]
    refused(way, way.ask("POST", path, body), 400, words, param)


FORMS = {
    "a file without a name": ("/videos", [("prompt", "x"), ("input_reference", b"\x89", "image/png")], 400),
    "an image that is a video": ("/videos", [("prompt", "x"), ("input_reference", MP4, "video/mp4", "a.mp4")], 400),
    "an empty file": ("/videos", [("prompt", "x"), ("input_reference", b"", "image/png", "a.png")], 400),
    "a field twice": ("/videos", [("prompt", "x"), ("prompt", "y")], 400),
    "odd brackets": ("/videos", [("prompt", "x"), ("input_reference[]", "y")], 400),
    "an unknown part": ("/videos", [("prompt", "x"), ("n", "2")], 400),
    "a prompt that is a file": ("/videos", [("prompt", "x", "text/plain", "a.txt")], 400),
    "an id as the source": ("/videos/edits", [("prompt", "x"), ("video", "video_1")], 400),
    "a nameless character": ("/videos/characters", [CLIP], 400),
    "a long name": ("/videos/characters", [("name", "x" * 81), CLIP], 400),
    "a character from a text": ("/videos/characters", [("name", "x"), ("video", "clip")], 400),
    "a character from a picture": (
        "/videos/characters",
        [("name", "x"), ("video", b"\x89", "image/png", "a.png")],
        400,
    ),
    "no offer": ("/realtime/calls", [REALTIME], 400),
    "an offer that is a file": ("/realtime/calls", [("sdp", OFFER, "application/sdp", "o.sdp"), REALTIME], 400),
    "an offer without a type": ("/realtime/calls", [("sdp", OFFER), REALTIME], 400),
    "a model beside the session": ("/realtime/calls", [("sdp", OFFER, "application/sdp"), ("model", "m")], 400),
    "a session that is a text": ("/realtime/calls", [("sdp", OFFER, "application/sdp"), ("session", "{}")], 400),
    "bare line feeds": ("/realtime/calls", [("sdp", OFFER.replace(b"\r\n", b"\n"), "application/sdp"), REALTIME], 400),
    "an offer that was stripped": ("/realtime/calls", [("sdp", OFFER.strip(), "application/sdp"), REALTIME], 400),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_bad_form(way, case):
    path, parts, status = FORMS[case]
    body, headers = form(*parts)
    got = way.ask("POST", path, body, headers)
    assert got.status == status
    refused(way, got, status, "", got.json()["error"]["param"])


BOUNDARY = {"content-type": "multipart/form-data; boundary=b"}
PROMPT = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n'
MALFORMED = {
    "a preamble": b"hello\r\n" + PROMPT + b"--b--\r\n",
    "no end": PROMPT,
    "an epilogue": PROMPT + b"--b--\r\nbye",
    "bare line feeds": (PROMPT + b"--b--\r\n").replace(b"\r\n", b"\n"),
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    "an unquoted name": b"--b\r\nContent-Disposition: form-data; name=prompt\r\n\r\nx\r\n--b--\r\n",
    "no disposition": b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n",
    "an attachment": b'--b\r\nContent-Disposition: attachment; name="prompt"\r\n\r\nx\r\n--b--\r\n',
    "no blank line": b'--b\r\nContent-Disposition: form-data; name="prompt"\r\nx\r\n--b--\r\n',
    "an encoded part": PROMPT.replace(b"\r\n\r\nx", b"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==")
    + b"--b--\r\n",
    "a header twice": PROMPT.replace(b"\r\n\r\nx", b"\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n\r\nx")
    + b"--b--\r\n",
    "no media type": b'--b\r\nContent-Disposition: form-data; name="prompt"; filename="a"\r\n\r\nx\r\n--b--\r\n',
    "an odd media type": PROMPT.replace(b"\r\n\r\nx", b"\r\nContent-Type: text\r\n\r\nx") + b"--b--\r\n",
    "no UTF-8": PROMPT.replace(b"\r\nx\r\n", b"\r\n\xff\r\n") + b"--b--\r\n",
    "another boundary": PROMPT.replace(b"--b", b"--c") + b"--c--\r\n",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_form(way, case):
    refused(way, way.ask("POST", "/videos", MALFORMED[case], BOUNDARY), 400, "Could not parse multipart form")


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=b; boundary=b"]
)
def test_a_boundary_is_named_once(way, kind):
    refused(way, way.ask("POST", "/videos", PROMPT + b"--b--\r\n", {"content-type": kind}), 400, "bound")


def test_escaped_names_are_read(way):
    body, headers = form(("name", "Mossy"), ("video", MP4, "video/mp4", "a%22%0D%0Ab.mp4"))
    assert way.ask("POST", "/videos/characters", body, headers).status == 200
    part = way.fake.seen[0].part("video")
    assert (part.filename, part.content_type, part.content) == ('a"\r\nb.mp4', "video/mp4", MP4)
    assert way.fake.seen[0].part("name").text == "Mossy"
    with pytest.raises(Violation, match="Missing required parameter: 'model'"):
        way.fake.seen[0].part("model")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"prompt": NaN}',
        b'{"prompt": "a", "prompt": "b"}',
        b'\xef\xbb\xbf{"prompt": "a"}',
        b'{"prompt": "\xff"}',
    ],
)
def test_bad_json(way, content):
    got = way.ask("POST", "/videos", content, {"content-type": "application/json"})
    refused(way, got, 400, "could not parse the JSON body")
    assert got.json()["error"]["code"] == "invalid_json"


HEADERS = {
    "another type": ("POST", "/videos", VIDEO, {"content-type": "text/json"}, 415),
    "a form for responses": ("POST", "/responses", b"--b--", BOUNDARY, 415),
    "JSON for a character": ("POST", "/videos/characters", {"name": "x"}, {}, 415),
    "SDP for a video": ("POST", "/videos", OFFER, {"content-type": "application/sdp"}, 415),
    "the beta": ("GET", "/videos", None, {"openai-beta": "realtime=v1"}, 400),
    "a compressed body": ("POST", "/videos", VIDEO, {"content-encoding": "gzip"}, 415),
    "a type of nothing": ("GET", "/videos", None, {"content-type": "application/json"}, 400),
    "a body on GET": ("GET", "/videos", VIDEO, {}, 400),
    "a body on DELETE": ("DELETE", "/videos/v", VIDEO, {}, 400),
    "no body on POST": ("POST", "/videos", None, {}, 400),
    "a long id": ("GET", "/videos", None, {"x-client-request-id": "x" * 513}, 400),
    "64 KiB of headers": ("GET", "/videos", None, {"x-a": "y" * 65_536}, 431),
    "a header in two lines": ("GET", "/videos", None, {"x-a": "a\r\nb"}, 400),
    "no such path": ("GET", "/video", None, {}, 404),
    "a slash too many": ("GET", "/videos/", None, {}, 404),
    "another method": ("PUT", "/videos", VIDEO, {}, 404),
    "an unknown query": ("GET", "/videos?page=2", None, {}, 400),
    "a query twice": ("GET", "/videos?limit=2&limit=3", None, {}, 400),
    "a great limit": ("GET", "/videos?limit=101", None, {}, 400),
    "an odd limit": ("GET", "/videos?limit=ten", None, {}, 400),
    "an odd order": ("GET", "/videos?order=up", None, {}, 400),
    "an odd variant": ("GET", "/videos/v/content?variant=audio", None, {}, 400),
}


@pytest.mark.parametrize("case", HEADERS)
def test_what_is_wrong_around_the_body(way, case):
    method, path, body, headers, status = HEADERS[case]
    got = way.ask(method, path, body, headers)
    refused(way, got, status, "", got.json()["error"]["param"])


def test_a_body_that_is_not_as_long_as_announced(way):
    with pytest.raises(ConnectionError):
        way.ask("POST", "/videos", VIDEO, {"content-length": "5"})
    assert "5 announced" in way.fake.problems[0].message


KEYS = {
    "none": {"authorization": None},
    "basic": {"authorization": f"Basic {FAKE_KEY}"},
    "bare": {"authorization": FAKE_KEY},
    "small letters": {"authorization": f"bearer {FAKE_KEY}"},
    "two words": {"authorization": f"Bearer {FAKE_KEY} x"},
    "another vendor's": {"api-key": FAKE_KEY},
    "both": {**AUTH, "api-key": FAKE_KEY},
    "an ephemeral key": {"authorization": "Bearer ek_1"},
}


@pytest.mark.parametrize("case", KEYS)
def test_how_a_key_must_not_be_shown(way, case):
    headers = {name: value for name, value in KEYS[case].items() if value}
    got = way.run(way.send("GET", "/videos", headers, b""))
    refused(way, got, 401, "")


def test_a_wrong_key_is_no_violation(way):
    got = way.ask("GET", "/videos", key="sk-wrong-1")
    assert (got.status, got.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-wrong-1" not in got.body.decode()
    assert not way.fake.problems


def test_which_key_goes_with_which_offer(way):
    secret = way.ask("POST", "/realtime/client_secrets", MINT).json()["value"]
    sdp = {"content-type": "application/sdp"}
    body, headers = form(("sdp", OFFER, "application/sdp"), REALTIME)
    assert way.ask("POST", "/realtime/calls", OFFER, sdp).status == 401
    assert way.ask("POST", "/realtime/calls", body, headers, secret).status == 401
    assert len(way.fake.problems) == 2
    assert not way.fake.book.accepted("call")
    assert way.ask("POST", "/realtime/calls", OFFER, sdp, secret).status == 201
    assert way.ask("POST", "/realtime/calls", body, headers).status == 201
    assert [call.offer for call in way.fake.state.calls.values()] == [OFFER, OFFER]


def test_fields_that_are_allowed(way):
    assert way.ask("POST", "/videos", {**VIDEO, "x_vendor": 1}).status == 200
    way.fake.extra_fields = {"steps"}
    assert way.ask("POST", "/videos", {**VIDEO, "steps": 7}).status == 200
    assert json.loads(way.fake.seen[1].body) == way.fake.seen[1].document == {**VIDEO, "steps": 7}
    assert not way.fake.problems
