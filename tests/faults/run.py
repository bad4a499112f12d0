"""Run the fault matrix: python3 dev.py faults [--provider NAME] [--seed N] [--sample 300] [--only SUBSTRING]."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tests.faults.play import World

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.faults.cells import FAULTS, VENDORS, Cell, chosen  # noqa: E402  found by the line above
from tests.faults.groups import BY_MODEL  # noqa: E402

__all__ = ["Verdict", "judge", "main", "prove", "run"]

HUNG = 40
"""Seconds after which a cell has hung."""
_world: World
"""Of this process."""


@frozen
class Verdict:
    """What came of one cell."""

    cell: Cell
    seconds: float
    violations: list[str]


def _prepare() -> None:
    """In each worker: the world, and a collector that does not look at imported modules each time."""
    import faulthandler
    import gc

    from tests.faults.play import World

    global _world
    faulthandler.enable()
    _world = World()
    for provider in VENDORS:  # imports what is imported late, opens what is opened once
        judge(Cell(provider, "23 500", "chat", "before", "sync", True))
    for mode in ("asyncio", "trio"):
        judge(Cell("openai", "23 500", "character create", "before", mode, True))
    gc.collect()
    gc.freeze()


def judge(cell: Cell) -> Verdict:
    """Play a cell and ask the oracles."""
    import signal

    from tests.faults.oracles import violations
    from tests.faults.play import play

    def hung(*_: object) -> None:
        raise TimeoutError(f"hung for {HUNG} s")

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(HUNG)
    try:
        found = violations(play(cell, _world))
    except Exception as error:
        found = [f"the cell itself failed: {error!r}"]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Verdict(cell, time.monotonic() - started, found)


def _several(cells: Sequence[Cell]) -> list[Verdict]:
    return [judge(cell) for cell in cells]


def run(cells: Sequence[Cell], workers: int) -> Iterator[Verdict]:
    """Judge cells in so many processes: leaks are counted for a process, so that each cell needs one for itself."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_prepare) as pool:
        handful = max(1, min(10, len(cells) // (workers * 4)))
        waiting = [pool.submit(_several, cells[start : start + handful]) for start in range(0, len(cells), handful)]
        for future in as_completed(waiting):
            yield from future.result()


def _tables(verdicts: Sequence[Verdict]) -> str:
    """For each vendor, fault by operation: how many were played, or how many of them failed."""
    played: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for verdict in verdicts:
        played[verdict.cell.square].append(bool(verdict.violations))
    return "\n".join(_table(name, played) for name in dict.fromkeys(key[0] for key in sorted(played)))


def _table(provider: str, played: Mapping[tuple[str, str, str], list[bool]]) -> str:
    there = {operation for name, _, operation in played if name == provider}
    names = [name for name in (*VENDORS[provider.partition(",")[0]].operations, BY_MODEL.name) if name in there]
    lines = [f"{provider:31}" + " ".join(f"{name.partition(':')[0][:7]:>7}" for name in names)]
    if any(":" in name for name in names):
        lines.append(" " * 31 + " ".join(f"{name.partition(': ')[2]:>7}" for name in names))
    for fault in FAULTS:
        row = []
        for name in names:
            results = played.get((provider, fault, name), [])
            row.append(f"{sum(results)}!/{len(results)}" if any(results) else str(len(results)) if results else ".")
        if any(word != "." for word in row):
            lines.append(f"{fault:31}" + " ".join(f"{word:>7}" for word in row))
    return "\n".join(lines)


def _grouped(verdicts: Sequence[Verdict]) -> str:
    """Each violation once for a vendor, a fault and an operation, with the cells that have it."""
    found: dict[tuple[str, int, str, str, str], list[str]] = defaultdict(list)
    for verdict in verdicts:
        provider, fault, operation = verdict.cell.square
        for violation in verdict.violations:
            found[provider, verdict.cell.number, fault, operation, violation].append(verdict.cell.variant)
    return "\n".join(
        f"{provider} | {fault} | {operation}\n    {violation}\n    in: {'; '.join(sorted(cells))}"
        for (provider, _, fault, operation, violation), cells in sorted(found.items())
    )


def prove() -> int:
    """Spoil Callsheet on purpose, in one way after the other, and see whether the oracles say so."""
    from tests.faults.breaking import BREAKS

    _prepare()
    missed = 0
    for one in BREAKS:
        clean = judge(one.cell).violations
        with one.applied():
            found = any(one.words in violation for violation in judge(one.cell).violations)
        missed += bool(clean) or not found
        verdict = f"failed before: {clean}" if clean else "found" if found else "MISSED"
        print(f"{one.spoil.__name__}: {one.cell}: {verdict}", flush=True)
    return 1 if missed else 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py faults", description="Run the fault matrix, by default for all its vendors."
    )
    parser.add_argument("--provider", choices=VENDORS, help="for this one only")
    parser.add_argument("--seed", type=int, default=1, help="what the sample and the order are drawn from")
    parser.add_argument("--sample", type=int, help="so many cells instead of all")
    parser.add_argument("--only", default="", help="cells whose name contains this, such as '25 503 | video create'")
    parser.add_argument("--workers", type=int, default=max(2, 2 * (os.cpu_count() or 1)), help="processes")
    parser.add_argument("--prove", action="store_true", help="spoil Callsheet in each known way: all must be found")
    options = parser.parse_args(words)
    if options.prove:
        return prove()
    providers = [options.provider] if options.provider else list(VENDORS)
    cells = chosen(providers, options.seed, options.sample, options.only)
    if not cells:
        parser.error(f"no cell's name contains {options.only!r}")
    started, told, verdicts = time.monotonic(), 0.0, []
    for verdict in run(cells, min(options.workers, len(cells))):
        verdicts.append(verdict)
        if time.monotonic() - told > (0.2 if sys.stderr.isatty() else 15):
            told = time.monotonic()
            bad = sum(bool(one.violations) for one in verdicts)
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"{len(verdicts)} of {len(cells)} cells, {bad} bad", end=end, file=sys.stderr, flush=True)
    bad = sum(bool(verdict.violations) for verdict in verdicts)
    took = time.monotonic() - started
    print(f"{_tables(verdicts)}\n{_grouped(verdicts)}")
    print(f"{len(verdicts)} cells in {took:.0f} s, seed {options.seed}: {bad} with violations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
