"""Cells with several deployments behind one name: which operations they are for, and how a client is told of them.

"two" are two deployments at two accounts; in "fallback" a third one follows that is not in the group. They are asked in
their order. A fault happens at the first of them, or where it is `always` at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.vendor_openai import ASK, OFFER, TALK
from tests.faults.vendors import EPHEMERAL, HEADER, KEY, Operation

from callsheet.account import Account
from callsheet.ids import IdCodec
from callsheet.models.base import IdKind
from callsheet_openai import OpenAISettings

__all__ = ["BY_MODEL", "CALLS", "CANARIES", "PINNED", "SIDES", "configuration", "credentials", "variants"]

SIDES: Mapping[str, tuple[str, ...]] = {"two": ("a", "b"), "fallback": ("a", "b", "c")}
"""The accounts of each topology, in the order in which they are asked."""
BY_MODEL = Operation("calls by model", "POST /realtime/calls", "sdp", "call", entry="call")
"""A call without an ephemeral key goes where its model is."""
PINNED = ("video get", "content", "edit", "extend", "character get", "calls")
"""What has to go to the first account, whatever happens there."""
_CHOOSING = (
    "chat", "chat-SSE", "responses", "responses-SSE", "responses-stored", "video create", "character create",
    "client_secrets", BY_MODEL.name,
)  # fmt: skip


def _managed(kind: IdKind, upstream: str) -> str:
    return IdCodec().encode(kind, Account("openai", OpenAISettings(), "a").tag, upstream)


VIDEO, CHARACTER = _managed("video", "video_1"), _managed("character", "char_1")
MODEL: Any = {"model": "m"}
CALLS: Mapping[str, Callable[[Any, Path], Any]] = {
    "chat": lambda c, _: c.chat_completions(**TALK),
    "chat-SSE": lambda c, _: c.chat_completions(**TALK, stream=True),
    "responses": lambda c, _: c.responses(**ASK),
    "responses-SSE": lambda c, _: c.responses(**ASK, stream=True),
    "responses-stored": lambda c, _: c.responses(input="hi", **MODEL),
    "video create": lambda c, _: c.generate_video(prompt="a cat", seconds=4, **MODEL),
    "character create": lambda c, folder: c.create_character(name="Mossy", video=folder / "clip.mp4", **MODEL),
    "client_secrets": lambda c, _: c.mint_realtime_secret(session={"type": "realtime"}, **MODEL),
    BY_MODEL.name: lambda c, _: c.relay_sdp(sdp=OFFER, **MODEL),
    "video get": lambda c, _: c.get_video(video_id=VIDEO),
    "content": lambda c, folder: c.download_video(VIDEO, to=folder / "got.mp4"),
    "edit": lambda c, _: c.edit(video=VIDEO, prompt="at night"),
    "extend": lambda c, _: c.extend(video=VIDEO, prompt="on", seconds=4),
    "character get": lambda c, _: c.get_character(character_id=CHARACTER),
    "calls": lambda c, _: c.relay_sdp(sdp=OFFER, ephemeral_key=EPHEMERAL, provider="a"),
}


def credentials(side: int) -> tuple[str, str]:
    """An account's key and its secret header: no two have the same."""
    return (KEY, HEADER) if side == 0 else (f"sk-canary-{side}0f7be2a91", f"hdr-canary-{side}c55d1e07b")


CANARIES = tuple(secret for side in range(3) for secret in credentials(side))


def configuration(urls: Sequence[str], deadline: float) -> dict[str, Any]:
    """What a client is told: these accounts, in this order."""
    names = SIDES["two" if len(urls) == 2 else "fallback"]
    accounts = []
    for side, (name, url) in enumerate(zip(names, urls, strict=True)):
        key, header = credentials(side)
        accounts.append(
            {
                "provider": "openai",
                "id": name,
                "api_key": key,
                "base_url": url,
                "timeout": deadline,
                "headers": {"x-access-token": header},
            }
        )
    models: dict[str, Any] = {"m": [f"{name}/m" for name in names[:2]]}
    routing: dict[str, Any] = {"strategy": "priority"}
    if len(names) > 2:
        models["last"] = f"{names[2]}/m"
        routing["fallbacks"] = {"m": ["last"]}
    return {"accounts": accounts, "models": models, "routing": routing}


def variants() -> Iterator[tuple[str, str, bool]]:
    """Topology, operation and `always` of all cells.

    A fault at the first one alone looks the same with a third in the background; what is pinned sees none of the others,
    so that there one topology and a fault that stays are enough.
    """
    for operation in _CHOOSING:
        yield from (("two", operation, True), ("two", operation, False), ("fallback", operation, True))
    for operation in PINNED:
        yield "two", operation, True
