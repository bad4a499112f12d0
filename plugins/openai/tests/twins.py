"""The same calls in two tongues: ours, and the official `openai` client's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
from attrs import frozen
from core.tests.offers import OFFER

__all__ = ["CLIP", "FILM", "SESSION", "TWINS", "Past", "Twin", "filled", "sdk"]

CLIP = ("clip.mp4", b"\x00\x00\x00\x18ftypmp42" * 64, "video/mp4")
PICTURE = ("first.png", b"\x89PNG\r\n\x1a\n" * 16, "image/png")
FILM = {"model": "sora-2", "prompt": "A fox", "seconds": "8", "size": "1280x720"}
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "be brief",
    "audio": {"output": {"voice": "marin"}},
}
HELLO = [{"role": "user", "content": "Hello – „grüß dich“"}]
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}
ASK = {
    "model": "gpt-5.6-sol", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Paris?"}]}],
    "instructions": "Be brief.", "store": True, "reasoning": {"effort": "low"}, "max_output_tokens": 400,
    "tools": [TOOL], "tool_choice": "auto", "temperature": 0.5, "metadata": {"a": "b"},
    "include": ["reasoning.encrypted_content"],
}  # fmt: skip
CHAT = {
    "model": "gpt-5.6-sol", "messages": HELLO, "max_completion_tokens": 20, "stop": ["x"], "seed": 7, "n": 1,
    "response_format": {"type": "json_object"}, "logit_bias": {"50256": -100}, "user": "u",
}  # fmt: skip
Past = dict[str, Any]
Ask = Callable[[Any, Past], Any]


@frozen
class Twin:
    """One call in two tongues. `theirs` may be a document: what the documentation says is sent."""

    ours: Ask
    theirs: Any


def at(method: str, **fields: Any) -> Ask:
    """Ours. A value that names something in the past stands for its id."""
    return lambda client, past: getattr(client, method)(provider="openai", **filled(fields, past))


def sdk(method: str, *words: Any, **fields: Any) -> Ask:
    """Theirs, by the method's path."""

    def call(client: openai.OpenAI, past: Past) -> Any:
        for step in method.split("."):
            client = getattr(client, step)
        return client(*filled(list(words), past), **filled(fields, past))  # type: ignore[operator]  # the last step is a method

    return call


def filled(value: Any, past: Past) -> Any:
    match value:
        case dict():
            return {name: filled(inner, past) for name, inner in value.items()}
        case list():
            return [filled(inner, past) for inner in value]
        case str() if value.startswith("$"):
            return past[value[1:]]
    return value


TWINS: dict[str, Twin] = {
    "create_character": Twin(
        at("create_character", name="Mossy", video=CLIP[:2]), sdk("videos.create_character", name="Mossy", video=CLIP)
    ),
    "get_character": Twin(at("get_character", character_id="$character"), sdk("videos.get_character", "$character")),
    "generate_video": Twin(at("generate_video", **FILM | {"seconds": 8}), sdk("videos.create", **FILM)),
    "generate_video, plain": Twin(at("generate_video", prompt="A fox"), sdk("videos.create", prompt="A fox")),
    "generate_video with a file": Twin(
        at("generate_video", **FILM, input_reference=PICTURE[:2]), sdk("videos.create", **FILM, input_reference=PICTURE)
    ),
    "generate_video with a reference": Twin(
        at("generate_video", **FILM, input_reference="https://example.com/a.png"),
        {"path": "/videos", **FILM, "input_reference": {"image_url": "https://example.com/a.png"}},
    ),
    "generate_video with characters": Twin(
        at("generate_video", **FILM, characters=["$character"]),
        {"path": "/videos", **FILM, "characters": [{"id": "$character"}]},
    ),
    "generate_video with characters and a file": Twin(
        at("generate_video", **FILM, characters=["$character"], input_reference=("a.png", b"\x89PNG")),
        {"path": "/videos", **FILM, "characters": [{"id": "$character"}],
         "input_reference": {"image_url": "data:image/png;base64,iVBORw=="}},
    ),
    "get_video": Twin(at("get_video", video_id="$film"), sdk("videos.retrieve", "$film")),
    "list_videos": Twin(at("list_videos"), sdk("videos.list")),
    "list_videos, a page": Twin(
        at("list_videos", limit=1, order="asc", after="$film"),
        sdk("videos.list", limit=1, order="asc", after="$film"),
    ),
    "delete_video": Twin(at("delete_video", video_id="$film"), sdk("videos.delete", "$film")),
    "edit": Twin(
        at("edit", video="$film", prompt="teal"), {"path": "/videos/edits", "video": {"id": "$film"}, "prompt": "teal"}
    ),
    "edit a file": Twin(
        at("edit", video=CLIP[:2], prompt="teal"), sdk("videos.edit", video=CLIP, prompt="teal")
    ),
    "extend": Twin(
        at("extend", video="$film", prompt="on", seconds=8),
        {"path": "/videos/extensions", "video": {"id": "$film"}, "prompt": "on", "seconds": "8"},
    ),
    "extend a file": Twin(
        at("extend", video=CLIP[:2], prompt="on", seconds=8),
        sdk("videos.extend", video=CLIP, prompt="on", seconds="8"),
    ),
    "edit a file with a model": Twin(
        at("edit", model="sora-2", video=CLIP[:2], prompt="teal"),
        sdk("videos.edit", video=CLIP, prompt="teal", extra_body={"model": "sora-2"}),
    ),
    "edit with a model": Twin(
        at("edit", model="sora-2", video="$film", prompt="teal"),
        {"path": "/videos/edits", "video": {"id": "$film"}, "prompt": "teal"},
    ),
    "extend with a model": Twin(
        at("extend", model="sora-2", video="$film", prompt="on", seconds=8),
        {"path": "/videos/extensions", "video": {"id": "$film"}, "prompt": "on", "seconds": "8"},
    ),
    "remix with a model": Twin(
        at("remix", model="sora-2", video_id="$film", prompt="bow"), sdk("videos.remix", "$film", prompt="bow")
    ),
    "create_character with a model": Twin(
        at("create_character", model="sora-2", name="Mossy", video=CLIP[:2]),
        sdk("videos.create_character", name="Mossy", video=CLIP),
    ),
    "remix": Twin(at("remix", video_id="$film", prompt="bow"), sdk("videos.remix", "$film", prompt="bow")),
    "mint_realtime_secret": Twin(
        at("mint_realtime_secret", session=SESSION, expires_after=60),
        sdk("realtime.client_secrets.create", session=SESSION, expires_after={"anchor": "created_at", "seconds": 60}),
    ),
    "mint_realtime_secret with a model": Twin(
        at("mint_realtime_secret", model="gpt-realtime-2.1", session={"instructions": "x"}),
        sdk("realtime.client_secrets.create",
            session={"type": "realtime", "instructions": "x", "model": "gpt-realtime-2.1"}),
    ),
    "relay_sdp": Twin(
        at("relay_sdp", sdp=OFFER, session=SESSION), sdk("realtime.calls.create", sdp=OFFER.decode(), session=SESSION)
    ),
    "hang_up": Twin(at("hang_up", call_id="$call"), sdk("realtime.calls.hangup", "$call")),
    "responses": Twin(at("responses", **ASK), sdk("responses.create", **ASK)),
    "responses, plain": Twin(at("responses", model="m", input="Hi"), sdk("responses.create", model="m", input="Hi")),
    "responses, second turn": Twin(
        at("responses", model="m", input="And?", previous_response_id="$answer"),
        sdk("responses.create", model="m", input="And?", previous_response_id="$answer"),
    ),
    "responses streamed": Twin(at("responses", **ASK, stream=True), sdk("responses.create", **ASK, stream=True)),
    "get_response": Twin(
        at("get_response", response_id="$answer", include=["a", "b"]),
        sdk("responses.retrieve", "$answer", include=["a", "b"]),
    ),
    "get_response streamed": Twin(
        at("get_response", response_id="$answer", stream=True, starting_after=2),
        sdk("responses.retrieve", "$answer", stream=True, starting_after=2),
    ),
    "cancel_response": Twin(at("cancel_response", response_id="$slow"), sdk("responses.cancel", "$slow")),
    "list_input_items": Twin(
        at("list_input_items", response_id="$answer", limit=1, order="asc", after="$item", include=["a", "b"]),
        sdk("responses.input_items.list", "$answer", limit=1, order="asc", after="$item", include=["a", "b"]),
    ),
    "chat_completions": Twin(at("chat_completions", **CHAT), sdk("chat.completions.create", **CHAT)),
    "chat_completions streamed": Twin(
        at("chat_completions", **CHAT, stream=True, stream_options={"include_usage": True}),
        sdk("chat.completions.create", **CHAT, stream=True, stream_options={"include_usage": True}),
    ),
}  # fmt: skip
