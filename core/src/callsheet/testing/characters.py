"""Characters: cut once from a clip, and named in the creation of videos (wire of /videos/characters)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callsheet.testing.answers import Answer, document
from callsheet.testing.checks import check, text
from callsheet.testing.media import VIDEOS, media_file
from callsheet.testing.refusals import Refusal
from callsheet.testing.requests import fields_of
from callsheet.testing.seen import Seen

if TYPE_CHECKING:
    from callsheet.testing.upstream import FakeUpstream

__all__ = ["create", "find", "get"]


def create(fake: FakeUpstream, seen: Seen) -> Answer:
    rules = {"name": text(1, 80), "video": media_file(*VIDEOS)}
    fields = check(fields_of(seen), rules, ["name", "video"], fake.extra_fields)
    id = fake.state.new_id("char_")
    fake.state.characters[id] = {"id": id, "name": fields["name"], "created_at": fake.now()}
    fake.begin(seen, "character", id)
    fake.bill(0)
    return get(fake, seen, id)


def get(fake: FakeUpstream, _seen: Seen, character_id: str) -> Answer:
    return document(fake.annotate("character", dict(find(fake, character_id))))


def find(fake: FakeUpstream, id: str) -> dict[str, Any]:
    if id not in fake.state.characters:
        raise Refusal(f"Character with id '{id}' not found.", 404, code="not_found")
    return fake.state.characters[id]
