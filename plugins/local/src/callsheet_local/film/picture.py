"""Pictures as H.264 wants them: three planes, the two for colour at half size. Nothing is converted frame by frame.

All pictures are BT.709 with studio range, and the files say so: a player that had to guess would guess by size.
"""

from __future__ import annotations

from typing import TypeAlias

import av
import numpy as np
from attrs import frozen
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Bytes", "Cutout", "Pixels", "Planes", "even"]

Pixels: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, RGB."""
Bytes: TypeAlias = NDArray[np.uint8]


def even(number: float) -> int:
    """The nearest even number that is not greater."""
    return int(number) // 2 * 2


@frozen(eq=False)
class Planes:
    """A picture: brightness, and two colour differences at half its width and height. Its sides are even."""

    y: Image.Image
    u: Image.Image
    v: Image.Image

    @classmethod
    def of(cls, pixels: Pixels) -> Planes:
        """Convert from RGB. The sides must be even."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        return cls.of_frame(
            frame.reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
        )

    @classmethod
    def of_frame(cls, frame: av.VideoFrame) -> Planes:
        """Take over the planes of a frame in the format yuv420p."""
        height, width = frame.height, frame.width
        flat = np.asarray(frame.to_ndarray(), np.uint8).reshape(-1)
        area = width * height
        return cls(
            _image(flat[:area], width, height),
            _image(flat[area : area + area // 4], width // 2, height // 2),
            _image(flat[area + area // 4 :], width // 2, height // 2),
        )

    @property
    def size(self) -> tuple[int, int]:
        return self.y.size

    def window(self, x: int, width: int) -> Planes:
        """The part from column x (rounded to an even one) on, as a copy that may be painted on."""
        x, height = x // 2 * 2, self.y.height
        half = (x // 2, 0, (x + width) // 2, height // 2)
        return Planes(self.y.crop((x, 0, x + width, height)), self.u.crop(half), self.v.crop(half))

    def paste(self, other: Cutout, x: int, y: int) -> None:
        """Paint a cut-out over this picture, with its top left corner at (x, y); what lies outside is cut off."""
        self.y.paste(other.planes.y, (x, y), other.mask)
        half = (x // 2, y // 2)
        self.u.paste(other.planes.u, half, other.half_mask)
        self.v.paste(other.planes.v, half, other.half_mask)

    def blend(self, other: Planes, share: float) -> Planes:
        """A mixture: 0 is this picture, 1 the other one."""
        return Planes(
            Image.blend(self.y, other.y, share),
            Image.blend(self.u, other.u, share),
            Image.blend(self.v, other.v, share),
        )

    def frame(self) -> av.VideoFrame:
        """The picture as a frame to be encoded."""
        width, height = self.size
        flat = b"".join((self.y.tobytes(), self.u.tobytes(), self.v.tobytes()))
        frame = av.VideoFrame.from_ndarray(
            np.frombuffer(flat, np.uint8).reshape(height * 3 // 2, width), format="yuv420p"
        )
        return tagged(frame)


@frozen(eq=False)
class Cutout:
    """A picture with soft edges: `mask` is 255 where it covers, 0 where it does not."""

    planes: Planes
    mask: Image.Image
    half_mask: Image.Image

    @classmethod
    def of(cls, pixels: Pixels, alpha: Bytes) -> Cutout:
        """From RGB and a mask of the same size; both sides must be even."""
        mask = _image(np.ascontiguousarray(alpha).reshape(-1), alpha.shape[1], alpha.shape[0])
        return cls(Planes.of(pixels), mask, mask.reduce(2))

    @classmethod
    def of_image(cls, image: Image.Image) -> Cutout:
        """From an RGBA image with even sides."""
        array = np.asarray(image.convert("RGBA"))
        return cls.of(array[..., :3], array[..., 3])

    def faded(self, share: float) -> Cutout:
        """The same, less opaque."""
        return Cutout(
            self.planes, self.mask.point(lambda a: int(a * share)), self.half_mask.point(lambda a: int(a * share))
        )

    def window(self, x: int, width: int) -> Cutout:
        x = x // 2 * 2
        height = self.mask.height
        return Cutout(
            self.planes.window(x, width),
            self.mask.crop((x, 0, x + width, height)),
            self.half_mask.crop((x // 2, 0, (x + width) // 2, height // 2)),
        )


def tagged(frame: av.VideoFrame) -> av.VideoFrame:
    """Say in the frame which colours it holds."""
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame


def _image(flat: Bytes, width: int, height: int) -> Image.Image:
    return Image.frombytes("L", (width, height), flat.tobytes())
