"""What there is: models, providers with what they can do, and that the server lives."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from callsheet import NotFoundError, ProviderInfo
from callsheet.operations import OPERATIONS
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.face import Face

__all__ = ["live", "model", "models", "providers"]


async def models(face: Face, _request: Request) -> Response:
    """GET /models: the names that callers may use. `operations` is ours: what the model is for, where that is known."""
    return JSONDocument({"object": "list", "data": _models(face)})


async def model(face: Face, request: Request) -> Response:
    """GET /models/{model}: one of them."""
    name = request.path_params["model"]
    found = _models(face)
    for document in found:
        if document["id"] == name:
            return JSONDocument(document)
    names = ", ".join(document["id"] for document in found)
    raise NotFoundError(
        f"there is no model {name!r:.80} here; there are: {names}", code="model_not_found", param="model"
    )


async def providers(face: Face, _request: Request) -> Response:
    """GET /providers: the capability table. For each operation "works", the provider's own note, or "not offered"."""
    found: list[ProviderInfo] = await face.client.transport.run(face.client.providers)
    used = {deployment.account.provider for deployment in face.router.models.values()}
    data = [{**_capabilities(info), "configured": info.name in used} for info in found]
    return JSONDocument({"object": "list", "data": data})


async def live(_face: Face, _request: Request) -> Response:
    """GET /health/live: 200 as long as the server answers at all."""
    return JSONDocument({"status": "ok"})


def _models(face: Face) -> list[dict[str, Any]]:
    registry = face.client.accounts.registry
    data = []
    for name, deployment in face.router.models.items():
        suggested = registry.provider(deployment.account.provider).models
        data.append(
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": deployment.account.provider,
                "operations": list(suggested.get(deployment.model or "", ())) or None,
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
