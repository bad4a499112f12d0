"""Extensions: a new part that begins where the source ends, put behind it without encoding the source again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from callsheet_local.film.encode import FPS, RATE, Writer
from callsheet_local.film.grade import graph_of, through
from callsheet_local.film.picture import Planes, tagged
from callsheet_local.film.probe import Film, NotReadable, open_mp4, probe
from callsheet_local.film.sound import tone_bed
from callsheet_local.film.sprite import Sprite
from callsheet_local.film.stage import frames
from callsheet_local.film.theme import seed_of
from callsheet_local.workers import Claim, Made

__all__ = ["extend", "join"]


def extend(claim: Claim, cast: Sequence[Sprite]) -> Made:
    """Continue a job's source by what its plan says."""
    job = claim.job
    source = claim.files.input(job.id, ".mp4")
    film = probe(source)
    added = round(job.plan["added"] * FPS)
    old_frames = round(film.seconds * FPS)
    sample = claim.scratch()  # what the new part's headers will be
    with Writer(sample, job.width, job.height, np.zeros(RATE // FPS, np.float32)) as writer:
        writer.write(last_frame(source, job.width, job.height).frame())
    reason = _why_not_copied(source, film, job.width, job.height, _headers(sample))
    wanted = added + (old_frames if reason else 0)
    warnings: tuple[str, ...] = ()
    if reason:
        warnings = (f"the source was encoded again, because {reason}; otherwise its frames are kept as they are",)
        source = _normalised(claim, source, film, wanted)
    part = claim.scratch()
    sound = tone_bed(added, seed_of("sound", job.prompt), start=old_frames)
    first = last_frame(source, job.width, job.height)
    pictures = frames(job.prompt, job.width, job.height, added + 1, cast, first=first, start=max(0, old_frames - 1))
    next(pictures)  # the source's last frame is there already
    before = wanted - added
    with Writer(part, job.width, job.height, sound) as writer:
        for picture in pictures:
            claim.advance(before + writer.frames, wanted)
            writer.write(picture)
    whole = claim.scratch()
    join([source, part], whole)
    return Made(whole, round(film.seconds + added / FPS, 3), warnings)


def last_frame(path: Path, width: int, height: int) -> Planes:
    """The picture that a file ends with, in a job's size."""
    with open_mp4(path) as container:
        stream = container.streams.video[0]
        container.seek(stream.duration or 0, stream=stream, backward=True)
        frame = None
        for frame in container.decode(stream):  # noqa: B007  the last one is wanted
            pass
        if frame is None:
            raise NotReadable("no_frames", "it has no last frame that can be decoded")
        return Planes.of_frame(frame.reformat(width, height, "yuv420p"))


def join(paths: Sequence[Path], out: Path) -> None:
    """Put files with the same tracks one behind the other, packet by packet, without encoding anything.

    On every track a file begins where the video of the one before ended. The packets by which an AAC encoder warms up
    lie before a file's beginning: behind another file there is no room for them, and they are left out.
    """
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as new:
        tracks: dict[str, Any] = {}
        start = Fraction(0)
        for path in paths:
            with av.open(str(path), format="mp4") as old:
                streams = [*old.streams.video[:1], *old.streams.audio[:1]]
                if not tracks:
                    tracks = {stream.type: new.add_stream_from_template(stream) for stream in streams}
                end = start
                for packet in old.demux(streams):
                    kind = packet.stream.type
                    if packet.dts is None or packet.pts is None or kind not in tracks:
                        continue
                    if kind == "audio" and start > 0 and packet.pts < 0:
                        continue
                    if kind == "video":
                        end = max(end, start + (packet.pts + (packet.duration or 0)) * packet.time_base)
                    shift = round(start / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = tracks[kind]
                    new.mux(packet)
                start = end


def _why_not_copied(source: Path, film: Film, width: int, height: int, part: tuple[bytes, bytes]) -> str | None:
    """Why new frames can't just be put behind a file's own, or None if they can."""
    if not film.timed or film.rate != FPS:
        return f"it has {float(film.rate):g} frames a second and new ones come at {FPS}"
    if film.rotation or (film.width, film.height) != (width, height):
        return "its pictures have to be turned or scaled"
    if not film.sound:
        return "it has no sound"
    if _headers(source) != part:
        return "it was encoded in another way"
    return None


def _headers(path: Path) -> tuple[bytes, bytes]:
    """What decoders are told before the first frame. Only files in which it is the same can be joined."""
    with open_mp4(path) as made:
        video, sound = made.streams.video[0].codec_context, made.streams.audio[0].codec_context
        return bytes(video.extradata or b""), bytes(sound.extradata or b"")


def _normalised(claim: Claim, source: Path, film: Film, wanted: int) -> Path:
    """The source as this version would have written it: 24 frames a second, upright, with sound."""
    path, count = claim.scratch(), max(1, round(film.seconds * FPS))
    width, height = claim.job.width, claim.job.height
    with Writer(path, width, height, _sound_of(source, count)) as writer:
        for frame in _steady(source, film, width, height, count):
            claim.advance(writer.frames, wanted)
            writer.write(frame)
    return path


def _steady(source: Path, film: Film, width: int, height: int, count: int) -> Iterator[av.VideoFrame]:
    """The source's pictures at 24 a second: each stays until the next one's time has come."""
    with open_mp4(source) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        graph, given, start = graph_of(stream, film, [], width, height), 0, 0.0
        held: av.VideoFrame | None = None
        for number, frame in enumerate(container.decode(stream)):
            at = number / float(film.rate) if not film.timed or frame.time is None else float(frame.time)
            start = at if number == 0 else start
            while held is not None and given < count and given / FPS < at - start - 1e-6:
                yield _again(held)
                given += 1
            for upright in through(graph, frame):
                held = tagged(upright)
        if held is None:
            raise NotReadable("no_frames", "none of its frames can be decoded")
        while given < count:
            yield _again(held)
            given += 1


def _again(frame: av.VideoFrame) -> av.VideoFrame:
    """The same picture as a frame of its own: an encoder may keep the one that it was given."""
    copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
    return tagged(copy)


def _sound_of(source: Path, frames: int) -> NDArray[np.float32]:
    """The source's sound as one channel, exactly as long as so many frames; silence where there is none."""
    samples = np.zeros(frames * RATE // FPS, np.float32)
    with open_mp4(source) as container:
        if not container.streams.audio:
            return samples
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        at, begun = 0, False
        for frame in container.decode(container.streams.audio[0]):
            if not begun:
                at, begun = round(float(frame.time or 0) * RATE), True
            frame.pts = None
            for piece in resampler.resample(frame):
                values = piece.to_ndarray().reshape(-1)
                left, right = max(at, 0), min(at + len(values), len(samples))
                if right > left:
                    samples[left:right] = values[left - at : right - at]
                at += len(values)
    return samples
