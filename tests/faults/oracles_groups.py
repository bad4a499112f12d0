"""What must hold where several deployments are behind one name: who was asked, what that says of them, whose key it was."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.play import Doing, Record

__all__ = ["of_groups"]

ASKED_FOR = {15, 17, 19, 20, 34}
"""What the request, or the account's country, is to blame for: it says nothing of the deployment."""
THROTTLED = {21, 22}
WELL = Doing(failures=0, ejected=False, paused=False, under_way=0)


def of_groups(record: Record, attempts: int) -> Iterator[str]:
    """Everything that must not be. `attempts` is how often the call is sent when the fault comes every time."""
    cell = record.cell
    for mixed_up in record.mixed_up:
        yield f"O4 secret: another account was shown {mixed_up}"
    for side, doing in enumerate(record.health):
        if doing.under_way:
            yield f"O6 leak: {doing.under_way} calls are under way at deployment {side}"
    if not cell.spreads:
        if others := [side for side in record.sides if side]:
            yield f"I9 pinned: {len(others)} requests at another account"
        if any(doing != WELL for doing in record.health):
            yield f"O8 health: {record.health}, by a call that had no choice"
        return
    order = [0, 1, 1] if cell.topology == "two" else [0, 1, 2]
    if cell.number > 6 and record.sides != order[: len(record.sides)]:
        yield f"I4 attempts: at the deployments {record.sides}, {order} is the order"
    if cell.always and len(record.sides) > attempts:
        yield f"I4 attempts: {len(record.sides)} deployments were asked, and there is time and leave for {attempts}"
    yield from _health(record, min(attempts, 3))


def _health(record: Record, attempts: int) -> Iterator[str]:
    """O8: only what the upstream is to blame for changes how a deployment is doing, and only of those that were asked."""
    cell, order = record.cell, [0, 1, 1] if record.cell.topology == "two" else [0, 1, 2]
    failed = {side: order[:attempts].count(side) for side in set(order[:attempts])} if cell.always else {0: 1}
    for side, doing in enumerate(record.health):
        times = failed.get(side, 0)
        if not times or cell.number in ASKED_FOR or _was_handed_out(record):
            wanted = WELL
        elif cell.number in THROTTLED:
            wanted = Doing(0, ejected=False, paused=True, under_way=0)
        else:  # two in a row are one too many, in a group of several
            wanted = Doing(times, ejected=times > 1, paused=False, under_way=0)
        if doing.paused != wanted.paused and cell.number == 21 and not doing.failures:
            continue  # its pause is over by now, or not
        if doing != wanted:
            yield f"O8 health: deployment {side} is {doing}, {wanted} wanted"


def _was_handed_out(record: Record) -> bool:
    """Whether an answer had begun: the deployment was there, and did its part until then."""
    good = record.error is None and record.cell.always
    return good or (
        record.cell.op.answer == "stream"
        and bool(record.events)  # its head alone says little
        and bool(record.sides)
        and record.cell.number in {9, 10, 11, 12, 13, 14, 32, 33}
    )
