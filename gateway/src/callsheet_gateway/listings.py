"""What there is: models, providers with what they can do, and videos."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from callsheet import NotFoundError, ProviderInfo, Video
from callsheet.models import ListVideos
from callsheet.operations import OPERATIONS
from callsheet_gateway.bodies import known_query
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.face import Face
from callsheet_gateway.principal import Principal, principal_of
from callsheet_gateway.standing import standing

__all__ = ["model", "models", "providers", "videos"]

_PAGE = 20
"""How many are shown if nobody says."""


async def models(face: Face, request: Request) -> Response:
    """GET /models: the names that callers may use. `operations` is ours: what the model is for, where that is known."""
    return JSONDocument({"object": "list", "data": _models(face, principal_of(request))})


async def model(face: Face, request: Request) -> Response:
    """GET /models/{model}: one of them."""
    name = request.path_params["model"]
    found = _models(face, principal_of(request))
    for document in found:
        if document["id"] == name:
            return JSONDocument(document)
    names = ", ".join(document["id"] for document in found)
    raise NotFoundError(
        f"there is no model {name!r:.80} here; there are: {names or 'none'}", code="model_not_found", param="model"
    )


async def videos(face: Face, request: Request) -> Response:
    """GET /videos: what was made through this gateway, and is the caller's. The master key sees everybody's.

    No provider is asked: each job is shown as it was seen last.
    """
    principal = principal_of(request)
    asked = face.request_of("list_videos", known_query("list_videos", request))
    assert isinstance(asked, ListVideos)
    ids, resources = face.ids_of(principal), face.state.resources
    after = None
    if asked.after is not None:
        ids.decode(asked.after, "video")
        if (after := ids.rows.get(asked.after)) is None:
            raise NotFoundError(
                f"there is no video {asked.after[:60]!r} to go on after", code="not_found", param="after"
            )
    owner = None if principal.admin else principal.owner
    rows, more = resources.page(
        "video",
        owner,
        limit=_PAGE if asked.limit is None else asked.limit,
        after=after,
        newest_first=asked.order != "asc",
        models=principal.among(asked.model),
    )
    shown = [face.document(Video.model_validate(dict(row.document)), row.model) for row in rows]
    return JSONDocument(
        {
            "object": "list",
            "data": shown,
            "first_id": rows[0].id if rows else None,
            "last_id": rows[-1].id if rows else None,
            "has_more": more,
        }
    )


async def providers(face: Face, request: Request) -> Response:
    """GET /providers: the capability table. For each operation "works", the provider's own note, or "not offered".

    `deployments` tell which of them is left alone for a while, and why.
    """
    found: list[ProviderInfo] = await face.client.transport.run(face.client.providers)
    doing = standing(face.router.models, principal_of(request))
    used = {backend.deployment.account.provider for backend in face.router.models.backends()}
    data = [
        {**_capabilities(info), "configured": info.name in used, "deployments": doing.get(info.name, [])}
        for info in found
    ]
    return JSONDocument({"object": "list", "data": data})


def _models(face: Face, principal: Principal) -> list[dict[str, Any]]:
    """Those that somebody may use."""
    registry = face.client.accounts.registry
    data = []
    for name, deployments in face.router.models.items():
        if not principal.may_use(name):
            continue
        owners, operations = dict[str, None](), dict[str, None]()
        for deployment in deployments:
            provider = deployment.account.provider
            owners[provider] = None
            operations |= dict.fromkeys(registry.provider(provider).models.get(deployment.model or "", ()))
        data.append(
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": ", ".join(owners),
                "operations": list(operations) or None,
            }
        )
    return data


def _capabilities(info: ProviderInfo) -> dict[str, Any]:
    def say(operation: str) -> str:
        if info.error:
            return "broken"
        return info.notes.get(operation) or ("works" if operation in info.operations else "not offered")

    return {
        "id": info.name,
        "object": "provider",
        "distribution": info.distribution,
        "version": info.version,
        "embedded": info.embedded,
        "operations": {operation: say(operation) for operation in OPERATIONS},
        "models": {name: list(operations) for name, operations in info.models.items()},
        "missing": list(info.missing),
        "error": info.error,
    }
