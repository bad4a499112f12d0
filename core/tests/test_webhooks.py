"""Webhooks: what is genuine is accepted, and nothing else; two other implementations agree."""

from __future__ import annotations

import base64
import hmac
import json
import pickle
import time
import traceback
from collections.abc import Callable
from email.message import Message
from typing import Any

import httpx
import pytest
from attrs.exceptions import FrozenInstanceError
from pydantic import SecretStr
from starlette.datastructures import Headers as StarletteHeaders

import callsheet
from callsheet import ConfigurationError, WebhookVerificationError
from callsheet.webhooks import RealtimeCallEvent, ResponseEvent, VideoEvent, WebhookEvent, sign, verify

# A known delivery, whose signature the OpenAI SDK accepts.
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ID = "wh_685342e6c53c8190a1be43f081506c52"
AT = 1758941485
BODY = b'{"id":"evt_abc123","object":"event","created_at":1758941485,"type":"video.completed","data":{"id":"video_abc123"}}'
SIGNATURE = "v1,CX3giUz218kLb/Gds9X2kKKgbodGYNfHYXLopkHcx6o="
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}
OTHER = "whsec_" + base64.b64encode(b"another key").decode()


def refused(code: str, headers: Any = HEADERS, body: Any = BODY, secret: Any = SECRET, **keywords: Any) -> Any:
    with pytest.raises(WebhookVerificationError) as caught:
        verify(headers, body, secret, **{"now": AT, **keywords})
    assert caught.value.code == code
    assert caught.value.status_code == 400
    return caught.value


def delivered(document: object, **keywords: Any) -> WebhookEvent:
    body = json.dumps(document)
    return verify(sign(body, SECRET, webhook_id=ID, timestamp=AT), body, SECRET, now=AT, **keywords)


def test_the_known_delivery():
    event = verify(HEADERS, BODY, SECRET, now=AT)
    assert isinstance(event, VideoEvent)
    assert (event.type, event.video_id, event.resource_id) == ("video.completed", "video_abc123", "video_abc123")
    assert (event.id, event.object, event.created_at) == ("evt_abc123", "event", AT)
    assert (event.webhook_id, event.timestamp, event.data) == (ID, AT, {"id": "video_abc123"})
    assert event.raw == json.loads(BODY)
    assert sign(BODY, SECRET, webhook_id=ID, timestamp=AT) == HEADERS


# Headers, as frameworks give them.


def message(pairs: list[tuple[str, str]]) -> Message:
    made = Message()
    for name, value in pairs:
        made[name] = value
    return made


RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@pytest.mark.parametrize(
    "headers",
    [
        {name.title(): value for name, value in HEADERS.items()},
        {name.upper().encode(): value.encode() for name, value in HEADERS.items()},
        list(HEADERS.items()),
        iter(RAW),
        StarletteHeaders(raw=RAW),
        httpx.Headers(HEADERS),
        message(list(HEADERS.items())),
        {**HEADERS, "x-other": 3, "webhook-idea": ["?"]},
        [*HEADERS.items(), ("WEBHOOK-ID", ID)],
        [*HEADERS.items(), ("Webhook-Id", None), (b"webhook-id", ID.encode())],
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_headers_of_any_framework(headers: Any):
    assert verify(headers, BODY, SECRET, now=AT).webhook_id == ID


def test_names_and_ids_beyond_ascii():
    assert (
        refused("missing_header", {**HEADERS, "webhook-id": None, "WEBHOO\N{KELVIN SIGN}-ID": ID}).param == "webhook-id"
    )
    for id, read in (("wh_\ud800", "wh_\udced\udca0\udc80"), ("wh_é", "wh_é"), (b"wh_\xe9", "wh_\udce9")):
        signed = sign(BODY, SECRET, webhook_id=id, timestamp=AT)
        assert verify(signed, BODY, SECRET, now=AT).webhook_id == read


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [None, "", b""])
def test_a_missing_or_empty_header(name: str, value: Any):
    assert refused("missing_header", {**HEADERS, name: value}).param == name
    assert refused("missing_header", [pair for pair in HEADERS.items() if pair[0] != name]).param == name
    refused("missing_header", [])


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("other", ["x", "", str(AT + 1), "v1,AAAA"])
@pytest.mark.parametrize("first", [True, False])
def test_a_header_with_two_values(name: str, other: str, first: bool):
    """Whichever comes first: another reader of the request might take the other one."""
    more = (name.title(), other)
    pairs = [more, *HEADERS.items()] if first else [*HEADERS.items(), more]
    assert refused("missing_header", pairs).param == name


@pytest.mark.parametrize(
    "timestamp",
    ["12.0", " 12 ", "+12", "-12", "1e3", "1_000", "١٢", "½", "x", "NaN", "inf", "0x10", "12\n", "\ud800", "9" * 21, "9" * 5000],
)  # fmt: skip
def test_a_timestamp_that_is_no_number(timestamp: str):
    assert refused("bad_timestamp", {**HEADERS, "webhook-timestamp": timestamp}).param == "webhook-timestamp"
    signed = sign(BODY, SECRET, webhook_id=ID, timestamp=AT) | {"webhook-timestamp": f" {AT}"}
    refused("bad_timestamp", signed)  # though it is the right one, but for a space


def test_tolerance_to_the_very_second():
    for now in (AT + 300, AT - 300, AT + 299.99, AT - 299.99):
        verify(HEADERS, BODY, SECRET, now=now)
    assert "300 s ago" in refused("too_old", now=AT + 300.001).message
    assert refused("too_new", now=AT - 300.001).param == "webhook-timestamp"
    verify(HEADERS, BODY, SECRET, now=AT, tolerance=0)
    refused("too_old", now=AT + 1, tolerance=0.5)
    refused("too_new", now=AT - 1, tolerance=0.5)
    verify(HEADERS, BODY, SECRET, now=AT * 3, tolerance=float("inf"))
    refused("too_old", tolerance=float("nan"))
    refused("too_old", tolerance=-1)
    refused("too_new", {**HEADERS, "webhook-timestamp": "9" * 20})
    refused("too_old", {**HEADERS, "webhook-timestamp": "0"})


def test_the_clock_is_this_machines():
    now = int(time.time())
    for at, code in ((now - 400, "too_old"), (now + 400, "too_new")):
        refused(code, sign(BODY, SECRET, webhook_id=ID, timestamp=at), now=None)
    assert verify(sign(BODY, SECRET, webhook_id=ID, timestamp=now), BODY, SECRET).timestamp == now


# Signatures.

BARE = SIGNATURE.removeprefix("v1,")


@pytest.mark.parametrize(
    "signature",
    [
        "v1,", "v1", ",", " ", "v1,,", BARE, f",{BARE}", f"v1a,{BARE}", f"V1,{BARE}", f"v2,{BARE}", f"v1 {BARE}",
        f"v1,{BARE.rstrip('=')}", f"{SIGNATURE}=", f"v1,{BARE[:-2]}p=", f"v1, {BARE}", f"v1,{BARE[:9]} {BARE[9:]}",
        f"v1,{BARE[:9]}\n{BARE[9:]}", f"{SIGNATURE},{SIGNATURE}", f"{SIGNATURE}\x00", f"v1,{BARE.replace('/', '_')}",
        "v1,é", "v1,\ud800", f"v1,{BARE[:-1]}＝", "v1,٣" * 999, b"v1,\xff\xfe", f"v1,{BARE.lower()}",
    ],
)  # fmt: skip
def test_signatures_that_are_none(signature: Any):
    refused("bad_signature", {**HEADERS, "webhook-signature": signature})
    more = signature + (f" {SIGNATURE}".encode() if isinstance(signature, bytes) else f" {SIGNATURE}")
    verify({**HEADERS, "webhook-signature": more}, BODY, SECRET, now=AT)  # nor are they in the way of one


def test_two_signatures_in_either_order():
    old, new = (sign(BODY, key, webhook_id=ID, timestamp=AT)["webhook-signature"] for key in (SECRET, OTHER))
    for signatures in (f"{old} {new}", f"{new} {old}", f"v1a,{'A' * 86}== {new}  {old}"):
        for secret in (SECRET, OTHER):
            assert verify({**HEADERS, "webhook-signature": signatures}, BODY, secret, now=AT)
    both = sign(BODY, [SECRET, OTHER], webhook_id=ID, timestamp=AT)
    assert both["webhook-signature"] == f"{old} {new}"


def test_several_secrets():
    for secrets in ([SECRET, OTHER], (OTHER, SECRET), {OTHER, SECRET}, iter([OTHER, SecretStr(SECRET)])):
        assert verify(HEADERS, BODY, secrets, now=AT)
    refused("bad_signature", secret=[OTHER, "whsec_AAAA"])


def test_one_byte_that_is_another():
    """All of them, and all others: of body, id, timestamp and signature."""
    signed = [*HEADERS.values()]
    for place, good in enumerate([*(value.encode() for value in signed), BODY]):
        for index in range(len(good)):
            for change in range(1, 256):
                parts: list[Any] = [*signed, BODY]
                parts[place] = good[:index] + bytes([good[index] ^ change]) + good[index + 1 :]
                with pytest.raises(WebhookVerificationError):
                    verify(zip(HEADERS, parts[:3], strict=True), parts[3], SECRET, now=AT)


def test_a_signature_is_compared_in_constant_time_and_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[object, object]] = []

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", spy)
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("decoded what nobody has signed"))
    refused("bad_signature", {**HEADERS, "webhook-signature": "v1,é v1,AAAA"}, secret=[SECRET, OTHER])
    assert len(compared) == 4
    assert {type(one) for pair in compared for one in pair} == {bytes}


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"3", b"{", b"{} {}", b"\xff{}", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"a":NaN}',
        b'{"a":-Infinity}', b'{"a":' * 100_000, b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", '{"a":"\ud800"}', b'{"a":1e9999}',
        b'{"a":-1e99999999999999999999}',
    ],
    ids=range(18),
)  # fmt: skip
def test_a_body_that_is_no_object(body: Any):
    refused("bad_body", sign(body, SECRET, webhook_id=ID, timestamp=AT), body)
    refused("bad_signature", HEADERS, body)


def test_a_body_in_its_kinds():
    big = b'{"id":"evt_1","new":1e400}'
    assert verify(sign(big, SECRET, webhook_id=ID, timestamp=AT), big, SECRET, now=AT).raw["new"] == 10**400
    for body in (BODY.decode(), bytearray(BODY), memoryview(BODY)):
        assert verify(HEADERS, body, SECRET, now=AT).id == "evt_abc123"
    refused("bad_signature", body="{\ud800}")
    for decoded in (json.loads(BODY), [BODY], None, 3):
        with pytest.raises(TypeError, match="pass the raw bytes"):
            verify(HEADERS, decoded, SECRET, now=AT)
        with pytest.raises(TypeError, match="pass the raw bytes"):
            sign(decoded, SECRET, webhook_id=ID, timestamp=AT)


@pytest.mark.parametrize(
    "headers", [None, 3, {**HEADERS, "webhook-id": [ID]}, {**HEADERS, "webhook-id": 3}, [(3, "x")]]
)
def test_headers_that_are_none(headers: Any):
    with pytest.raises(TypeError):
        verify(headers, BODY, SECRET, now=AT)


# Secrets.


def test_a_secret_in_its_kinds():
    key = b"0123456789abcdef0123456789abcdef"
    for secret in (SECRET.encode(), SecretStr(SECRET), SECRET.rstrip("="), key, key.decode(), SecretStr(key.decode())):
        assert verify(HEADERS, BODY, secret, now=AT)
    refused("bad_signature", secret=SECRET.removeprefix("whsec_"))


@pytest.mark.parametrize(
    "secret",
    [
        None, "", b"", SecretStr(""), "whsec_", b"whsec_", [], (), [""], [SECRET, ""], [SECRET, None], "whsec_=", "whsec_A",
        "whsec_AAAAA", "whsec_AA AA", "whsec_AAAA\n", " whsec_AAAA"[1:] + " ", "whsec_AA-_", "whsec_é", "whsec_\u0661AAA",
        "\udc80", SecretStr("x\ud800"), "whsec_AA==AA", "whsec_AA======",
    ],
    ids=repr,
)  # fmt: skip
def test_a_secret_that_is_none(secret: Any):
    """The operator's fault, whatever the request is like."""
    for attempt in (lambda: verify({}, b"", secret), lambda: sign(BODY, secret, webhook_id=ID, timestamp=AT)):
        with pytest.raises(ConfigurationError, match="webhook secret") as caught:
            attempt()
        assert caught.value.status_code == 500
        assert caught.value.__context__ is None


@pytest.mark.parametrize("secret", [3, [3], [[SECRET]], 0, object()])
def test_a_secret_of_the_wrong_type(secret: Any):
    with pytest.raises(TypeError, match="a webhook secret is a str"):
        verify(HEADERS, BODY, secret, now=AT)


CANARY = "canary-7d1f"
CANARY_BODY = json.dumps({"canary": CANARY}).encode()
CANARY_SECRET = "whsec_" + base64.b64encode(CANARY.encode()).decode()
SIGNED = sign(CANARY_BODY, CANARY_SECRET, webhook_id=ID, timestamp=AT)
CANARY_LIST = f"[{json.dumps(CANARY)}".encode()
UNDECODABLE = [f"whsec_{CANARY}", f"{CANARY}\ud800", f"whsec_{CANARY}é"]
LEAKS: list[tuple[Any, ...]] = [
    (SIGNED, CANARY_BODY, OTHER, AT),
    (SIGNED, CANARY_BODY + b" ", CANARY_SECRET, AT),
    (SIGNED, CANARY_BODY, CANARY_SECRET, AT + 999),
    (SIGNED, CANARY_BODY, CANARY_SECRET, AT - 999),
    ({**SIGNED, "webhook-timestamp": CANARY}, CANARY_BODY, CANARY_SECRET, AT),
    ({**SIGNED, "webhook-id": ""}, CANARY_BODY, CANARY_SECRET, AT),
    ([*SIGNED.items(), ("webhook-signature", CANARY)], CANARY_BODY, CANARY_SECRET, AT),
    ({**SIGNED, "webhook-signature": CANARY + "é\ud800"}, CANARY_BODY, CANARY_SECRET, AT),
    (sign(CANARY_LIST, CANARY_SECRET, webhook_id=ID, timestamp=AT), CANARY_LIST, CANARY_SECRET, AT),
    (SIGNED, json.loads(CANARY_BODY), CANARY_SECRET, AT),
    (SIGNED, CANARY_BODY, [CANARY_SECRET, 3], AT),
    *((SIGNED, CANARY_BODY, secret, AT) for secret in UNDECODABLE),
]


@pytest.mark.parametrize("case", range(len(LEAKS)))
def test_no_secret_signature_or_body_in_an_error(case: int):
    headers, body, secret, now = LEAKS[case]
    with pytest.raises((WebhookVerificationError, ConfigurationError, TypeError)) as caught:
        verify(headers, body, secret, now=now)
    error = caught.value
    assert error.__context__ is None  # a decoding error holds what it could not decode
    shown = "".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])
    for hidden in (CANARY, CANARY_SECRET[6:], SIGNED["webhook-signature"][3:]):
        assert hidden not in shown


# Events.

KINDS: list[tuple[str, dict[str, Any], type[WebhookEvent], Callable[[Any], object]]] = [
    *((f"video.{end}", {"id": "v1"}, VideoEvent, lambda e: e.video_id == "v1") for end in ("completed", "failed")),
    *(
        (f"response.{end}", {"id": "r1"}, ResponseEvent, lambda e: e.response_id == "r1")
        for end in ("completed", "failed", "cancelled", "incomplete")
    ),
    ("realtime.call.incoming", {"call_id": "c1"}, RealtimeCallEvent, lambda e: (e.call_id, e.sip_headers) == ("c1", ())),
    *(
        (type, {"id": "x1"}, WebhookEvent, lambda e: e.resource_id == "x1")
        for type in ("batch.completed", "fine_tuning.job.succeeded", "eval.run.failed", "video.born", "response.x", "", "x")
    ),
    # Not what its type promises: kept, but plain.
    ("video.completed", {"id": 3}, WebhookEvent, lambda e: e.resource_id is None),
    ("video.completed", {}, WebhookEvent, lambda e: e.data == {}),
    ("realtime.call.incoming", {"id": "c1"}, WebhookEvent, lambda e: e.resource_id == "c1"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "data", "kind", "reads"), KINDS)
def test_kinds_of_events(type_: str, data: dict[str, Any], kind: type[WebhookEvent], reads: Callable[[Any], object]):
    document = {"type": type_, "data": data, "new": [1, 2**70, "\ud800", 1.5]}
    event = delivered(document)
    assert type(event) is kind
    assert reads(event)
    assert event.raw == document
    assert (event.type, event.data, event.webhook_id, event.timestamp) == (type_, data, ID, AT)


def test_match():
    def what(event: WebhookEvent) -> str:
        match event:
            case VideoEvent(type="video.completed", video_id=id):
                return f"done {id}"
            case VideoEvent():
                return "failed"
            case _:
                return "other"

    data = {"id": "v1"}
    found = [what(delivered({"type": t, "data": data})) for t in ("video.completed", "video.failed", "batch.failed")]
    assert found == ["done v1", "failed", "other"]


@pytest.mark.parametrize("odd", [None, 3, True, 1.5, [], {}, ["x"], {"id": None}])
def test_odd_fields_are_nothing(odd: Any):
    event = delivered(dict.fromkeys(("id", "type", "created_at", "object", "data"), odd))
    assert type(event) is WebhookEvent
    assert (event.id, event.type, event.object, event.resource_id) == (None, "", None, None)
    assert event.created_at == (3 if odd == 3 else None)
    assert event.data == (odd if isinstance(odd, dict) else {})
    assert event.raw["type"] == odd


def test_sip_headers():
    listed = [
        {"name": "From", "value": "a"}, {"name": "Via", "value": "1"}, {"name": "Via", "value": "2"}, "x", {"name": "To"},
        {"name": 3, "value": "b"}, None, {"name": "To", "value": None}, {"name": "", "value": ""},
    ]  # fmt: skip
    for given_, wanted in (
        (listed, (("From", "a"), ("Via", "1"), ("Via", "2"), ("", ""))),
        ("ab", ()),
        ({}, ()),
        (None, ()),
    ):
        event = delivered({"type": "realtime.call.incoming", "data": {"call_id": "c", "sip_headers": given_}})
        assert isinstance(event, RealtimeCallEvent)
        assert event.sip_headers == wanted


def test_an_event_is_a_value():
    event = verify(HEADERS, BODY, SECRET, now=AT)
    same = verify(HEADERS, BODY, [OTHER, SECRET], now=AT + 1)
    assert event == same == pickle.loads(pickle.dumps(event))
    assert hash(event) == hash(same)
    assert repr(event) == f"VideoEvent(type='video.completed', id='evt_abc123', webhook_id='{ID}')"
    with pytest.raises(FrozenInstanceError):
        event.webhook_id = "x"
    assert issubclass(WebhookVerificationError, callsheet.CallsheetError)
