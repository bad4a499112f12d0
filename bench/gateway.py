"""What the gateway costs: beside a bare relay over the same HTTP client (the floor), and beside LiteLLM's proxy.

A fast upstream, the load and each server are processes of their own, one worker each. All are measured in turn, in
another order each round; figures are medians. Look at the ratios: absolute figures move with the machine, most of all one
on which something else runs. LiteLLM is installed once, under the system's temporary directory; without a package index
it is left out. CALLSHEET_BENCH_TRANSPORT=core measures the gateway over core's HTTP client instead of its own.

    python bench/gateway.py [--rounds 5] [--quick] [--no-litellm] [--no-bulk]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

if TYPE_CHECKING:
    from bench import _gateway_programs as programs
    from bench._gateway_programs import Program
else:  # a script finds what lies beside it
    import _gateway_programs as programs
    from _gateway_programs import Program

MEGABYTE = 1_000_000


@frozen
class Work:
    kind: str
    connections: int

    @property
    def name(self) -> str:
        return f"{self.kind} c={self.connections}"


WORKS = [Work("chat", 1), Work("chat", 64), Work("responses", 1), Work("responses", 64), Work("stream", 16)]


@define
class Figures:
    """All rounds' figures: by program and workload."""

    rate: dict[tuple[str, str], list[float]] = field(factory=lambda: defaultdict(list))
    p50: dict[tuple[str, str], list[float]] = field(factory=lambda: defaultdict(list))
    cpu: dict[tuple[str, str], list[float]] = field(factory=lambda: defaultdict(list))

    def add(self, program: Program, work: Work, seconds: float) -> None:
        before = program.processor_time()
        got = load(program.port, work, seconds)
        at = program.name, work.name
        self.rate[at].append(got["count"] / got["seconds"])
        self.p50[at].append(got["p50"])
        self.cpu[at].append((program.processor_time() - before) / got["count"])


def load(port: int, work: Work, seconds: float) -> dict[str, Any]:
    words = [sys.executable, str(programs.HERE / "_gateway_load.py"), str(port), work.kind, str(work.connections)]
    done = subprocess.run([*words, str(seconds)], capture_output=True, text=True, timeout=120, check=True)
    got: dict[str, Any] = json.loads(done.stdout)
    if got["wrong"]:
        raise RuntimeError(f"{work.name}: {got['wrong']} of {got['count']} answers were wrong: {got['example']}")
    return got


def bulk(program: Program, uploads: int, megabytes: int) -> dict[str, Any]:
    """Large bodies; `growth` is by how many bytes the server grew at most meanwhile."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.01):
            peak = max(peak, program.resident())

    before = program.resident()
    watching = threading.Thread(target=watch)
    watching.start()
    words = [sys.executable, str(programs.HERE / "_gateway_bulk.py"), str(program.port), str(uploads), str(megabytes)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    finally:
        over.set()
        watching.join()
    got: dict[str, Any] = json.loads(done.stdout)
    if got["wrong"]:
        raise RuntimeError(f"bulk: {got['wrong']}")
    return {**got, "growth": peak - before}


def measure(arguments: argparse.Namespace) -> int:
    seconds = 0.5 if arguments.quick else 2.0
    figures = Figures()
    with ExitStack() as stack:
        upstream = stack.enter_context(programs.running("upstream", programs.upstream()))
        config = programs.written("callsheet.yaml", programs.CONFIG, {"port": upstream.port})
        port = programs.free_port()
        ours = stack.enter_context(
            programs.running(
                "callsheet", programs.callsheet(config, port), port, "/health/live", PYTHONWARNINGS="ignore"
            )
        )
        floor = stack.enter_context(programs.running("floor", programs.floor(upstream.port)))
        targets = [upstream, floor, ours]
        if not arguments.no_litellm:
            targets += other(stack, upstream.port)
        for target in targets:
            for work in WORKS:
                load(target.port, work, 0.3)  # warm
        if not arguments.no_bulk:
            one = bulk(ours, 1, 10)  # what is made once is made now
            large = bulk(ours, 2 if arguments.quick else 8, 100)
            print(f"bulk: 10 MB up in {one['up']:.2f} s; {large['up']:.1f} s up, {large['down']:.1f} s down")
        for number in range(2 if arguments.quick else arguments.rounds):
            for work in WORKS:
                for target in targets[number % len(targets) :] + targets[: number % len(targets)]:
                    figures.add(target, work, seconds)
            print(f"round {number + 1} is done", file=sys.stderr)
    show(figures, [target.name for target in targets])
    return judge(figures, targets, None if arguments.no_bulk else large)


def other(stack: ExitStack, port: int) -> list[Program]:
    """LiteLLM's proxy, if it can be had."""
    command = programs.litellm()
    if not isinstance(command, Path):
        print(f"LiteLLM is left out: {command}")
        return []
    config = programs.written("litellm.yaml", programs.LITELLM_CONFIG, {"port": port})
    listening = programs.free_port()
    words = [
        str(command),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(listening),
        "--num_workers",
        "1",
    ]
    print(f"LiteLLM: {' '.join(words[1:])}\n{programs.LITELLM_ENVIRONMENT}\n{config.read_text()}")
    started = programs.running("litellm", words, listening, "/health/liveliness", **programs.LITELLM_ENVIRONMENT)
    return [stack.enter_context(started)]


def show(figures: Figures, names: list[str]) -> None:
    print(f"\n{'':16}" + "".join(f"{name:>36}" for name in names))
    print(f"{'':16}" + f"{'per second':>14}{'p50 ms':>10}{'CPU us':>12}" * len(names))
    for work in WORKS:
        line = f"{work.name:16}"
        for name in names:
            at = name, work.name
            rate, p50, cpu = (statistics.median(table[at]) for table in (figures.rate, figures.p50, figures.cpu))
            line += f"{rate:14,.0f}{p50 * 1e3:10.3f}{cpu * 1e6:12,.0f}"
        print(line)


def judge(figures: Figures, targets: list[Program], large: dict[str, Any] | None) -> int:
    """Print each bar beside what was measured. The exit status: 1 if one is missed."""
    ours = targets[2]
    rows: list[tuple[str, float, str, float, bool]] = []

    def ratio(table: dict[tuple[str, str], list[float]], work: str, to: str) -> float:
        """The median of the rounds' ratios: what disturbs a round disturbs both."""
        pairs = zip(table["callsheet", work], table[to, work], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def row(name: str, value: float, bar: float, most: bool = True, unit: str = "") -> None:
        rows.append((name, value, unit, bar, value <= bar if most else value >= bar))

    for kind in ("chat", "responses"):
        row(f"CPU per request to the floor's, {kind} c=64", ratio(figures.cpu, f"{kind} c=64", "floor"), 2.5, unit="x")
        if len(targets) > 3:
            to_theirs = ratio(figures.rate, f"{kind} c=64", "litellm")
            row(f"rate to LiteLLM's, {kind} c=64 (goal 40)", to_theirs, 20, most=False, unit="x")
        for to in ("floor", "upstream"):
            pairs = zip(figures.p50["callsheet", f"{kind} c=1"], figures.p50[to, f"{kind} c=1"], strict=True)
            added = statistics.median(mine - theirs for mine, theirs in pairs) * 1e3
            row(f"p50 over the {to}'s, {kind} c=1", added, 0.5, unit=" ms")
    if len(targets) > 3:
        row("streams to LiteLLM's, c=16", ratio(figures.rate, "stream c=16", "litellm"), 100, most=False, unit="x")
    if large:
        row("growth in bulk", large["growth"] / MEGABYTE, 64, unit=" MB")
        row("/health/live meanwhile, p99", large["live_p99"] * 1e3, 50, unit=" ms")
    row("ready after", ours.ready, 1.5, unit=" s")
    row("idle", ours.idle / MEGABYTE, 90, unit=" MB")
    print(f"\n{'':48}{'measured':>14}{'bar':>14}")
    for name, value, unit, bar, held in rows:
        print(f"{name:48}{f'{value:.2f}{unit}':>14}{f'{bar:g}{unit}':>14}  {'' if held else 'MISSED'}")
    return 0 if all(held for *_, held in rows) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each workload is run (default: 5)")
    parser.add_argument("--quick", action="store_true", help="two short rounds, for a first look")
    parser.add_argument("--no-litellm", action="store_true", help="leave LiteLLM out")
    parser.add_argument("--no-bulk", action="store_true", help="leave the large bodies out")
    return measure(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
