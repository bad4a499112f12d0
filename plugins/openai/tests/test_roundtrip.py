"""What an answer holds goes back as it came: values equal to those on the wire, whatever they are; and any text arrives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

import pytest
from core.tests.conftest import Mode
from core.tests.server import Server, bytes_answer, json_answer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from plugins.openai.tests.calls import CALLS, CHAT, RESPONSE, serve, serve_all
from plugins.openai.tests.conftest import openai_client

from callsheet import APIResponseValidationError, BadRequestError, Client, NotFoundError
from callsheet.testing.multipart import parse_form

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec=None, exclude_categories=[]))  # lone surrogates among them
HUGE = st.integers(0, 4200).flatmap(lambda digits: st.sampled_from([10**digits, -(10**digits) + 1]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | HUGE | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ITEMS = st.dictionaries(TEXTS, VALUES, max_size=5)
ANY_CHARACTER = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


class Echo:
    """A client, and a server that answers it with what it is told: in responses, or in chat."""

    path, head, tail = "/v1/responses", '{"model":"m-1","input":', "}"

    def __init__(self, client: Client, server: Server) -> None:
        self.client, self.server = client, server

    def document(self) -> dict[str, Any]:
        """An answer, with a mark where the items belong."""
        return RESPONSE | {"output": "HERE"}

    def asked(self, items: Any) -> Any:
        """The items of the answer to these."""
        return self.client.responses(model="openai/m-1", input=items).output

    def answered(self, items: str) -> list[Any]:
        """The items of an answer whose items are this JSON text."""
        document = json.dumps(self.document()).replace('"HERE"', items)
        self.server.on(self.path, bytes_answer(document.encode(), content_type="application/json"))
        came: list[Any] = self.asked([])
        return came

    def sent(self, items: list[Any]) -> str:
        """How these items stand in the body of the next request."""
        self.server.seen.clear()
        self.asked(items)
        body = self.server.seen[0].body.decode("utf-8")
        assert body.startswith(self.head)
        assert body.endswith(self.tail)
        return body[len(self.head) : -len(self.tail)]


class ChatEcho(Echo):
    """The items are the parts of a message."""

    path = "/v1/chat/completions"
    head, tail = '{"model":"m-1","messages":[{"role":"assistant","refusal":null,"content":', "}]}"
    message: ClassVar[dict[str, Any]] = {"role": "assistant", "refusal": None, "content": "HERE"}

    def document(self) -> dict[str, Any]:
        return CHAT | {"choices": [{"index": 0, "message": self.message, "finish_reason": "stop"}]}

    def asked(self, items: Any) -> Any:
        messages = [{**self.message, "content": items}]
        return self.client.chat_completions(model="openai/m-1", messages=messages).choices[0]["message"]["content"]


@pytest.fixture(scope="module", params=[Echo, ChatEcho], ids=["responses", "chat"])
def each(request: pytest.FixtureRequest) -> Iterator[Echo]:
    with Server() as server, Client("openai/m-1", api_key="sk-any-0123", base_url=f"{server.url}/v1") as client:
        yield request.param(client, server)


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with Server() as server, Client("openai/m-1", api_key="sk-any-0123", base_url=f"{server.url}/v1") as client:
        yield Echo(client, server)


def exactly(text: str) -> str:
    """A JSON text's values, as a text that is equal for equal values in the same order, of the same types."""
    return json.dumps(json.loads(text))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items=st.lists(ITEMS, max_size=3), spelled=st.booleans())
@example(items=[{"n": [2**63, -0.0, 0.1, 1e22, 5e-324], "phase": None, "t": "\ud800\u2028\x00", "": {}}], spelled=True)
@example(items=[{"b": 1, "a": True, "c": 1.0, "d": [[[]]]}], spelled=False)
def test_items_go_back_as_they_came(each: Echo, items: list[Any], spelled: bool) -> None:
    wire = json.dumps(items, ensure_ascii=spelled or "\\ud" in json.dumps(items))
    came = each.answered(wire)
    assert json.dumps(came) == json.dumps(items)
    assert exactly(each.sent(came)) == exactly(wire)


@pytest.mark.parametrize(
    ("wire", "back"),
    [
        ('[{"n":1e400}]', '[{"n":1' + "0" * 400 + "}]"),
        ('[{"n":-12.5e400}]', '[{"n":-125' + "0" * 399 + "}]"),
        ('[{"n":9223372036854775808}]', None),
        ('[{"n":-0.0,"m":-0,"k":1e2,"j":1E-7}]', '[{"n":-0.0,"m":0,"k":100.0,"j":1e-07}]'),
        ('[{"t":"\\ud800"}]', None),
        ('[{"t":"a\\udfff\\ud83d\\ude00","\\udc00":1}]', None),
        ('[{"x":1,"y":2,"x":3}]', '[{"x":3,"y":2}]'),
        ('[{"phase":null}]', None),
        ("[{}]", None),
        ('[{"t":"é\u2028\U0001f98a"}]', None),
        ('[{"n":' + "7" * 4300 + "}]", None),
    ],
)
def test_pinned(each: Echo, wire: str, back: str | None) -> None:
    assert each.sent(each.answered(wire)) == (wire if back is None else back)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_arrives_and_does_not_go_back(echo: Echo, number: str) -> None:
    (item,) = echo.answered(f'[{{"n":{number}}}]')
    assert not math.isfinite(item["n"])
    assert repr(item["n"]) == repr(float(number))
    echo.server.seen.clear()
    with pytest.raises(BadRequestError, match="JSON"):
        echo.client.responses(model="openai/m-1", input=[item])
    with pytest.raises(BadRequestError, match="JSON"):
        echo.client.chat_completions(model="openai/m-1", messages=[item])
    assert echo.server.seen == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("wire", ["9" * 5000, "-" + "9" * 5000, "1e5000", "[" * 100_000])
def test_what_can_not_be_read_is_an_error_of_ours(each: Echo, wire: str) -> None:
    with pytest.raises(APIResponseValidationError):
        each.answered(f'[{{"n":{wire}}}]')


def test_null_is_not_absent(echo: Echo) -> None:
    document: dict[str, Any] = {"id": "r1", "output": [], "temperature": None}
    echo.server.on("/v1/responses", json_answer(document))
    response = echo.client.responses(model="openai/m-1", input="Hi", extra_body={"top_p": None, "x": None})
    assert list(response.wire()) == ["id", "output", "temperature"]
    assert response.get("top_p", "absent") == "absent"
    assert echo.server.seen[-1].json() == {"model": "m-1", "input": "Hi", "top_p": None, "x": None}
    echo.server.on("/v1/chat/completions", json_answer({**CHAT, "usage": None}))
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "x": None}]}
    completion = echo.client.chat_completions(model="openai/m-1", messages=[message])
    assert echo.server.seen[-1].json() == {"model": "m-1", "messages": [message]}
    assert completion.wire() == {**CHAT, "usage": None}


@settings(max_examples=40, deadline=None)
@given(text=ANY_CHARACTER)
@example(text='"; filename="x"\r\n\r\n--')
@example(text=" x \n")
@example(text="\x00\x7f\u2028\ufeff\U0001f98a\r\n\t'\\%22")
def test_any_text_arrives_unchanged(echo: Echo, text: str) -> None:
    serve_all(echo.server)
    client, seen, model = echo.client, echo.server.seen, "openai/m-1"
    seen.clear()
    client.create_character(name=text, video=(text.replace("\x00", "") + "x.mp4", b"film"))
    name, video = parse_form(seen[-1].headers["content-type"], seen[-1].body)
    assert (name.name, name.text, video.name, video.content) == ("name", text, "video", b"film")
    client.responses(model=model, input=text, instructions=text)
    assert seen[-1].json() == {"model": "m-1", "input": text, "instructions": text}
    client.mint_realtime_secret(session={"type": "realtime", "instructions": text})
    assert seen[-1].json()["session"]["instructions"] == text
    prompt = f"A {text}"
    client.generate_video(model=model, prompt=prompt, extra_body={text: text})
    assert seen[-1].json() == {
        "model": "m-1",
        "prompt": prompt,
        **({} if text in {"model", "prompt"} else {text: text}),
    }
    client.generate_video(model=model, prompt=prompt, input_reference=("a.png", b"png"))
    assert parse_form(seen[-1].headers["content-type"], seen[-1].body)[1].text == prompt
    film = "video_68f1a3c2b4d081909c5e"
    client.remix(video_id=film, prompt=prompt, provider="openai")
    assert seen[-1].json() == {"prompt": prompt}
    client.edit(video=film, prompt=prompt, provider="openai")
    assert seen[-1].json() == {"video": {"id": film}, "prompt": prompt}
    client.edit(video=("film.mp4", b"film"), prompt=prompt, model=model)
    assert {part.name: part.text for part in parse_form(seen[-1].headers["content-type"], seen[-1].body)}[
        "prompt"
    ] == prompt
    client.extend(video=film, prompt=prompt, seconds=8, provider="openai")
    assert seen[-1].json() == {"video": {"id": film}, "prompt": prompt, "seconds": "8"}
    messages = [{"role": "user", "content": text, "name": text}, {"role": "assistant", "content": None, text: text}]
    client.chat_completions(model=model, messages=messages)
    assert seen[-1].json() == {"model": "m-1", "messages": messages}


@settings(max_examples=40, deadline=None)
@given(id=ANY_CHARACTER.filter(lambda id: id not in {".", ".."}))
@example(id="a/../../b?c=d#e")
@example(id="%2e%2e")
def test_any_id_stays_one_segment(echo: Echo, id: str) -> None:
    echo.server.seen.clear()
    with pytest.raises(NotFoundError):  # nothing is served there
        echo.client.get_video(video_id=id, provider="openai")
    (seen,) = echo.server.seen
    start, _, segment = seen.target.rpartition("/")
    assert start == "/v1/videos"
    assert unquote_to_bytes(segment) == id.encode()
    assert not set("?#") & set(segment)


@pytest.mark.parametrize("name", CALLS)
def test_the_same_bytes_in_all_modes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the boundary, which is drawn for each request: so it is made to be the same."""
    monkeypatch.setattr("callsheet.body.secrets.token_hex", lambda size: "0" * 2 * size)
    with Server() as server:
        serve(server, name)
        for each in ("blocking", "asyncio", "trio"):
            mode = Mode(each)

            async def body(mode: Mode = mode) -> None:
                result = await CALLS[name].ask(openai_client(mode, f"{server.url}/v1"))
                if hasattr(result, "aclose"):
                    await result.aclose()

            mode.run(body)
        first, *others = [(seen.raw_head, seen.body) for seen in server.seen]
    assert others == [first, first]
