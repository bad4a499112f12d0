"""Realtime over WebRTC: ephemeral keys, the SDP exchange, hanging up.

Wire: OpenAI's API reference of realtime client secrets and calls. With an ephemeral key the offer is the body itself,
as browsers send it; with the account's key it is one part of a form and the session the other.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from callsheet import (
    IO,
    APIResponseValidationError,
    BadRequestError,
    Body,
    HangUp,
    MintRealtimeSecret,
    Provider,
    RealtimeCall,
    RealtimeSecret,
    RelaySDP,
    Reply,
    Request,
    hookimpl,
    path_segment,
    whole,
)
from callsheet.headers import can_be_sent

__all__ = ["Realtime", "session_of"]

SDP = "application/sdp"
DEFAULT_LIFETIME = 600
"""Seconds that an ephemeral key lives where nothing was asked for."""


class Realtime(Provider):
    """The three operations on /realtime."""

    @hookimpl
    async def mint_realtime_secret(self, request: MintRealtimeSecret, io: IO) -> RealtimeSecret:
        """POST /realtime/client_secrets."""
        document = {**request.wire(), "session": session_of(request)}
        for name in ("model", "safety_identifier"):
            document.pop(name, None)
        document = {name: value for name, value in document.items() if value is not None}
        headers = {"openai-safety-identifier": request.safety_identifier} if request.safety_identifier else {}
        if not all(can_be_sent(name, value) for name, value in headers.items()):
            raise BadRequestError(
                "safety_identifier travels in a header: ASCII without line breaks, and no blank at its ends",
                param="safety_identifier",
                code="invalid_value",
            )
        reply = await io.send(Request("POST", "/realtime/client_secrets", headers, body=Body.json(document)))
        # Of Azure's answer only `value` is documented: then the key lives as long as was asked for, or OpenAI's default.
        lifetime = request.expires_after.seconds if request.expires_after else DEFAULT_LIFETIME
        return RealtimeSecret.model_validate({"expires_at": int(io.now()) + lifetime, **whole(reply, "value")})

    @hookimpl
    async def relay_sdp(self, request: RelaySDP, io: IO) -> RealtimeCall:
        """POST /realtime/calls. The offer's bytes and the answer's are not touched."""
        query = self.call_query(request)
        headers = {"accept": SDP}
        if request.ephemeral_key is not None:
            if request.session is not None:
                raise BadRequestError(
                    "an ephemeral key has its session already: leave session out, or the key", param="session"
                )
            body = Body([request.sdp], SDP)
            sent = Request("POST", "/realtime/calls", headers, query, body, auth=request.ephemeral_key)
        else:
            fields: list[tuple[str, object]] = [("sdp", (request.sdp, SDP))]
            if (session := session_of(request)) is not None:
                fields.append(("session", (Body.json(session).parts[0], "application/json")))
            sent = Request("POST", "/realtime/calls", headers, query, Body.form(fields))
        reply = await io.send(sent)
        if not reply.content.startswith(b"v=0"):
            kind = reply.headers.get("content-type", "no content type")
            raise APIResponseValidationError(
                f"the provider answered {reply.status} with {len(reply.content)} bytes of {kind[:60]} where an SDP answer"
                " was expected",
                request_id=reply.request_id,
            )
        return RealtimeCall(id=_call_id(reply), sdp=reply.content)

    @hookimpl
    async def hang_up(self, request: HangUp, io: IO) -> None:
        """POST /realtime/calls/{id}/hangup."""
        await io.send(Request("POST", f"/realtime/calls/{path_segment(request.call_id)}/hangup"))

    def call_query(self, request: RelaySDP) -> dict[str, object]:
        """What of a call goes into its address: the model for an ephemeral key that was made without one.

        OpenAI itself has no filter for what reaches the browser.
        """
        if request.webrtcfilter:
            raise BadRequestError(
                "webrtcfilter is not something that this provider does; leave it out", param="webrtcfilter"
            )
        return {"model": request.model} if request.ephemeral_key is not None else {}


def session_of(request: MintRealtimeSecret | RelaySDP) -> dict[str, Any] | None:
    """The session with the model in it; None if neither is given. A transcription names its model further inside."""
    session, model = request.session, request.model
    if session is None and model is None:
        return None
    session = {**({} if session and "type" in session else {"type": "realtime"}), **(session or {})}
    if model is None:
        return session
    if session["type"] == "transcription":
        audio = session.get("audio") or {}
        heard = audio.get("input") or {}
        named = {"model": model, **(heard.get("transcription") or {})}
        return {**session, "audio": {**audio, "input": {**heard, "transcription": named}}}
    return {**session, "model": model}


def _call_id(reply: Reply) -> str | None:
    """The last part of `Location`, which may be a path or a whole address. None if it is no such thing: the call is on."""
    with suppress(ValueError):
        path = urlsplit(reply.headers.get("location", "")).path
        name = unquote(path.rstrip("/").rpartition("/")[2])
        return name if name not in {"", "calls"} else None
    return None
