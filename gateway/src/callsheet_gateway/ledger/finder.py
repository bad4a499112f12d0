"""Jobs of which nobody knows whether they were begun: the provider's own list of them tells.

Either an answer was lost on its way, or the gateway ended between sending and writing down. A job that is in the list and
nobody's yet, has the same prompt and model and was begun at that time is the one. If there is none, nothing was begun. Where
the list leaves it open, the charge stays unknown, with the most that it can cost, and is not asked for again.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Sequence

from attrs import define, field

from callsheet import AsyncClient, CallsheetError, NotFoundError, UnsupportedOperation, Video
from callsheet.account import Account
from callsheet.ids import ManagedId
from callsheet.models import ListVideos
from callsheet.models.base import IdKind, OperationRequest
from callsheet_gateway.ledger.billing import prompt_hash
from callsheet_gateway.ledger.charge import Charge, place_of
from callsheet_gateway.ledger.costs import LISTED, cost_of_video, promise
from callsheet_gateway.ledger.ledger import Ledger
from callsheet_gateway.ledger.prices import Prices
from callsheet_gateway.state import State

__all__ = ["Finder"]

log = logging.getLogger("callsheet.gateway")

CLOCKS_DIFFER = 5.0
TAKES_AT_MOST = 600.0
"""Seconds before and after the intent in which its job can have been begun."""
CERTAIN_AFTER = 5.0
"""Seconds after the end of a call until its job is in the list, if there is one."""
PATIENCE = 30.0
RAREST = 600.0
GIVEN_UP_AFTER = 86400.0
"""Seconds for which a list that can't be had is asked for."""
PAGES, A_PAGE = 50, 100
_SNAPSHOT = re.compile(r"-([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})$")


class _Raw:
    """The provider's own ids, as they are."""

    def encode(self, kind: IdKind, account: bytes, upstream: str) -> str:  # noqa: ARG002  the protocol's
        return upstream

    def decode(self, id: str, kind: IdKind) -> ManagedId:  # noqa: ARG002
        raise NotFoundError("not one of ours", code="not_found")  # so that the router takes it for the provider's own


@define(eq=False)
class Finder:
    """Finds out what became of unknown jobs."""

    client: AsyncClient
    state: State
    ledger: Ledger
    prices: Prices
    every: float
    started: float = field(init=False)
    _next: dict[str, tuple[float, float]] = field(factory=dict, init=False)
    """By account: when its list may be asked for again, and the seconds until the time after that."""

    def __attrs_post_init__(self) -> None:
        self.started = self.ledger.clock()

    async def look(self) -> int:
        """Ask each account where something is unknown for its list. How many unknown ones there are."""
        now, by_account = self.ledger.clock(), defaultdict[tuple[str, str], list[Charge]](list)
        for charge in self.ledger.rows.waiting("unknown", LISTED):
            if charge.provider is not None and charge.account is not None:
                by_account[charge.provider, charge.account].append(charge)
        for (provider, id), charges in by_account.items():
            at, pause = self._next.get(id, (0.0, self.every))
            if now < at or not any(self._is_ripe(charge, now) for charge in charges):
                continue
            self._next[id] = now + pause, min(RAREST, pause * 2)
            if (account := self._account(provider, id)) is not None and await self._ask(account, charges):
                del self._next[id]
            elif now - min(charge.created_at for charge in charges) > GIVEN_UP_AFTER:
                self._leave([charge for charge in charges if now - charge.created_at > GIVEN_UP_AFTER])
        return sum(map(len, by_account.values()))

    async def _ask(self, account: Account, charges: Sequence[Charge]) -> bool:
        """Settle what an account's list tells. Whether there was one."""
        asked_at = self.ledger.clock()
        since = min(charge.created_at for charge in charges) - CLOCKS_DIFFER
        try:
            videos = await self._list(account, since)
        except UnsupportedOperation:
            self._leave(charges)
            return True
        except CallsheetError as error:
            log.warning("the list of jobs at account %s can't be had: %s", account.id, type(error).__name__)
            return False
        # From here on nothing waits: whatever was sent before the list was made has its row by now.
        free = [video for video in videos if not self.ledger.rows.claimed(place_of(account.tag, video.id))]
        groups = defaultdict[str, list[Charge]](list)
        for charge in self.ledger.rows.waiting("unknown", LISTED):
            if charge.account == account.id:
                groups[charge.asked.get("prompt", "")].append(charge)
        under_way = {
            charge.asked.get("prompt") for charge in self.ledger.rows.waiting("begun", LISTED)
            if charge.account == account.id
        }  # fmt: skip
        for prompt, group in groups.items():
            if prompt not in under_way and all(self._is_ripe(charge, asked_at) for charge in group):
                self._decide(account, group, free)
        return True

    def _decide(self, account: Account, group: list[Charge], free: list[Video]) -> None:
        """`group` are all unknown jobs at an account with one prompt, the oldest first."""
        fit = [video for video in free if any(_fits(charge, video) for charge in group)]
        fit.sort(key=lambda video: video.created_at or 0)
        in_order = len(fit) == len(group) and all(map(_fits, group, fit))
        if not fit and not any(video.prompt is None and any(_is_of(one, video) for one in group) for video in free):
            for charge in group:
                charge.turn("void", self.ledger.clock())
                self.ledger.settle(charge)
        elif in_order and all(video.prompt is not None for video in fit) and len({one.owner for one in group}) == 1:
            # Not where two owners had the same idea: nobody gets to see what may be another one's.
            for charge, video in zip(group, fit, strict=True):
                self._adopt(account, charge, video)
        else:
            self._leave(group)

    def _adopt(self, account: Account, charge: Charge, video: Video) -> None:
        """The job is this charge's: its owner finds it in his list."""
        managed, codec = ManagedId("video", account.tag, video.id), self.state.codecs.owned_by(charge.owner)
        changes = {"id": codec.encode("video", account.tag, video.id)}
        if (source := video.remixed_from_video_id) is not None:
            theirs = self.state.resources.of(ManagedId("video", account.tag, source), charge.owner)
            changes["remixed_from_video_id"] = theirs.id if theirs is not None else None  # type: ignore[assignment]
        price = self.prices.at(charge.provider, charge.account, charge.upstream_model or video.model)
        said = {name: charge.asked[name] for name in ("seconds", "size") if name in charge.asked}
        promise(charge, price, OperationRequest.model_validate(said), video)
        charge.resource, charge.place = changes["id"], place_of(account.tag, video.id)
        now = self.ledger.clock()
        if video.finished:
            cost = cost_of_video(charge, price, video)
            charge.turn("void" if video.status == "failed" and cost == 0 else "settled", now, cost)
        else:
            charge.turn("running", now)
        document = video.model_copy(update=changes).wire()
        if charge.model is not None:
            document["model"] = charge.model
        self.ledger.settle(charge, self.state.resources.kept(managed, charge.owner, charge.model, document))

    def _leave(self, charges: Sequence[Charge]) -> None:
        """Nobody will know: they count with the most that they can have cost."""
        now = self.ledger.clock()
        for charge in charges:
            charge.turn("unknown", now)
            charge.settled_at = now
            self.ledger.settle(charge)

    async def _list(self, account: Account, since: float) -> list[Video]:
        """The jobs of an account from a time on. APIError if they can't be had, all of them."""
        found: list[Video] = []
        after: str | None = None
        for _ in range(PAGES):
            asked = {"limit": A_PAGE, "order": "desc", **({"after": after} if after is not None else {})}
            page = await self.client.router.call(
                "list_videos",
                ListVideos.model_validate(asked),
                self.client.transport,
                provider=account.id,
                timeout=PATIENCE,
                ids=_Raw(),
            )
            found += page.data
            times = [video.created_at or 0 for video in found]
            if not page.has_more or not page.data or (times[-1] < since and times == sorted(times, reverse=True)):
                return found
            after = page.data[-1].id
        raise CallsheetError(f"more than {PAGES * A_PAGE} jobs")

    def _is_ripe(self, charge: Charge, now: float) -> bool:
        """Whether its call has ended so long ago that its job must be in the list by now."""
        ended = self.started if charge.process != self.ledger.process else charge.created_at
        ended = float(charge.asked.get("ended", ended))
        return now >= ended + min(CERTAIN_AFTER, self.every / 3)

    def _account(self, provider: str, id: str) -> Account | None:
        """A charge's account; None if it is not there any more."""
        for name in (id, provider):
            try:
                account = self.client.accounts.of_provider(name)
            except CallsheetError:
                continue
            if account.id == id:
                return account
        return None


def _is_of(charge: Charge, video: Video) -> bool:
    """Whether a job was begun when a charge's was, with the same model."""
    at = video.created_at
    if at is not None and not charge.created_at - CLOCKS_DIFFER <= at <= charge.created_at + TAKES_AT_MOST:
        return False
    asked, made = charge.upstream_model, video.model
    return asked is None or made is None or made == asked or _SNAPSHOT.sub("", made) == asked


def _fits(charge: Charge, video: Video) -> bool:
    """Whether a job can be a charge's."""
    if video.prompt is None or prompt_hash(video.prompt) != charge.asked.get("prompt") or not _is_of(charge, video):
        return False
    names = ("size",) if charge.operation == "extend" else ("size", "seconds")  # its seconds are those that are added
    return all(getattr(video, name) in {None, charge.asked.get(name, getattr(video, name))} for name in names)
