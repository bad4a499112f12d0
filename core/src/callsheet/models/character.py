"""Characters: cut once from a clip, used in many videos (POST and GET /videos/characters)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from callsheet.models.base import File, IdKind, OperationRequest, ResourceId, Result

__all__ = ["Character", "CreateCharacter", "GetCharacter"]


class CreateCharacter(OperationRequest):
    """Make a character out of a short clip. Its name is what prompts must say to bring it on."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    video: File


class GetCharacter(OperationRequest):
    """Look a character up."""

    managed: ClassVar[dict[str, IdKind]] = {"character_id": "character"}
    character_id: ResourceId


class Character(Result):
    """A reusable character."""

    managed: ClassVar[dict[str, IdKind]] = {"id": "character"}
    id: str
    name: str | None = None
    created_at: int | None = None
    """Unix time in seconds."""
