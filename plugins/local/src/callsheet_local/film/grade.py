"""Edits: every frame goes through a filter graph; the sound is copied as it is."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter

from callsheet_local.film.encode import FPS, add_video
from callsheet_local.film.probe import Film, NotReadable, open_mp4, probe
from callsheet_local.workers import Claim, Made

__all__ = ["COPYABLE", "edit", "graph_of", "through"]

COPYABLE = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
"""Sound that an MP4 takes as it is."""


def edit(claim: Claim) -> Made:
    """Re-colour a job's source: the same frames at the same times, the same sound."""
    source = claim.files.input(claim.job.id, ".mp4")
    film = probe(source)
    path = claim.scratch()
    steps = [(str(name), str(options)) for name, options in claim.job.plan["tones"]]
    with open_mp4(source) as old:
        told = _recolour(claim, old, film, path, steps)
    return Made(path, claim.job.seconds, told)


def _recolour(claim: Claim, old: Any, film: Film, path: Path, steps: list[tuple[str, str]]) -> tuple[str, ...]:
    video = old.streams.video[0]
    video.thread_type = "AUTO"
    sound = old.streams.audio[0] if old.streams.audio else None
    warnings: tuple[str, ...] = ()
    if sound is not None and sound.codec_context.name not in COPYABLE:
        warnings = (f"the sound ({sound.codec_context.name}) can't be copied into an MP4 and was left out",)
        sound = None
    width, height = claim.job.width, claim.job.height
    clock = _Clock.of(film)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as new:
        track = add_video(new, width, height, clock.rate)
        track.codec_context.time_base = clock.base
        copied = new.add_stream_from_template(sound) if sound is not None else None
        graph = graph_of(video, film, steps, width, height)
        done, last = 0, -1
        for packet in old.demux([stream for stream in (video, sound) if stream is not None]):
            if sound is not None and packet.stream_index == sound.index:
                if packet.dts is not None:
                    packet.stream = copied
                    new.mux(packet)
                continue
            for frame in packet.decode():
                at = clock.tick(frame, done)
                for coloured in through(graph, frame):
                    claim.advance(done, film.frames)
                    last = max(at, last + 1)
                    coloured.pts, coloured.time_base = last, clock.base
                    new.mux(track.encode(coloured))
                    done += 1
        if done == 0:
            raise NotReadable("no_frames", "none of its frames can be decoded")
        new.mux(track.encode(None))
    return warnings


def graph_of(video: Any, film: Film, steps: list[tuple[str, str]], width: int, height: int) -> Any:
    """A filter graph that turns frames upright, applies the steps and gives out frames of the wanted size."""
    turn = {90: [("transpose", "cclock")], 180: [("hflip", ""), ("vflip", "")], 270: [("transpose", "clock")]}
    last = [("scale", f"{width}:{height}:out_color_matrix=bt709:out_range=tv"), ("setsar", "1"), ("format", "yuv420p")]
    graph = av.filter.Graph()
    node = graph.add_buffer(template=video)
    for name, options in [*turn.get(film.rotation, []), *steps, *last]:
        following = graph.add(name, options) if options else graph.add(name)
        node.link_to(following)
        node = following
    node.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def through(graph: Any, frame: Any) -> Iterator[Any]:
    """What comes out of a graph when a frame goes in."""
    frame.pts = None
    graph.push(frame)
    while True:
        try:
            coloured = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        coloured.pict_type = 0  # the source's choice of key frames is not ours
        yield coloured


class _Clock:
    """When a frame is shown: by its number where they come at a steady rate, else by the source's own times."""

    def __init__(self, base: Fraction, rate: Fraction, steady: bool) -> None:
        self.base, self.rate, self._steady = base, rate, steady

    @classmethod
    def of(cls, film: Film) -> _Clock:
        rate = film.rate.limit_denominator(1001) or Fraction(FPS)
        steady = not film.timed or abs(film.frames / rate - film.seconds) < 0.6 / rate
        return cls(1 / rate if steady else Fraction(1, 90_000), rate, steady)

    def tick(self, frame: Any, number: int) -> int:
        return number if self._steady or frame.time is None else round(frame.time / self.base)
