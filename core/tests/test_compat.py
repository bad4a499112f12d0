"""LiteLLM's names: what their keywords mean here, what comes back, and what is refused."""

import asyncio
import inspect
import io
import json

import pytest
from core.tests.echo import Echo, Events

from callsheet import (
    IO,
    APIError,
    APIResponseValidationError,
    BadRequestError,
    ChatCompletion,
    ConfigurationError,
    CreateCharacter,
    CreateChatCompletion,
    CreateResponse,
    Download,
    DownloadVideo,
    Event,
    Extend,
    GetCharacter,
    NotFoundError,
    ProviderSettings,
    Registry,
    Response,
    Stream,
    UnsupportedOperation,
    Video,
    client_base,
    default,
    hookimpl,
)
from callsheet.compat import calls, litellm
from callsheet.models import Character

CHUNKS = [
    {"choices": []},
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]


class Talker(Echo):
    """Says back what reached it, and in whose name."""

    class Settings(ProviderSettings):
        base_url: str | None = "http://127.0.0.1:9"

    closed: list[str] = []

    def close(self):
        self.closed.append(self._key(None))

    def _key(self, io):
        key = self.settings.api_key
        return key.get_secret_value() if key else "no key"

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        content = b"".join([piece async for piece in request.video.chunks(io.run)])
        return Character(id="char_1", name=f"{request.name}|{content.decode()}|{request.model}|{self._key(io)}")

    @hookimpl
    async def get_character(self, request: GetCharacter, io: IO) -> Character:
        return Character(id=request.character_id, name=self._key(io))

    @hookimpl
    async def extend(self, request: Extend, io: IO) -> Video:
        return Video(id="longer", status="queued", prompt=f"{request.video}|{request.seconds}")

    @hookimpl
    async def download_video(self, request: DownloadVideo, io: IO) -> Download:
        return Download(Events(b"by", b"tes", (request.variant or "").encode()))

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response | Stream:
        content = [{"type": "output_text", "text": json.dumps(request.input)}]
        message = {"type": "message", "role": "assistant", "phase": "final_answer", "content": content}
        raw = {"id": "r1", "object": "response", "output": [{"type": "reasoning"}, message], "big": 2**70}
        if request.stream:
            events = [Event.of("response.output_text.delta", {"delta": "Hel"})]
            return Stream(Events(*events, Event.of("response.completed", {"response": raw})))
        return Response(raw)

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        if request.stream:
            events = [Event("message", json.dumps(chunk)) for chunk in CHUNKS]
            if request.model == "torn":
                events[2:] = [Event("message", '{"error": {"message": "out of breath", "code": "tired"}}')]
            if request.model == "odd":
                events[2:] = [Event("message", "<html>")]
            return Stream(Events(*events, Event("message", "[DONE]")))
        message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {"name": "f"}}]}
        if request.messages[-1]["role"] != "user":
            message = {"role": "assistant", "content": json.dumps(request.messages[1:])}
        return ChatCompletion(
            {"id": "chatcmpl-1", "model": f"{request.model}|{self._key(io)}", "choices": [{"message": message}]}
        )


class Paid(Talker):
    embedded = False


@pytest.fixture(autouse=True)
def _providers(monkeypatch):
    registry = Registry(points=[], wraps=())
    registry.register("free", Talker)
    registry.register("paid", Paid)
    monkeypatch.setattr(client_base, "_registry", registry)
    monkeypatch.setattr(default, "_client", None)
    monkeypatch.setattr(calls, "_clients", calls._Clients())
    Talker.closed.clear()


def in_both_ways(name, *arguments, **keywords):
    """Call a function and its awaited twin; both must answer the same."""
    one = getattr(litellm, name)(*arguments, **keywords)
    other = asyncio.run(getattr(litellm, f"a{name}")(*arguments, **keywords))
    assert one == other
    return one


def test_every_function_has_a_twin_with_the_same_arguments():
    functions = [name for name in litellm.__all__ if name.islower()]
    assert len(functions) == 24
    for name in functions:
        twin = getattr(litellm, f"a{name}", None)
        if twin is None:
            continue
        plain = getattr(litellm, name)
        assert inspect.iscoroutinefunction(twin)
        assert not inspect.iscoroutinefunction(plain)
        assert inspect.signature(plain).parameters == inspect.signature(twin).parameters
        assert inspect.getdoc(plain)
    assert litellm.avideo is litellm.avideo_generation


def test_the_provider_is_the_keywords_the_models_the_ids_or_the_default(tmp_path):
    (tmp_path / "luna.mp4").write_bytes(b"clip")
    with open(tmp_path / "luna.mp4", "rb") as clip:
        luna = litellm.video_create_character(name="Luna", video=clip, custom_llm_provider="paid", model="sora-2")
    assert luna.name == "Luna|clip|sora-2|no key"
    assert luna.id.startswith("character_")
    assert luna.meta.provider == "paid"
    assert in_both_ways("video_get_character", luna.id).meta.provider == "paid"
    scene = in_both_ways("video", model="sora-2", prompt="Luna", characters=[{"id": luna.id}], seconds="8")
    assert (scene.meta.provider, scene.model, scene.status) == ("paid", "sora-2", "queued")
    assert litellm.video("a fox").meta.provider == "free"
    assert litellm.video("a fox", "paid/film").model == "film"
    longer = in_both_ways("video_extension", video_id=scene.id, prompt="Luna waves", seconds="5")
    assert longer.prompt == "id='v;1'|5"
    assert in_both_ways("video_edit", scene.id, "warmer").prompt == "v;1"
    assert in_both_ways("video_status", scene.id).status == "completed"
    assert [type(video) for video in in_both_ways("video_list", limit=2)] == [Video, Video]
    raw = in_both_ways("video_get_character", character_id="char_abc", custom_llm_provider="paid")
    assert raw.meta.provider == "paid"


def test_content_is_bytes():
    scene = litellm.video("a fox", target_model_names=["free/x"])
    assert in_both_ways("video_content", scene.id) == b"bytes"
    assert in_both_ways("video_content", video_id=scene.id, variant="thumbnail") == b"bytesthumbnail"


def test_a_key_or_an_address_is_a_client_of_its_own_with_the_same_ids():
    def clip():
        return io.BytesIO(b"c")

    luna = litellm.video_create_character("L", clip(), api_key="k1", custom_llm_provider="paid")
    assert luna.name.endswith("|k1")
    assert litellm.video_get_character(luna.id, api_key="k2").name == "k2"  # the id says which provider
    assert asyncio.run(litellm.avideo_get_character(luna.id, api_key="k3")).name == "k3"
    assert litellm.completion("paid/m", [{"role": "user"}], api_base="http://localhost:9", api_key="k4").model == "m|k4"
    for characters in ([{"id": luna.id}], [luna.id], (luna,)):
        assert litellm.video("Luna", characters=characters, api_key="k2").meta.provider == "paid"
    with pytest.raises(ConfigurationError, match=r"^api_key: say for which provider.* or custom_llm_provider='...'$"):
        litellm.completion("gpt-x", [{"role": "user"}], api_key="k")
    elsewhere = litellm.video_create_character(
        "L", clip(), custom_llm_provider="paid", api_base="http://127.0.0.1:8", api_key="k1"
    )
    with pytest.raises(NotFoundError, match="an account that this client does not have"):
        litellm.video_get_character(elsewhere.id)


def test_only_so_many_clients_are_kept_and_those_let_go_are_closed():
    for number in range(calls.MOST_CLIENTS + 3):
        litellm.video_get_character("c", custom_llm_provider="paid", api_key=f"k{number}")
        litellm.video_get_character("c", custom_llm_provider="paid", api_key="k0")
    assert Talker.closed == ["k1", "k2", "k3"]  # k0 is used all the time


def test_chat_is_read_as_people_paste_it():
    question = {"role": "user", "content": "hi"}
    answer = in_both_ways("completion", model="free/m", messages=[question])
    message = answer.choices[0].message
    assert message.content is None
    assert message.tool_calls[0].function.name == "f"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert message.refusal is None  # absent
    with pytest.raises(AttributeError, match="no field 'contents'; it has|no field 'contents' in this document"):
        message.contents  # noqa: B018
    again = litellm.completion("free/m", [question, message, {"role": "tool", "tool_call_id": "c1", "content": "4"}])
    sent = json.loads(again.choices[0].message.content)
    assert sent[0] == message.model_dump()
    assert json.loads(answer.model_dump_json()) == answer.model_dump() == json.loads(json.dumps(answer))
    message.content = "changed"
    assert answer.choices[0].message.model_dump(exclude_none=True)["content"] == "changed"


def test_chat_streams_chunks():
    def text(chunks):
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    messages = [{"role": "user", "content": "hi"}]
    with litellm.completion("free/m", messages, stream=True) as chunks:
        assert text(chunks) == "Hello"
        assert chunks.meta.provider == "free"

    async def main():
        async with await litellm.acompletion("free/m", messages, stream=True) as chunks:
            return text([chunk async for chunk in chunks])

    assert asyncio.run(main()) == "Hello"
    with pytest.raises(APIError, match="out of breath") as torn:
        list(litellm.completion("free/torn", messages, stream=True))
    assert torn.value.code == "tired"
    with pytest.raises(APIResponseValidationError, match="<html>"):
        list(litellm.completion("free/odd", messages, stream=True))


def test_responses_keep_what_is_not_understood_and_can_be_sent_back():
    answer = in_both_ways("responses", input="hi", model="free/m")
    assert answer.id.startswith("resp_")
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert (answer.output[1].phase, answer.output[1].content[0].text, answer.big) == ("final_answer", '"hi"', 2**70)
    assert answer.output_text == '"hi"'
    items = [{"role": "user", "content": "hi"}, *answer.output]
    assert json.loads(litellm.responses(items, "free/m").output_text) == [*items[:1], *answer.model_dump()["output"]]

    async def main():
        events = await litellm.aresponses("hi", "free/m", stream=True)
        return [event async for event in events]

    delta, completed = asyncio.run(main())
    assert (delta.type, delta.delta) == ("response.output_text.delta", "Hel")
    assert completed.response.output_text == '"hi"'


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"extra_headers": {"x": "y"}}, r"^extra_headers: headers belong to an account"),
        ({"extra_query": {"x": "y"}}, "extra_query: "),
        ({"num_retries": 3}, "never sent twice"),
        ({"target_model_names": "a,b"}, "several names are for models of a configuration"),
        ({"secs": 8}, "secs: Callsheet does not know this"),
        ({"seconds": "x"}, "whole seconds are wanted"),
        ({"timeout": object()}, "seconds are wanted, not object"),
    ],
)
def test_what_cannot_be_done_is_refused(keywords, said):
    with pytest.raises(BadRequestError, match=said) as refused:
        litellm.video(prompt="a fox", **keywords)
    assert refused.value.param in keywords
    with pytest.raises(BadRequestError, match=said):
        asyncio.run(litellm.avideo(prompt="a fox", **keywords))


def test_refusals_of_other_kinds():
    assert litellm.video("a fox", extra_headers=None, extra_query={}).status == "queued"
    with pytest.raises(BadRequestError, match="exactly one of video_id and video"):
        litellm.video_edit(prompt="warmer")
    with pytest.raises(NotFoundError, match=r"with custom_llm_provider='\.\.\.'"):
        litellm.video_get_character("char_abc123def456")
    with pytest.raises(BadRequestError, match="messages: Field required"):
        litellm.completion("free/m")
    with pytest.raises(UnsupportedOperation):
        litellm.video_remix("v", "p", custom_llm_provider="paid")
    forgotten = litellm.avideo("a fox")  # as a post has it: not awaited
    assert inspect.iscoroutine(forgotten)
    forgotten.close()
