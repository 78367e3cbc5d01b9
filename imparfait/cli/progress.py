"""Progress on stderr: a bar in a terminal, and elsewhere, as in a log, a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from imparfait.cli.general import is_quiet

EVERY_SECONDS = 30.0  # between two lines where there is no terminal
LEAST_SECONDS = 2.0  # of work, before it is said how much is left
REPORT_SHARE = 0.05  # of a bar, for the report that is drawn at the end: figures take seconds, whatever was measured


class TimeLeftColumn(TimeRemainingColumn):
    """The time left, once the work takes longer than two seconds."""

    def render(self, task: Task) -> Text:
        """Such as 01:20 left."""
        if (task.elapsed or 0.0) < LEAST_SECONDS and not task.finished:
            return Text("")
        return super().render(task) + Text(" left", style="progress.remaining")


class Bar(Progress):
    """A progress bar of one task; without a terminal it prints a line now and then, and the bar at the end."""

    def __init__(self) -> None:
        """On stderr, unless -q was given."""
        columns = (TextColumn("{task.description}"), BarColumn(), TimeLeftColumn(compact=True))
        console = Console(stderr=True)
        super().__init__(*columns, console=console, refresh_per_second=4, disable=is_quiet())
        self._said = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As in rich; the time left is estimated from the speed."""
        super().update(task_id, **changes)
        self._say(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """As in rich."""
        super().advance(task_id, advance)
        self._say(task_id)

    def _say(self, task_id: TaskID) -> None:
        if self.disable or self.console.is_terminal or time.monotonic() - self._said < EVERY_SECONDS:
            return
        self._said = time.monotonic()
        task = next(each for each in self.tasks if each.id == task_id)
        share = f"{task.percentage:.0f} %" if task.total else ""
        left = f"{_clock(task.time_remaining)} left" if task.time_remaining else ""
        self.console.print(Text(", ".join(filter(None, (task.description, share, left)))))


@contextmanager
def bar(title: str, total: float | None) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar with the time left, on stderr; where that is no terminal, lines. It is full when the work ends."""
    with Bar() as progress:
        task = progress.add_task(title, total=total)
        yield progress, task
        known = progress.tasks[0].total
        if known is not None:  # the work has ended, whatever was predicted of it
            progress.update(task, completed=known)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
