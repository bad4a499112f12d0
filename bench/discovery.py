"""What finding the plugins costs among 200 installed distributions, 20 of them providers. Bar: under 15 ms, once.

Each round is a fresh process with its imports behind it; the floor is what importlib.metadata takes by itself for the same
folder, in the same round. `--count N` installs N distributions instead.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 25
BAR = 15.0
PROVIDERS = 20

MEASURE = """
import json, sys, time
from importlib.metadata import entry_points
from callsheet.registry import Registry

def timed(function):
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1000

def ours():
    assert len(registry.names()) == PROVIDERS
    assert registry.wraps() == ()

def floor():
    assert len(entry_points(group="callsheet.providers")) == PROVIDERS

registry = Registry()
first, second = (ours, floor) if sys.argv[1] == "ours" else (floor, ours)
taken = {first.__name__: timed(first), second.__name__: timed(second), "again": timed(ours)}
print(json.dumps(taken))
""".replace("PROVIDERS", str(PROVIDERS))


def install(folder: Path, count: int) -> None:
    """Distributions as pip leaves them: metadata, a record, and in most some entry points of other groups."""
    for number in range(count):
        info = folder / f"dist_{number}-1.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: dist-{number}\nVersion: 1.{number}\n\n{'x' * 4000}\n"
        )
        (info / "RECORD").write_text(f"dist_{number}/__init__.py,,\n" * 50)
        points = f"[console_scripts]\ndist-{number} = dist_{number}.cli:main\n"
        if number < PROVIDERS:
            points += f"\n[callsheet.providers]\nprovider-{number} = dist_{number}:Provider\n"
        if number < PROVIDERS or number % 2:
            (info / "entry_points.txt").write_text(points)


def measured(folder: Path, first: str) -> dict[str, float]:
    """One round: the first discovery, the second, and the floor; whichever is measured first finds the disk cache colder."""
    # Only this folder: what else is installed on this machine is not counted, and callsheet itself is found behind it.
    env = {k: v for k, v in os.environ.items() if not k.startswith("CALLSHEET_")}
    code = "import callsheet.registry, sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
    code += f"sys.path.insert(0, {str(folder)!r})\n{MEASURE}"
    done = subprocess.run([sys.executable, "-c", code, first], env=env, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(words: list[str]) -> int:
    count = int(words[1]) if words[:1] == ["--count"] else 200
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder, count)
        for first in ("ours", "floor"):
            measured(folder, first)  # byte code and disk cache
        rounds = [measured(folder, first) for _ in range(ROUNDS) for first in ("ours", "floor")]
    first_of = {name: statistics.median(r[name] for r in rounds if next(iter(r)) == name) for name in ("ours", "floor")}
    again = statistics.median(r["again"] for r in rounds)
    print(f"{count} distributions, {PROVIDERS} of them providers; median of {ROUNDS} fresh processes, milliseconds")
    print(f"  importlib.metadata alone   {first_of['floor']:7.2f}")
    print(
        f"  first discovery            {first_of['ours']:7.2f}   {first_of['ours'] / first_of['floor']:.2f} x the floor"
    )
    print(f"  second discovery           {again:7.3f}")
    met = first_of["ours"] < BAR
    print(f"bar: the first discovery < {BAR:g} ms: {'met' if met else 'MISSED'} ({first_of['ours']:.1f})")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
