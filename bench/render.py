"""How long the embedded provider takes for 4 s of 1280x720, from the call to `completed`. Bar: under 2 s on 2 cores.

The floor beside it is the encoder alone: the same number of frames of the same size that are all there before.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from callsheet import Client
from callsheet_local.demo import CLIP

ROUNDS, SECONDS, WIDTH, HEIGHT, FPS = 5, 4, 1280, 720, 24
BAR = 2.0


def encode_only(path: Path) -> float:
    rng = np.random.default_rng(1)
    wide = np.repeat(np.repeat(rng.integers(0, 255, (18, 64, 3), np.uint8), 40, 0), 40, 1)
    start = time.perf_counter()
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(SECONDS * FPS):
            picture = np.ascontiguousarray(wide[:, number * 8 : number * 8 + WIDTH])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return time.perf_counter() - start


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, Client(provider="local", settings={"data_dir": folder}) as client:
        bunny = client.create_character(name="Bunny", video=CLIP)
        size = f"{WIDTH}x{HEIGHT}"

        def render(prompt: str, characters: list[str]) -> float:
            start = time.perf_counter()
            job = client.generate_video(prompt=prompt, characters=characters, seconds=SECONDS, size=size)
            client.wait(job, poll=0.02)
            return time.perf_counter() - start

        taken: dict[str, list[float]] = {"encoder alone": [], "scene": [], "scene with character": []}
        for number in range(ROUNDS):
            taken["encoder alone"].append(encode_only(Path(folder) / "floor.mp4"))
            taken["scene"].append(render(f"A forest at dusk, take {number}", []))
            taken["scene with character"].append(render(f"Bunny in a forest at dusk, take {number}", [bunny.id]))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    print(f"median of {ROUNDS} interleaved rounds, {SECONDS} s of {size} at {FPS} frames a second")
    for name, median in medians.items():
        print(f"  {name:22} {median:5.2f} s   {median / medians['encoder alone']:.1f}x")
    worst = max(medians.values())
    print(f"bar: under {BAR:g} s: {'met' if worst < BAR else 'MISSED'} ({worst:.2f} s)")
    return 0 if worst < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
