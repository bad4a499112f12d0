"""The ids that a caller holds: his own, or - with the master key - anybody's whose row says whose it is.

An id of another owner, a changed one, one of another kind and a provider's own are all the same: there is no such thing.
"""

from __future__ import annotations

from attrs import define, field, frozen

from callsheet import NotFoundError
from callsheet.ids import IdCodec, ManagedId
from callsheet.models.base import IdKind
from callsheet_gateway.errors import Refused
from callsheet_gateway.principal import Principal
from callsheet_gateway.resources import Resource, Resources
from callsheet_gateway.root_keys import RootKeys

__all__ = ["Codecs", "OwnedIds"]

_PURPOSE = "managed ids 1"
_WITH_ROWS = {"video", "character"}


@frozen
class Codecs:
    """What makes and reads the ids of each owner, by keys of this gateway."""

    keys: dict[int, bytes] = field(repr=False)
    current: int = 0

    @classmethod
    def of(cls, root: RootKeys) -> Codecs:
        return cls(root.derived(_PURPOSE), root.current)

    def owned_by(self, owner: str) -> IdCodec:
        return IdCodec(self.keys, self.current, owner)


@define(eq=False)
class OwnedIds:
    """The ids of one call. After it, `owner` is whose things it was about, and `rows` what is known of them."""

    codecs: Codecs
    resources: Resources
    principal: Principal
    owner: str = field(init=False)
    rows: dict[str, Resource] = field(factory=dict, init=False)
    _named: dict[ManagedId, str] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.owner = self.principal.owner

    def encode(self, kind: IdKind, account: bytes, upstream: str) -> str:
        """The id of something that belongs to this call's owner; by what the caller calls it, where he did.

        That makes a difference after the root key was rotated: an earlier id goes on being the name of its job.
        """
        managed = ManagedId(kind, account, upstream)
        if managed not in self._named:
            self._named[managed] = self.codecs.owned_by(self.owner).encode(kind, account, upstream)
        return self._named[managed]

    def decode(self, id: str, kind: IdKind) -> ManagedId:
        """Read an id. NotFoundError if it is not the caller's to use, or is gone; Refused (403) for a model he may not use."""
        with_row = kind in _WITH_ROWS
        if self.principal.admin and with_row and (said := self.codecs.owned_by("").unverified(id, kind)) is not None:
            theirs = self.resources.of(said, None)
            self._act_for(theirs.owner if theirs is not None else self.owner)
        managed = self.codecs.owned_by(self.owner).decode(id, kind)  # the MAC tells whether the id is his
        self._named[managed] = id
        if not with_row or (row := self.resources.of(managed, self.owner)) is None:
            return managed
        if row.deleted_at is not None:
            raise NotFoundError(f"there is no {kind} {id[:60]!r}: it was deleted", code="not_found")
        self.rows[id] = row
        if row.model is not None and not self.principal.may_use(row.model):
            raise Refused(
                403, f"this key may not use the model {row.model!r:.80}, of which {id[:60]!r} is", "model_not_allowed"
            )
        return managed

    def managed(self, id: str) -> ManagedId:
        """What an id of this call's is of."""
        return next(managed for managed, named in self._named.items() if named == id)

    def _act_for(self, owner: str) -> None:
        """The master key goes on as the owner of what it names: what comes of it is that owner's, too."""
        if any(row.owner != owner for row in self.rows.values()):
            raise Refused(400, "the ids in this request belong to different owners", "ids_of_different_owners")
        self.owner = owner
