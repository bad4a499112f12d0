"""Ways to the fake upstream, and a tour of everything that it serves, for the tests of it."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
from attrs import field, frozen

from callsheet.body import Body
from callsheet.drive import finish
from callsheet.exchange import Outgoing
from callsheet.testing import FAKE_KEY, FakeUpstream

NOW = 1_780_000_000
OFFER = (
    b"v=0\r\no=- 4616 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    b"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n"
    b"a=fingerprint:sha-256 AA:BB\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
)
MP4 = b"\0\0\0\x18ftypmp42" + bytes(20)
AUTH = {"authorization": f"Bearer {FAKE_KEY}"}


@frozen
class Got:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[dict[str, Any]]:
        """The data of its events; that of [DONE] left out."""
        texts = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [json.loads(text) for text in texts if text != "[DONE]"]


Send = Callable[[str, str, dict[str, str], bytes], Awaitable[Got]]


@frozen
class Way:
    """One way to the fake. `send` takes method, path below the prefix, headers and body."""

    fake: FakeUpstream
    send: Send
    run: Callable[[Awaitable[Any]], Any]

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, key: str = FAKE_KEY
    ) -> Got:
        """Send one request and wait for the answer; `body` is a document, or bytes whose type `headers` tell."""
        return self.run(request(self.send, method, path, body, headers, key))


async def request(
    send: Send,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    key: str | None = FAKE_KEY,
) -> Got:
    sent = {"authorization": f"Bearer {key}"} if key else {}
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    if body is not None:
        sent |= {"content-type": "application/json", "content-length": str(len(content))}
    elif method != "GET":
        sent |= {"content-length": "0"}
    return await send(method, path, {**sent, **(headers or {})}, content)


def form(*parts: tuple[str, str | bytes] | tuple[str, str | bytes, str] | tuple[str, str | bytes, str, str]) -> Any:
    """A form's body and its headers. Each part: name, content, media type (or ""), filename."""
    pieces = []
    for name, content, *more in parts:
        head = f'--b0\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="{more[1]}"' if len(more) > 1 else ""
        head += f"\r\nContent-Type: {more[0]}" if more and more[0] else ""
        pieces.append(
            head.encode() + b"\r\n\r\n" + (content.encode() if isinstance(content, str) else content) + b"\r\n"
        )
    return b"".join(pieces) + b"--b0--\r\n", {"content-type": "multipart/form-data; boundary=b0"}


@contextmanager
def over_tcp(fake: FakeUpstream) -> Iterator[Way]:
    with fake.serve() as url, httpx.Client(timeout=10) as client:

        async def send(method: str, path: str, headers: dict[str, str], body: bytes) -> Got:
            answer = client.request(method, url + path, headers=headers, content=body or None)
            return Got(answer.status_code, dict(answer.headers), answer.content)

        yield Way(fake, send, finish)


def _in_process(transport: Any) -> Send:
    async def send(method: str, path: str, headers: dict[str, str], body: bytes) -> Got:
        content = Body([body], headers["content-type"]) if body else None
        url = "https://api.vendor.example" + transport.fake.prefix + path
        incoming = await transport.open(Outgoing(method, url, headers, content, time.monotonic() + 5))
        pieces = []
        while piece := await incoming.read(time.monotonic() + 5):
            pieces.append(piece)
        await incoming.aclose()
        return Got(incoming.status, dict(incoming.headers), b"".join(pieces))

    return send


@contextmanager
def blocking(fake: FakeUpstream) -> Iterator[Way]:
    yield Way(fake, _in_process(fake.blocking_transport()), finish)


def _awaited(backend: str) -> Any:
    @contextmanager
    def way(fake: FakeUpstream) -> Iterator[Way]:
        async def one(call: Awaitable[Any]) -> Any:
            return await call

        yield Way(fake, _in_process(fake.async_transport()), lambda call: anyio.run(one, call, backend=backend))

    return way


WAYS = {"tcp": over_tcp, "blocking": blocking, "asyncio": _awaited("asyncio"), "trio": _awaited("trio")}


def fresh(**options: Any) -> FakeUpstream:
    """A fake whose answers are the same each time."""
    return FakeUpstream(clock=lambda: NOW, **options)


async def tour(send: Send) -> list[tuple[str, Got]]:
    """One request (or more) of every route, each of which is right, in an order in which it makes sense."""
    found: list[tuple[str, Got]] = []

    async def ask(
        name: str, path: str, body: object = None, headers: Any = None, key: str = FAKE_KEY, **check: int
    ) -> Got:
        got = await request(send, name.partition(" ")[0], path, body, headers, key)
        assert got.status == check.get("status", 200), (name, got.body)
        found.append((name, got))
        return got

    await _videos(ask)
    await _realtime(ask)
    await _responses(ask)
    chat = {"model": "gpt-5.6-sol", "messages": [{"role": "user", "content": "Hello!"}]}
    await ask("POST /chat/completions", "/chat/completions", {**chat, "n": 2})
    options = {"include_usage": True}
    await ask("POST /chat/completions", "/chat/completions", {**chat, "stream": True, "stream_options": options})
    await ask("POST /chat/completions", "/chat/completions", {**chat, "stream": True, "n": 2})
    return found


async def _videos(ask: Any) -> None:
    body, headers = form(("name", "Mossy"), ("video", MP4, "video/mp4", "mossy.mp4"))
    character = (await ask("POST /videos/characters", "/videos/characters", body, headers)).json()
    await ask("GET /videos/characters/{character_id}", f"/videos/characters/{character['id']}")
    cast = [{"id": character["id"]}]
    whole = {"model": "sora-2", "prompt": "Mossy runs", "seconds": "8", "size": "1280x720", "characters": cast}
    first = (await ask("POST /videos", "/videos", whole)).json()
    body, headers = form(("prompt", "a cat"), ("input_reference", b"\x89PNG", "image/png", "a.png"))
    second = (await ask("POST /videos", "/videos", body, headers)).json()
    for id in (first["id"], first["id"], second["id"]):
        await ask("GET /videos/{video_id}", f"/videos/{id}")
    await ask("GET /videos", "/videos")
    await ask("GET /videos", f"/videos?limit=1&order=asc&after={first['id']}")
    for query in ("", "?variant=thumbnail", "?variant=spritesheet"):
        await ask("GET /videos/{video_id}/content", f"/videos/{first['id']}/content{query}")
    part = {"range": "bytes=10-19"}
    await ask("GET /videos/{video_id}/content", f"/videos/{first['id']}/content", headers=part, status=206)
    await ask("POST /videos/{video_id}/remix", f"/videos/{first['id']}/remix", {"prompt": "again"})
    reference = {"video": {"id": first["id"]}, "prompt": "at night"}
    await ask("POST /videos/edits", "/videos/edits", reference)
    extended = (await ask("POST /videos/extensions", "/videos/extensions", {**reference, "seconds": "4"})).json()
    assert extended["seconds"] == "12"
    for spelled in (("video[id]", first["id"]), ("video", json.dumps({"id": first["id"]}))):
        body, headers = form(("prompt", "on"), spelled, ("seconds", "4"))
        await ask("POST /videos/extensions", "/videos/extensions", body, headers)
    body, headers = form(("prompt", "on"), ("video", MP4, "video/mp4", "v.mp4"))
    await ask("POST /videos/edits", "/videos/edits", body, headers)
    await ask("DELETE /videos/{video_id}", f"/videos/{first['id']}")


async def _realtime(ask: Any) -> None:
    audio = {"output": {"voice": "marin"}}
    wish = {
        "session": {"type": "realtime", "model": "gpt-realtime-2.1", "audio": audio},
        "expires_after": {"seconds": 60},
    }
    secret = (await ask("POST /realtime/client_secrets", "/realtime/client_secrets", wish)).json()
    heard = {"session": {"type": "transcription"}}
    await ask("POST /realtime/client_secrets", "/realtime/client_secrets", heard)
    sdp = {"content-type": "application/sdp"}
    made = await ask("POST /realtime/calls", "/realtime/calls", OFFER, sdp, secret["value"], status=201)
    session = '{"type":"realtime","model":"gpt-realtime-2.1"}'
    body, headers = form(("sdp", OFFER, "application/sdp"), ("session", session, "application/json"))
    await ask("POST /realtime/calls", "/realtime/calls", body, headers, status=201)
    id = made.headers["location"].rpartition("/")[2]
    await ask("POST /realtime/calls/{call_id}/hangup", f"/realtime/calls/{id}/hangup")


async def _responses(ask: Any) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"role": "assistant", "phase": "commentary", "content": "Let me think."},
        {"type": "item_reference", "id": "msg_1"},
    ]
    told = (await ask("POST /responses", "/responses", {"model": "gpt-5.6-sol", "input": items})).json()
    await ask("GET /responses/{response_id}", f"/responses/{told['id']}")
    await ask("GET /responses/{response_id}", f"/responses/{told['id']}?stream=true&starting_after=3")
    await ask("GET /responses/{response_id}/input_items", f"/responses/{told['id']}/input_items?order=asc&limit=2")
    plain = {"model": "gpt-5.6-sol", "input": "Hi", "stream": True, "store": False}
    await ask("POST /responses", "/responses", plain)
    await ask("POST /responses", "/responses", {**plain, "stream_options": {"include_obfuscation": False}})
    later = (await ask("POST /responses", "/responses", {"model": "m", "input": "Hi", "background": True})).json()
    await ask("GET /responses/{response_id}", f"/responses/{later['id']}")
    await ask("POST /responses/{response_id}/cancel", f"/responses/{later['id']}/cancel")
    await ask("DELETE /responses/{response_id}", f"/responses/{told['id']}")
