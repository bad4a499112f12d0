"""Cutting a character out of a clip.

The camera's own motion is taken out first (steady.py); what still moves is told from what does not (segment.py); the
picture that shows it best, and those around it, are cut along its outline (lift.py): the character, in motion. Where
that gives nothing believable - everything moves, or nothing does - an oval with soft edges around the liveliest part of
the clip is taken instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image

from callsheet_local.film.lift import lift, lift_oval
from callsheet_local.film.picture import Pixels, even
from callsheet_local.film.probe import Film, NotReadable, open_mp4
from callsheet_local.film.regions import Mask
from callsheet_local.film.segment import moving_masks
from callsheet_local.film.sprite import Sprite

__all__ = ["Cut", "cut_out"]

_SAMPLES = 24
"""Pictures of the clip that are looked at."""
_FRAMES = 9
"""Pictures in the cut-out's motion."""
_SMALL = 208
"""Pixels on the long side of the pictures in which the outline is looked for."""


@frozen(eq=False)
class Cut:
    """A character's cut-out, and how it was made."""

    sprite: Sprite
    how: Literal["moving", "oval"]


def cut_out(path: Path, film: Film) -> Cut:
    """Cut the character out of a clip. NotReadable when its frames can't be decoded."""
    pictures, rate = _pictures(path, film)
    small = np.stack([_shrunk(picture) for picture in pictures])
    masks = moving_masks(small)
    best = _best(masks, small)
    if best is None:
        return Cut(Sprite.of([lift_oval(pictures, small)]), "oval")
    chosen = _around(masks, best)
    return Cut(lift([pictures[i] for i in chosen], [masks[i] for i in chosen], rate), "moving")


def _pictures(path: Path, film: Film) -> tuple[list[Pixels], float]:
    """Evenly spread pictures as they are shown, at most 720 pixels on the short side, and how many make a second."""
    step = max(1, -(-film.frames // _SAMPLES))
    scale = min(1.0, 720 / min(film.width, film.height))
    turned = film.rotation in {90, 270}
    width, height = even(film.width * scale), even(film.height * scale)
    size = (height, width) if turned else (width, height)
    found: list[Pixels] = []
    with open_mp4(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for number, frame in enumerate(container.decode(stream)):
            if number % step == 0 and len(found) < _SAMPLES + 1:
                pixels = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
                found.append(np.rot90(pixels, film.rotation // 90))
    if not found:
        raise NotReadable("no_frames", "its video track has no frame that can be decoded")
    return found, float(film.rate) / step


def _shrunk(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = _SMALL / max(width, height)
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _best(masks: Sequence[Mask], small: NDArray[np.uint8]) -> int | None:
    """The picture that shows the character best: big, whole, and in motion. None if no mask is believable."""
    grey = small.mean(axis=-1, dtype=np.float32)
    motion = np.array([np.abs(grey[min(i + 1, len(grey) - 1)] - grey[i - (i > 0)])[m].mean() if m.any() else 0.0
                       for i, m in enumerate(masks)])  # fmt: skip
    motion = motion / max(1e-3, float(motion.max()))
    scores = []
    for mask, moves in zip(masks, motion, strict=True):
        share = float(mask.mean())
        rim = float(np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1])).mean())
        whole = share * (1 - min(1.0, 4 * rim)) * (0.5 + 0.5 * float(moves))
        scores.append(whole if 0.004 < share < 0.6 else 0.0)
    best = int(np.argmax(scores))
    return best if scores[best] > 0.002 else None


def _around(masks: Sequence[Mask], best: int) -> list[int]:
    """Neighbouring pictures in which the character has nearly the same size: its motion."""
    size = masks[best].sum()

    def alike(i: int) -> bool:
        return 0 <= i < len(masks) and bool(abs(masks[i].sum() / size - 1) < 0.22)

    first = last = best
    while last - first + 1 < _FRAMES:
        after, before = last + 1, first - 1
        if alike(after) and (last - best <= best - first or not alike(before)):
            last = after
        elif alike(before):
            first = before
        else:
            break
    return list(range(first, last + 1))
