"""Jobs of which nobody knows whether they were begun: the provider's own list of them tells.

Either an answer was lost on its way, or the gateway ended between sending and writing down. A job that is in the list and
nobody's yet, has the same prompt and model and was begun at that time is the one. If there is none for long enough, and no
other that could be it after all, nothing was begun. Where the list leaves it open, the charge stays unknown, with the most
that it can cost, and is not asked for again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from attrs import define, field

from callsheet import AsyncClient, CallsheetError, NotFoundError, UnsupportedOperation, Video
from callsheet.account import Account
from callsheet.ids import ManagedId
from callsheet.models import ListVideos
from callsheet.models.base import IdKind, OperationRequest
from callsheet.pricing.book import undated
from callsheet_gateway.database import Statement
from callsheet_gateway.ledger.billing import prompt_hash
from callsheet_gateway.ledger.charge import Charge, id_at, place_of
from callsheet_gateway.ledger.costs import LISTED, cost_of_video, promise
from callsheet_gateway.ledger.ledger import Ledger
from callsheet_gateway.ledger.prices import Prices
from callsheet_gateway.ledger.siblings import Siblings
from callsheet_gateway.ledger.turns import Turns
from callsheet_gateway.state import State

__all__ = ["Finder"]

log = logging.getLogger("callsheet.gateway")

CLOCKS_DIFFER = 5.0
TAKES_AT_MOST = 600.0
"""Seconds before and after the intent in which its job can have been begun."""
NEARLY = 60.0
"""Seconds around those in which a job that nobody knows of may be one that was asked for after all."""
SAME_PROMPT = 600.0
"""The same, if it has the very prompt: clocks can be far apart."""
FIRST_AFTER = 5.0
"""Seconds after the end of a call until its job can be looked for, and from one list of an account to the next."""
CERTAIN_AFTER = 46.0
"""Seconds after the end of a call until its job is in the list, if there is one: providers may take their time, and ours was
cut short. All has to be known after a minute, so not much more.
"""
LISTS = 2
"""How many lists must be without a job, until it is believed that there is none."""
PATIENCE = 30.0
RAREST = 600.0
GIVEN_UP_AFTER = 86400.0
"""Seconds for which a list that can't be had is asked for."""
PAGES, A_PAGE = 50, 100


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
    """By account: when its list may be asked for again, and the seconds after that, if it can't be had."""
    _looks: dict[str, tuple[int, float]] = field(factory=dict, init=False)
    """By charge: how many lists it was looked for in, and when the last one was asked for."""
    turns: Turns = field(factory=Turns, init=False)

    def __attrs_post_init__(self) -> None:
        self.started = self.ledger.clock()

    async def look(self) -> int:
        """Have each account where something is unknown asked for its list. How many unknown ones there are."""
        now, by_account = self.ledger.clock(), defaultdict[tuple[str, str], list[Charge]](list)
        waiting = self.ledger.rows.waiting("unknown", LISTED)
        for charge in waiting:
            if charge.provider is not None and charge.account is not None:
                by_account[charge.provider, charge.account].append(charge)
        known = {charge.id for charge in waiting}
        self._looks = {id: looks for id, looks in self._looks.items() if id in known}
        due = {
            id: partial(self._look_at, provider, id, charges)
            for (provider, id), charges in by_account.items()
            if now >= self._next.get(id, (0.0, 0.0))[0] and any(self._due(charge) <= now for charge in charges)
        }
        await self.turns.take(due)
        return len(waiting)

    async def _look_at(self, provider: str, id: str, charges: Sequence[Charge]) -> None:
        now, (_, pause) = self.ledger.clock(), self._next.get(id, (0.0, self.every))
        self._next[id] = now + pause, min(RAREST, pause * 2)
        if (account := self._account(provider, id)) is not None and await self._ask(account, charges):
            self._next[id] = now + self._first, self.every
        else:
            self._leave([charge for charge in charges if now - charge.created_at > GIVEN_UP_AFTER])

    async def _ask(self, account: Account, charges: Sequence[Charge]) -> bool:
        """Settle what an account's list tells. Whether there was one."""
        asked_at = self.ledger.clock()
        since = min(charge.created_at for charge in charges) - CLOCKS_DIFFER - SAME_PROMPT
        try:
            videos = await self._list(account, since)
        except UnsupportedOperation:
            self._leave(charges)
            return True
        except Exception as error:  # whatever it is, it is not for ever
            log.warning("the list of jobs at account %s can't be had: %s", account.id, type(error).__name__)
            return False
        # From here on nothing waits: whatever was sent before the list was made has its row by now. But rows go over from
        # one state to the next meanwhile, and are read in this order, so that each is seen in one of them.
        rows, siblings = self.ledger.rows, self._siblings(account)
        under_way = list(filter(siblings.ordered, rows.waiting("begun", LISTED)))
        unknown = list(filter(siblings.ordered, rows.waiting("unknown", LISTED)))
        left = list(filter(siblings.ordered, rows.left_unknown(LISTED, since - TAKES_AT_MOST)))
        # Also what was ordered by an account that is gone, with a key that was changed since.
        taken = {id_at(one.place) for one in rows.placed(LISTED, since - TAKES_AT_MOST) if siblings.ordered(one)}
        free = [
            video
            for video in videos
            if id_at(place_of(b"", video.id)) not in taken and not rows.claimed(*siblings.places(video.id))
        ]
        groups = defaultdict[object, list[Charge]](list)
        for charge in unknown:
            if charge.account == account.id:
                groups[charge.asked.get("prompt")].append(charge)
                if asked_at >= self._ended(charge) + self._first:
                    self._looks[charge.id] = self._looks.get(charge.id, (0, 0.0))[0] + 1, asked_at
        awaited = {charge.asked.get("prompt") for charge in under_way}
        for prompt, group in groups.items():
            if prompt not in awaited:
                with self._apart(account, group):
                    self._decide(account, group, free, [*unknown, *left], asked_at)
        # What is another order's, by its prompt, is not what became of these.
        others = [*under_way, *unknown, *left]
        for group in groups.values():
            with self._apart(account, group):
                if not any(_fits(charge, video) for charge in group for video in free):
                    for charge in group:
                        if self._is_certain(charge, asked_at):
                            self._void_or_leave(charge, free, others)
        return True

    @contextmanager
    def _apart(self, account: Account, group: Sequence[Charge]) -> Iterator[None]:
        """Leave charges with which something goes wrong, so that the others go on."""
        try:
            yield
        except sqlite3.Error:
            raise  # none of theirs
        except Exception as error:
            # Its words may hold anything. What was changed of the charges so far is nowhere but here.
            log.error("what became of jobs at account %s can't be told: %s", account.id, type(error).__name__)  # noqa: TRY400
            self._leave([row for charge in group if (row := self.ledger.rows.by_id(charge.id)) is not None])

    def _decide(
        self, account: Account, group: list[Charge], free: list[Video], unknown: list[Charge], asked_at: float
    ) -> None:
        """Settle unknown jobs of which there are some in the list.

        `group` are all at an account with one prompt that are still looked for, the oldest first; `unknown` all that may
        be in the list, of any prompt and account, also those that are not looked for any more.
        """
        fit = [video for video in free if any(_fits(charge, video) for charge in group)]
        if not fit or not all(self._looks.get(charge.id) for charge in group):
            return
        fit.sort(key=lambda video: video.created_at or 0)
        in_order = len(fit) == len(group) and all(map(_fits, group, fit))
        owner = group[0].owner
        # Not where two owners had the same idea: nobody gets to see what may be another one's. Nor where two accounts
        # were asked for the same: each would find it.
        rivals = [one for one in unknown if (one.owner, one.account) != (owner, account.id)]
        if in_order and not any(_fits(rival, video) for rival in rivals for video in fit):
            # Each before any: a group of which one job is odd is left, all of it.
            adopted = [
                (charge, self._adopted(account, charge, video)) for charge, video in zip(group, fit, strict=True)
            ]
            for charge, kept in adopted:
                self.ledger.settle(charge, kept)
        elif len(fit) >= len(group) or all(self._is_certain(charge, asked_at) for charge in group):
            self._leave(group)

    def _void_or_leave(self, charge: Charge, free: list[Video], others: list[Charge]) -> None:
        """There is no job that is surely this charge's: if there is none that may be, nothing was begun."""
        prompt = charge.asked.get("prompt")
        strange = [
            video
            for video in free
            if not any(one.asked.get("prompt") != prompt and _fits(one, video) for one in others)
        ]
        if any(_nearly_fits(charge, video) for video in strange):
            self._leave([charge])
        else:
            charge.turn("void", self.ledger.clock())
            self.ledger.settle(charge)

    def _adopted(self, account: Account, charge: Charge, video: Video) -> Statement:
        """The job is this charge's. What writes down that its owner finds it in his list."""
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
        return self.state.resources.kept(managed, charge.owner, charge.model, document)

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

    def _siblings(self, account: Account) -> Siblings:
        return Siblings.of(account, (backend.deployment.account for backend in self.client.router.models.backends()))

    @property
    def _first(self) -> float:
        return min(FIRST_AFTER, self.every / 3)

    def _ended(self, charge: Charge) -> float:
        """When its call ended, as far as is known: of an earlier run's, not after this one began."""
        ended = self.started if charge.process != self.ledger.process else charge.created_at
        return float(charge.asked.get("ended", ended))

    def _certain_at(self, charge: Charge) -> float:
        return self._ended(charge) + min(CERTAIN_AFTER, self.every * 5)

    def _is_certain(self, charge: Charge, now: float) -> bool:
        """Whether its call has ended so long ago that its job must be in the list by now, if there is one."""
        return self._looks.get(charge.id, (0, 0.0))[0] >= LISTS and now >= self._certain_at(charge)

    def _due(self, charge: Charge) -> float:
        """When its job should be looked for."""
        if charge.id not in self._looks:
            return self._ended(charge) + self._first
        looks, last = self._looks[charge.id]
        certain_at = self._certain_at(charge)
        if last < certain_at:
            return min(certain_at, last + self.every)
        return last + (self._first if looks < LISTS else self.every)

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
    return asked is None or made is None or made == asked or undated(made) == asked


def _fits(charge: Charge, video: Video) -> bool:
    """Whether a job can be a charge's."""
    if video.prompt is None or prompt_hash(video.prompt) != charge.asked.get("prompt") or not _is_of(charge, video):
        return False
    names = ("size",) if charge.operation == "extend" else ("size", "seconds")  # its seconds are those that are added
    return all(getattr(video, name) in {None, charge.asked.get(name, getattr(video, name))} for name in names)


def _nearly_fits(charge: Charge, video: Video) -> bool:
    """Whether a job may be a charge's after all: clocks differ, and providers change prompts and names."""
    same = video.prompt is not None and prompt_hash(video.prompt) == charge.asked.get("prompt")
    leeway = SAME_PROMPT if same else NEARLY
    first, last = charge.created_at - CLOCKS_DIFFER - leeway, charge.created_at + TAKES_AT_MOST + leeway
    return video.created_at is None or first <= video.created_at <= last
