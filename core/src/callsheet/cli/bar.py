"""The progress bar. The only module that imports rich's progress, and it is imported on a terminal only."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from callsheet.cli.output import size_of

__all__ = ["Bar"]


class _Amount(ProgressColumn):
    """`40 %` of a job, `1.2 MB` of a file; the job's state while there is nothing to count."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        if self.unit == "%":
            words = str(task.fields["state"]) if task.total is None else f"{task.completed:3.0f} %"
        else:
            words = size_of(task.completed)
            if task.total is not None and not task.finished:
                words += f" of {size_of(task.total)}"
        return Text(words, style="progress.percentage")


class _Rate(ProgressColumn):
    """How much a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed or task.total is None:
            return Text("")
        return Text(f"{speed:.0f} %/s" if self.unit == "%" else f"{size_of(speed)}/s", style="progress.data.speed")


class Bar:
    """A bar on stderr with rate and time left; it stays when it is full, with the time that it took."""

    def __init__(self, what: str, unit: str) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            _Amount(unit),
            _Rate(unit),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(file=sys.stderr),
        )
        self.task = self.progress.add_task(what, total=None, state="")

    def update(self, done: float, total: float | None, state: str = "") -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=done, total=total, state=state)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()
