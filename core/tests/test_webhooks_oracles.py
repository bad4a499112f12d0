"""Webhooks beside two other implementations, on anything at all, and over a real connection."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from core.tests.test_webhooks import AT, BODY, HEADERS, ID, SECRET
from hypothesis import example, given
from hypothesis import strategies as st
from openai import OpenAI
from standardwebhooks import Webhook
from standardwebhooks.webhooks import hmac_data

from callsheet import ConfigurationError, WebhookVerificationError
from callsheet.webhooks import sign, verify

KEYS = st.binary(min_size=1, max_size=100).filter(lambda key: not key.startswith(b"whsec_"))
IDS = st.text(min_size=1)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.builds(
    lambda document, plain: json.dumps(document, ensure_ascii=plain).encode(),
    st.dictionaries(st.text(), VALUES, max_size=4),
    st.booleans(),
)


def prefixed(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def now() -> int:
    return int(time.time())


@pytest.fixture(scope="module")
def sdk() -> Iterator[OpenAI]:
    with OpenAI(api_key="sk-none", base_url="http://127.0.0.1:9") as client:
        yield client


@given(KEYS, IDS, DOCUMENTS)
@example(b"\0", "é.1", b"{}")
def test_theirs_verify_with_ours(key: bytes, id: str, body: bytes):
    at = now()
    signature = Webhook(key).sign(id, datetime.fromtimestamp(at, UTC), body.decode())
    headers = {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": signature}
    for secret in (prefixed(key), key):
        event = verify(headers, body, secret)
        assert event.raw == json.loads(body)
        assert (event.webhook_id, event.timestamp) == (id, at)


@given(KEYS, IDS, DOCUMENTS)
@example(b"\0", "é.1", b"{}")
def test_ours_verify_with_theirs(sdk: OpenAI, key: bytes, id: str, body: bytes):
    headers = sign(body, prefixed(key), webhook_id=id, timestamp=now())
    assert Webhook(prefixed(key)).verify(body, headers) == json.loads(body)
    sdk.webhooks.verify_signature(body, headers, secret=prefixed(key))


@given(st.text(min_size=1).filter(lambda secret: not secret.startswith("whsec_")), DOCUMENTS)
def test_a_secret_without_prefix(sdk: OpenAI, secret: str, body: bytes):
    headers = sign(body, secret, webhook_id=ID, timestamp=now())
    sdk.webhooks.verify_signature(body, headers, secret=secret)
    Webhook(secret.encode()).verify(body, headers)


@given(KEYS, IDS, st.binary(), st.integers(0, 10**15))
def test_any_bytes(key: bytes, id: str, body: bytes, at: int):
    """The other two want text; their HMAC does not."""
    wanted = base64.b64encode(hmac_data(key, b"%s.%d.%s" % (id.encode(), at, body))).decode()
    headers = sign(body, prefixed(key), webhook_id=id, timestamp=at)
    assert headers == {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{wanted}"}
    try:
        document = json.loads(body.decode())
    except ValueError:
        document = None
    if isinstance(document, dict):
        assert verify(headers, body, key, now=at).raw == document
    else:
        with pytest.raises(WebhookVerificationError) as caught:
            verify(headers, body, key, now=at)
        assert caught.value.code == "bad_body"


def test_the_sdk_reads_the_same(sdk: OpenAI):
    body = json.dumps(
        {"id": "evt_1", "type": "response.completed", "created_at": 1719168000, "data": {"id": "resp_abc123"}}
    )
    headers = sign(body, SECRET, webhook_id=ID, timestamp=now())
    theirs, ours = sdk.webhooks.unwrap(body, headers, secret=SECRET), verify(headers, body, SECRET)
    assert (theirs.id, theirs.type, theirs.created_at) == (ours.id, ours.type, ours.created_at)
    assert theirs.type == "response.completed"
    assert theirs.data.id == ours.resource_id


@given(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "body"]), st.data())
def test_what_passes_was_signed(place: str, data: st.DataObject):
    """A change of any kind to one part: it passes only where it left the signature whole, among others maybe."""
    parts = {**HEADERS, "body": BODY.decode()}
    text = parts[place]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 3, len(text))))
    parts[place] = text[:start] + data.draw(st.text(max_size=3)) + text[end:]
    body = parts.pop("body")
    try:
        verify(parts, body, SECRET, now=AT)
    except WebhookVerificationError:
        return
    assert HEADERS["webhook-signature"] in parts.pop("webhook-signature").split(" ")
    assert (parts["webhook-id"], parts["webhook-timestamp"], body) == (ID, str(AT), BODY.decode())


ANY_TEXT = st.text(st.characters()) | st.text(st.characters(categories=["Cs", "Nd", "Zs"])) | st.binary()
NAMES = st.sampled_from([*HEADERS, *(name.encode().upper() for name in HEADERS)]) | ANY_TEXT
ENTRIES = st.lists(st.tuples(st.sampled_from(["v1,", "v1", "v1a,", "", ","]), st.text(st.characters()))).map(
    lambda entries: " ".join(version + signature for version, signature in entries)
)


@given(
    st.lists(st.tuples(NAMES, ANY_TEXT | ENTRIES)).map(lambda more: [*HEADERS.items(), *more])
    | st.dictionaries(NAMES, ANY_TEXT)
    | st.builds(lambda signature: {**HEADERS, "webhook-signature": signature}, ENTRIES | ANY_TEXT)
    | st.builds(lambda name, value: {**HEADERS, name: value}, NAMES, ANY_TEXT),
    ANY_TEXT,
)
def test_nothing_else_comes_out(headers: Any, body: str | bytes):
    with pytest.raises(WebhookVerificationError) as caught:
        verify(headers, body, SECRET, now=AT)
    assert caught.value.code in {"missing_header", "bad_timestamp", "too_old", "too_new", "bad_signature"}
    assert caught.value.__context__ is None


@given(ANY_TEXT | st.text("AQw0+/=-_ ").map("whsec_".__add__))
def test_any_secret_is_a_key_or_a_configuration_error(secret: str | bytes):
    try:
        headers = sign(BODY, secret, webhook_id=ID, timestamp=AT)
    except ConfigurationError:
        with pytest.raises(ConfigurationError):
            verify(HEADERS, BODY, secret, now=AT)
    else:
        assert verify(headers, BODY, secret, now=AT).webhook_id == ID


def test_an_endpoint_of_http_server():
    """Its headers are a Message, and bytes beyond ASCII come as Latin-1."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                verify(self.headers, body, SECRET)
                self.send_response(204)
            except WebhookVerificationError as error:
                self.send_response(error.status_code or 0, error.code)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    def post(extra: list[tuple[str, bytes]]) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        try:
            connection.putrequest("POST", "/webhooks")
            for name, value in [("Content-Length", b"%d" % len(BODY)), *extra]:
                connection.putheader(name, value)
            connection.endheaders(BODY)
            with connection.getresponse() as answer:
                return answer.status, answer.reason
        finally:
            connection.close()

    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            good = [
                (name.title(), value.encode())
                for name, value in sign(BODY, SECRET, webhook_id=ID, timestamp=now()).items()
            ]
            assert post(good) == (204, "No Content")
            assert post(good[:2]) == (400, "missing_header")
            assert post([*good, ("webhook-id", b"wh_other")]) == (400, "missing_header")
            assert post([*good[:2], ("Webhook-Signature", b"v1,\xc3\xa9\xff")]) == (400, "bad_signature")
            assert post([("Webhook-Id", "wh_é".encode()), *good[1:]]) == (400, "bad_signature")
        finally:
            server.shutdown()
            thread.join()
