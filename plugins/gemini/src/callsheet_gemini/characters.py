"""Characters. Veo has none: it takes reference pictures. A character is cut from its clip here, and kept here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callsheet import IO, BadRequestError, Character, CharacterRef, CreateCharacter, GetCharacter, Provider, hookimpl
from callsheet.character_store import CharacterStore, KeptCharacter, fair_share
from callsheet.reference_frames import frames_of_upload
from callsheet_gemini.images import inline
from callsheet_gemini.settings import GeminiSettings
from callsheet_gemini.veo import MOST_PICTURES

__all__ = ["Characters", "absent", "reference_images"]


class Characters(Provider):
    """Making and finding characters. No request leaves for it, and nothing is paid."""

    settings: GeminiSettings

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        """Take three pictures out of the clip and keep them on this machine."""
        request.only("name", "video")
        if request.options:
            unknown = ", ".join(request.options)
            raise BadRequestError(
                f"{unknown}: characters are made here and not at the vendor's, from a name and a clip only",
                param=next(iter(request.options)),
                code="unsupported_parameter",
            )
        frames = await frames_of_upload(request.video, io, MOST_PICTURES)
        return _shown(await io.run(self.store(io).create, request.name, frames))

    @hookimpl
    async def get_character(self, request: GetCharacter, io: IO) -> Character:
        """Look a character up on this machine."""
        return _shown(await io.run(self.store(io).get, request.character_id))

    def store(self, io: IO) -> CharacterStore:
        """Where the account's characters are."""
        return CharacterStore.of(io.account, self.settings.data_dir)

    async def cast(self, refs: Sequence[CharacterRef], io: IO) -> list[KeptCharacter]:
        """The characters of a request, each once."""
        ids = list(dict.fromkeys(ref.id for ref in refs))
        if len(ids) > MOST_PICTURES:
            raise BadRequestError(
                f"{len(ids)} characters were given; Veo takes {MOST_PICTURES} pictures, which is one for each of"
                f" {MOST_PICTURES} characters at most",
                param="characters",
                code="too_many_characters",
            )
        return [await io.run(self.store(io).get, id, "characters") for id in ids]


def reference_images(cast: Sequence[KeptCharacter]) -> list[dict[str, Any]]:
    """Their pictures as Veo wants them."""
    return [{"image": inline(frame.jpeg), "referenceType": "ASSET"} for frame in fair_share(cast, MOST_PICTURES)]


def absent(cast: Sequence[KeptCharacter], prompt: str) -> list[str]:
    """A warning for each character whose name the prompt does not say."""
    words = prompt.casefold()
    return [
        f"the prompt does not say the name of character '{one.name}': its pictures were sent, but nothing says who it is"
        for one in cast
        if one.name.casefold() not in words
    ]


def _shown(one: KeptCharacter) -> Character:
    return Character(id=one.id, name=one.name, created_at=one.created_at)
