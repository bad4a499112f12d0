"""Realtime: ephemeral keys that know their way home, and the SDP exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from pydantic import SecretStr
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from callsheet import AuthenticationError, ConfigurationError, RealtimeCall, RealtimeSecret, UnknownProvider
from callsheet import models as m
from callsheet_gateway.bodies import counted, document_of, media_type, read_all
from callsheet_gateway.documents import JSONDocument, parse
from callsheet_gateway.errors import Refused
from callsheet_gateway.face import Face, may_use
from callsheet_gateway.forms import read_form
from callsheet_gateway.idempotency import claim
from callsheet_gateway.keys import hash_of
from callsheet_gateway.principal import let_in, principal_of
from callsheet_gateway.tokens import PREFIX, Claims

__all__ = ["client_secrets", "relay", "shows_token"]

_MOST = 256 * 1024
"""Bytes of a call's body: an offer of 64 KiB, and a session."""


async def client_secrets(face: Face, request: Request) -> Response:
    """POST /realtime/client_secrets: `{"session": {...}, "expires_after": {...}}`, or just `{"model": "..."}`."""
    async with document_of(request, m.MintRealtimeSecret, face.settings) as document:
        fields = {**document, **_split(document.get("session"), document.get("model"))}
        principal = principal_of(request)
        secret: RealtimeSecret = await face.call("mint_realtime_secret", fields, request)
    asked = fields.get("model")
    answer = face.document(secret)
    wanted = fields.get("session") or {}
    session = dict(answer.get("session") or {"type": wanted.get("type", "realtime")})
    upstream = session.get("model")
    session["model"] = asked or face.model_name(secret.meta, upstream if isinstance(upstream, str) else None)
    claims = Claims(
        secret.meta.account or "",
        secret.value,
        min(secret.expires_at, int(face.tokens.now()) + face.settings.token_seconds),
        session["model"],
        str(session["type"]),
        principal.key,
        principal.owner,
        _place(face, secret.meta.account or ""),
    )
    # `client_secret` is where older clients look.
    held = {"value": face.tokens.seal(claims), "expires_at": claims.expires_at}
    return JSONDocument({**answer, **held, "session": session, "client_secret": held})


async def relay(face: Face, request: Request) -> Response:
    """POST /realtime/calls: a raw offer with an ephemeral key, or a form of `sdp` and `session`. The answer is 201, SDP."""
    token = _ephemeral_key(request)
    claims = face.tokens.open(token) if token else None  # before the body is read
    if claims is None:
        return await _relayed(face, request, None)
    let_in(request, face.door.in_the_name_of(claims.key, claims.owner))
    settings = face.settings
    with face.state.limits.requests.one(principal_of(request), settings.max_requests_per_key, settings.max_requests):
        return await _relayed(face, request, claims)


async def _relayed(face: Face, request: Request, claims: Claims | None) -> Response:
    principal = principal_of(request)
    sdp, session = await _offer(request, face)
    said: dict[str, object] = {"sdp": sdp, "session": session, "query": request.query_params.multi_items()}
    if claims is None:
        await claim(request, said)
    else:  # a page can't use up the keys of the program that gave it its token
        said["token"] = [claims.account, claims.model]
        await claim(request, said, f"pages of {claims.key}")
    fields = _split(session, request.query_params.get("model"))
    if (flag := request.query_params.get("webrtcfilter")) is not None:
        fields["webrtcfilter"] = flag.lower() in {"on", "true", "1"}
    if claims is not None:
        fields |= {"ephemeral_key": SecretStr(claims.secret), "model": _model_of(face, claims, fields)}
        may_use(principal, claims.model, chooses=True)  # what its key may do can have changed since
        principal = evolve(principal, models=None)  # the provider knows the model by the key: it is not named again
        if _place(face, claims.account) != claims.place:
            raise Refused(
                409,
                "the account that the ephemeral key is for is not there any more, or leads elsewhere",
                "account_changed",
            )
        face.request_of("relay_sdp", {"sdp": sdp, **fields})  # a bad offer costs no token
        await _spend(face, claims)
    # An ephemeral key is good at the account that minted it, and nowhere else.
    account, model = (claims.account, claims.model) if claims else (None, None)
    call: RealtimeCall = await face.call("relay_sdp", {"sdp": sdp, **fields}, request, principal, account, model=model)
    headers = {"location": f"/v1/realtime/calls/{call.id}"} if call.id else {}
    return Response(call.sdp, 201, headers, "application/sdp")


def shows_token(request: Request) -> bool:
    """Whether a request shows an ephemeral key: a bad one must not pass for none."""
    return _ephemeral_key(request) is not None


def _place(face: Face, account: str) -> str:
    """An account and its address, so that another one is told from it: a secret goes to where it is from."""
    try:
        found = face.client.accounts.of_provider(account)
    except (ConfigurationError, UnknownProvider):
        return "nowhere"
    return hash_of(f"{found.id}\n{found.settings.base_url}")[:24]


async def _spend(face: Face, claims: Claims) -> None:
    """Refused (401) if the key has been used before, where keys are for one call only."""
    if face.settings.single_use_tokens and not await face.state.spend(claims.id, claims.expires_at):
        raise AuthenticationError(
            "the ephemeral key has been used already: get a fresh one from POST /v1/realtime/client_secrets for each call",
            code="token_used",
        )


def _ephemeral_key(request: Request) -> str | None:
    """The ephemeral key among the credentials, however it is written: a key that is not good must not pass for none."""
    for name in ("authorization", "api-key"):
        if (words := request.headers.get(name, "").split()) and words[-1].startswith(PREFIX):
            return words[-1]
    return None


def _model_of(face: Face, claims: Claims, fields: dict[str, Any]) -> str | None:
    """The provider's name of the model, where the key was minted without one and the call says it."""
    session = fields.get("session") or {}
    if set(session) - {"type"} or session.get("type", claims.session_type) != claims.session_type:
        raise Refused(
            400,
            "the ephemeral key has its session already: mint the key with what this one says",
            "invalid_value",
            "session",
        )
    asked = fields.pop("model", None)
    fields.pop("session", None)
    if claims.model is not None and asked not in {None, claims.model}:
        raise Refused(400, f"the ephemeral key was minted for the model {claims.model}", "invalid_value", "model")
    if claims.model is not None or not isinstance(asked, str):
        return None  # the provider knows it by the key
    deployment = face.router.at(claims.account, asked)
    if deployment is None:
        raise Refused(
            400, f"the ephemeral key belongs to another account than the model {asked:.80}", "invalid_value", "model"
        )
    return deployment.model


def _split(session: object, model: object) -> dict[str, Any]:
    """The model's name, and the session without it: the router puts the provider's name of it in its place."""
    if not isinstance(session, Mapping):
        return {} if model is None and session is None else {"model": model, "session": session}
    rest = {name: value for name, value in session.items() if name != "model"}
    inner = session.get("model")
    if model is not None and inner is not None and model != inner:
        raise Refused(
            400, "model and session.model say different things; leave one of them out", "invalid_value", "model"
        )
    return {"model": inner if model is None else model, "session": rest}


async def _offer(request: Request, face: Face) -> tuple[bytes, object]:
    media = media_type(request)
    if media == "application/sdp":
        return await read_all(request, _MOST), None
    if media != "multipart/form-data":
        raise Refused(
            415,
            "an SDP offer is wanted as Content-Type: application/sdp, or as the part 'sdp' of multipart/form-data",
            "unsupported_media_type",
        )
    form = await read_form(request.headers, counted(request, _MOST), face.settings)
    try:
        return await _part(form.get("sdp"), "sdp"), _session(await _part(form.get("session"), None))
    finally:
        await form.close()


async def _part(part: str | UploadFile | None, needed: str | None) -> bytes:
    """A part's bytes, whether it came with a file name or without."""
    if part is None and needed:
        raise Refused(400, f"the form has no part '{needed}'", "missing_field", needed)
    return await part.read() if isinstance(part, UploadFile) else (part or "").encode("utf-8", "surrogatepass")


def _session(content: bytes) -> object:
    if not content.strip():
        return None
    try:
        session = parse(content)
    except ValueError:
        session = None
    if not isinstance(session, dict):
        raise Refused(400, "the part 'session' is not a JSON object", "invalid_json", "session")
    return session
