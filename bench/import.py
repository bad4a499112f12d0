"""`import callsheet` against `import openai`, each in a fresh process, interleaved. Bar: under half of its time."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
BAR = 0.5
STATEMENTS = {
    "nothing": "pass",
    "callsheet": "import callsheet",
    "pydantic": "import pydantic",
    "httpx": "import httpx",
    "openai": "import openai",
}


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> int:
    for statement in STATEMENTS.values():
        seconds(statement)  # byte code and disk cache
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():
            taken[name].append(seconds(statement))
    floor = statistics.median(taken["nothing"])
    print(f"median of {ROUNDS} interleaved rounds, the bare interpreter's {floor * 1000:.0f} ms taken off")
    medians = {name: statistics.median(values) - floor for name, values in taken.items() if name != "nothing"}
    for name, median in medians.items():
        print(f"  import {name:10} {median * 1000:6.0f} ms")
    ratio = medians["callsheet"] / medians["openai"]
    print(f"bar: callsheet under {BAR:.0%} of openai: {'met' if ratio < BAR else 'MISSED'} ({ratio:.0%})")
    return 0 if ratio < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
