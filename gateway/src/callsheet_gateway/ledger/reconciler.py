"""What nobody asks about any more is looked after: jobs until they are over, calls until they must be, and the unknown.

A look costs nothing, and comes out of nobody's limits.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from attrs import define, field

from callsheet import CallsheetError, NotFoundError, UnsupportedOperation
from callsheet.models import GetResponse, GetVideo
from callsheet.routing import CallRecord
from callsheet_gateway.ledger.charge import Charge
from callsheet_gateway.ledger.costs import VIDEO
from callsheet_gateway.ledger.finder import Finder
from callsheet_gateway.ledger.turns import Turns
from callsheet_gateway.owned_ids import OwnedIds
from callsheet_gateway.principal import Principal
from callsheet_gateway.records import recorded

if TYPE_CHECKING:
    from callsheet_gateway.face import Face

__all__ = ["Reconciler", "reconciling"]

log = logging.getLogger("callsheet.gateway")

AT_ONCE = 4
"""Looks under way at one account."""
A_ROUND = 64
"""Looks at one account at most before the others have their turn."""
PATIENCE = 30.0
"""Seconds that one look may take."""
RAREST = 600.0
"""Seconds between two looks at a job that takes long."""
MISSES = 3
"""How often in a row a provider has to say that there is no such job, until it is believed."""


@define(eq=False)
class Reconciler:
    """Looks after the charges of one gateway, every `every` seconds at each at most; older ones less often."""

    face: Face
    every: float
    finder: Finder = field(init=False)
    _next: dict[str, float] = field(factory=dict, init=False)
    _misses: dict[str, int] = field(factory=dict, init=False)
    _turns: Turns = field(factory=Turns, init=False)

    def __attrs_post_init__(self) -> None:
        face = self.face
        self.finder = Finder(face.client, face.state, face.ledger, face.prices, self.every)

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            async with asyncio.TaskGroup() as all_of_them:
                for work in (self.look, self.finder.look, self.end_calls):
                    all_of_them.create_task(self._again_and_again(work))
        finally:
            await self._turns.end()
            await self.finder.turns.end()

    async def look(self) -> int:
        """Begin to look at the jobs that are due. How many there are, due or not."""
        face, now = self.face, self.face.ledger.clock()
        running = face.ledger.rows.waiting("running", [*VIDEO, "responses"])
        known = {charge.id for charge in running}
        self._next = {id: at for id, at in self._next.items() if id in known}
        self._misses = {id: count for id, count in self._misses.items() if id in known}
        due = defaultdict[str, list[Charge]](list)
        for one in running:
            if now >= self._next.get(one.id, one.created_at + self.every):
                due[one.account or ""].append(one)
        await self._turns.take({id: partial(self._look_at_all, charges[:A_ROUND]) for id, charges in due.items()})
        return len(running)

    async def end_calls(self) -> int:
        """Settle the realtime calls whose longest duration is over: they cost what they can have cost at most."""
        ledger, now, count = self.face.ledger, self.face.ledger.clock(), 0
        for state in ("running", "unknown"):
            for charge in ledger.rows.waiting(state, ["relay_sdp"]):
                count += 1
                if now >= charge.asked.get("until", charge.created_at):
                    charge.turn("settled", now, charge.most())
                    ledger.settle(charge)
        return count

    async def _look_at_all(self, charges: Sequence[Charge]) -> None:
        doors = asyncio.Semaphore(AT_ONCE)

        async def one(charge: Charge) -> None:
            async with doors:
                if not self.face.drain.over:
                    await self._look_at(charge)

        await asyncio.gather(*map(one, charges))

    async def _look_at(self, charge: Charge) -> None:
        face, jobs = self.face, self.face.jobs
        again = min(RAREST, max(self.every, (face.ledger.clock() - charge.created_at) / 4))
        self._next[charge.id] = face.ledger.clock() + again * random.uniform(1.0, 1.2)  # noqa: S311  no secret
        ids = OwnedIds(face.state.codecs, face.state.resources, Principal("the ledger", charge.owner))
        video, call = charge.operation in VIDEO, CallRecord()
        name = "get_video" if video else "get_response"
        request = GetVideo(video_id=charge.resource or "") if video else GetResponse(response_id=charge.resource or "")
        try:
            result = await face.router.call(
                name, request, face.client.transport, timeout=PATIENCE, ids=ids, record=call
            )
        except (NotFoundError, UnsupportedOperation) as error:
            if isinstance(error, NotFoundError) and not call.attempts:
                # Nobody was asked: its account is not configured any more - or it was deleted, and the gateway killed
                # before it had written down what that makes it cost.
                if video and charge.place is not None and face.ledger.rows.deleted(charge.place):
                    jobs.done([charge])
                return
            self._misses[charge.id] = self._misses.get(charge.id, 0) + 1
            if isinstance(error, UnsupportedOperation) or self._misses[charge.id] >= MISSES:
                # It was accepted, and may have been done: that it is gone proves nothing to the contrary.
                jobs.done([charge]) if video else jobs.lost(charge)
            return
        except CallsheetError:
            return  # the next look may do
        self._misses.pop(charge.id, None)
        if video:
            result = await recorded(face.state.resources, name, request, result, None, ids)
            if result.meta.poll_after is not None:
                wanted = face.ledger.clock() + result.meta.poll_after
                self._next[charge.id] = max(self._next[charge.id], wanted)
        jobs.seen(name, request, result, ids, call)

    async def _again_and_again(self, work: Callable[[], Awaitable[int]]) -> None:
        rows = 0
        while True:
            # To read so many rows takes its time, in which nobody is answered: at most a few per cent of it.
            await asyncio.sleep(max(min(1.0, self.every / 4), rows / 1000))
            try:
                rows = await work()
            except Exception as error:
                # Whatever it is, tomorrow's charges have to be looked after, too. The words may hold anything.
                log.error("looking after the charges: %s", type(error).__name__)  # noqa: TRY400  no traceback: see above


@asynccontextmanager
async def reconciling(face: Face) -> AsyncIterator[None]:
    """Look after a gateway's charges as long as the context lasts."""
    task = asyncio.create_task(Reconciler(face, face.settings.reconcile_seconds).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
