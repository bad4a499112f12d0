"""The operation table: for each hook its models, its HTTP route, whether it may cost money, when it may be sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from callsheet import models as m
from callsheet.stream import Download

__all__ = ["OPERATIONS", "Operation", "Resend"]

Resend = Literal["never", "once", "unstored", "always"]
AfterRejection = Literal["never", "if promised", "always"]


@frozen
class Operation:
    """One operation.

    `route` is OpenAI's, below /v1. `billable`: it may start paid work. A request that provably was not sent may always
    be sent again. `after_rejection` says so of one that was answered 429 (or 503, where nothing is billed): "if promised"
    by the vendor, that then nothing began (see `Provider.refused`). `after_ambiguity` says so of one of which nobody knows
    whether it was accepted ("unstored": only if it leaves nothing behind upstream; `stores_by_default` says what a request
    means that says nothing of it). `attempts`: how often in all. `takes_model`: the request chooses a model, so that a
    client's default model is filled in.
    """

    name: str
    request: type[m.OperationRequest]
    result: type[Any] | None
    method: str
    route: str
    billable: bool = False
    after_rejection: AfterRejection = "always"
    after_ambiguity: Resend = "always"
    takes_model: bool = False
    stores_by_default: bool = False
    attempts: int = 3

    def may_resend_blindly(self, request: m.OperationRequest, attempt: int) -> bool:
        """Whether attempt number `attempt` + 1 is allowed though attempt `attempt` may have been accepted."""
        match self.after_ambiguity:
            case "always":
                return True
            case "once":
                return attempt == 1
            case "unstored":
                stored = getattr(request, "store", None)
                stored = self.stores_by_default if stored is None else stored
                return not stored and not _has_effects(request)
            case "never":
                return False


def _has_effects(request: m.OperationRequest) -> bool:
    """Whether a response leaves more behind than its price: work that goes on, a conversation, what a remote tool did."""
    tools = getattr(request, "tools", None) or []
    remote = any(isinstance(tool, Mapping) and tool.get("type") == "mcp" for tool in tools)
    return remote or bool(getattr(request, "background", None) or getattr(request, "conversation", None))


def _creates(
    name: str,
    request: type[m.OperationRequest],
    result: type[Any],
    route: str,
    takes_model: bool = False,
    after_rejection: AfterRejection = "if promised",
    attempts: int = 3,
) -> Operation:
    """An operation that begins paid work: sent again only if it was not sent, or was refused in a way that promises so."""
    return Operation(
        name,
        request,
        result,
        "POST",
        route,
        billable=True,
        after_rejection=after_rejection,
        after_ambiguity="never",
        takes_model=takes_model,
        attempts=attempts,
    )


_ALL = (
    _creates("create_character", m.CreateCharacter, m.Character, "/videos/characters"),
    Operation("get_character", m.GetCharacter, m.Character, "GET", "/videos/characters/{character_id}"),
    _creates("generate_video", m.GenerateVideo, m.Video, "/videos", takes_model=True),
    Operation("get_video", m.GetVideo, m.Video, "GET", "/videos/{video_id}"),
    Operation("list_videos", m.ListVideos, m.VideoList, "GET", "/videos"),
    Operation("delete_video", m.DeleteVideo, m.DeletedVideo, "DELETE", "/videos/{video_id}"),
    Operation("download_video", m.DownloadVideo, Download, "GET", "/videos/{video_id}/content"),
    _creates("edit", m.Edit, m.Video, "/videos/edits"),
    _creates("extend", m.Extend, m.Video, "/videos/extensions"),
    _creates("remix", m.Remix, m.Video, "/videos/{video_id}/remix"),
    Operation(
        "mint_realtime_secret",
        m.MintRealtimeSecret,
        m.RealtimeSecret,
        "POST",
        "/realtime/client_secrets",
        after_ambiguity="once",
        takes_model=True,
    ),
    _creates(
        "relay_sdp",
        m.RelaySDP,
        m.RealtimeCall,
        "/realtime/calls",
        takes_model=True,
        after_rejection="never",
        attempts=2,
    ),
    Operation("hang_up", m.HangUp, None, "POST", "/realtime/calls/{call_id}/hangup"),
    Operation(
        "responses",
        m.CreateResponse,
        m.Response,
        "POST",
        "/responses",
        billable=True,
        after_ambiguity="unstored",
        takes_model=True,
        stores_by_default=True,
    ),
    Operation("get_response", m.GetResponse, m.Response, "GET", "/responses/{response_id}"),
    Operation("delete_response", m.DeleteResponse, m.DeletedResponse, "DELETE", "/responses/{response_id}"),
    Operation("cancel_response", m.CancelResponse, m.Response, "POST", "/responses/{response_id}/cancel"),
    Operation("list_input_items", m.ListInputItems, m.InputItemList, "GET", "/responses/{response_id}/input_items"),
    Operation(
        "chat_completions",
        m.CreateChatCompletion,
        m.ChatCompletion,
        "POST",
        "/chat/completions",
        billable=True,
        after_ambiguity="unstored",
        takes_model=True,
    ),
)

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _ALL}
"""Every operation by its hook's name, in the contract's order."""
