"""Characters in the index. They are made once, and never changed, evicted or expired."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import frozen

from callsheet_local.files import Files
from callsheet_local.index import Index

if TYPE_CHECKING:
    from callsheet_local.film.cut import Cut
    from callsheet_local.film.sprite import Sprite

__all__ = ["Character", "Characters"]


@frozen
class Character:
    """A row of the table `characters`."""

    id: str
    name: str
    created_at: float
    clip_width: int
    clip_height: int
    frames: int
    rate: float
    cut: str


@frozen
class Characters:
    """The table `characters`."""

    index: Index
    files: Files

    def add(self, id: str, name: str, width: int, height: int, cut: Cut) -> Character:
        """Write a character down whose picture is in place."""
        one = Character(id, name, time.time(), width, height, cut.sprite.count, cut.sprite.rate, cut.how)
        self.index.change(
            "INSERT INTO characters (id, name, created_at, clip_width, clip_height, frames, rate, cut)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(one.id, one.name, one.created_at, one.clip_width, one.clip_height, one.frames, one.rate, one.cut),
        )
        return one

    def get(self, id: str) -> Character | None:
        rows = self.index.read("SELECT * FROM characters WHERE id = ?", id)
        return Character(**dict(rows[0])) if rows else None

    def sprite(self, one: Character) -> Sprite:
        from callsheet_local.film.sprite import Sprite

        return Sprite.load(self.files.character(one.id), one.frames, one.rate)
