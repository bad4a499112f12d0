"""Plain progress lines, on a clock that the test turns."""

from attrs import define

from callsheet.cli.output import size_of
from callsheet.cli.progress import Lines


@define
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_job_is_told_at_most_once_a_second_and_only_when_it_moved() -> None:
    said: list[str] = []
    clock = Clock()
    with Lines("rendering", "%", said.append, clock) as lines:
        for step in range(88):
            lines.update(step // 8 * 10, None if step < 8 else 100, "queued" if step < 8 else "in progress")
            clock.now += 0.125
        clock.now += 5
        lines.update(100, 100, "completed")
        lines.update(100, 100, "completed")
    assert said[:3] == ["rendering: queued", "rendering: 10 %", "rendering: 20 % (10 %/s, 8 s left)"]
    assert said[-1] == "rendering: completed in 16.0 s"
    assert len(said) == len(set(said)) <= 13


def test_what_was_held_back_is_said_at_the_end() -> None:
    said: list[str] = []
    clock = Clock()
    with Lines("rendering", "%", said.append, clock) as lines:
        lines.update(0, None, "queued")
        lines.update(70, 100, "in progress")
    assert said == ["rendering: queued", "rendering: 70 %"]


def test_bytes_have_a_rate_and_a_small_file_one_line() -> None:
    said: list[str] = []
    clock = Clock()
    with Lines("downloading", "bytes", said.append, clock) as lines:
        for done in range(0, 4_000_001, 1_000_000):
            lines.update(done, 4_000_000)
            clock.now += 1
    assert said[1:3] == [
        "downloading: 2.0 MB of 4.0 MB (1.0 MB/s, 2 s left)",
        "downloading: 3.0 MB of 4.0 MB (1.0 MB/s, 1 s left)",
    ]
    assert said[-1] == "downloading: 4.0 MB done in 4.0 s"
    with Lines("downloading", "bytes", said.append, clock) as lines:
        lines.update(10, None)
        lines.update(20, 20)
    assert said[-1] == "downloading: 20 bytes done in 0.0 s"
    assert len(said) == 5


def test_sizes_as_people_read_them() -> None:
    assert [size_of(n) for n in (0, 999, 1000, 1_234_567, 5e9)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.2 MB",
        "5.0 GB",
    ]
