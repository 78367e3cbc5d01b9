"""Progress of calls that take seconds: nothing, a bar in terminals and notebooks, or a function of the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.core.types import Watch

Report = Callable[[float, float], object]
"""Is called with what is done and the total, in units of the call: epochs, conditions, jobs, images."""

ShowProgress: TypeAlias = "bool | Report"
"""False for none, True for a bar, or a function of what is done and the total, such as `lambda done, total: …`."""


@contextmanager
def reporting(progress: ShowProgress, title: str, total: float) -> Iterator[Report]:
    """A function to call with what is done and the total; a bar is closed with the block. Raises UserError."""
    if progress is False or progress is None:
        yield lambda done, total: None
    elif callable(progress):
        yield progress
    elif progress is not True:
        raise UserError(f"progress={progress!r}", expected="True, False, or a function of what is done and the total")
    else:
        with bar(title, total) as report:
            yield report


def watch_with(progress: ShowProgress, title: str) -> Watch:
    """Iterates over items and reports how many of the total are done."""

    def over(items: Iterable[Any], total: int) -> Iterator[Any]:
        with reporting(progress, title, total) as report:
            for count, item in enumerate(items, 1):
                yield item
                report(count, max(count, total))

    return over


@contextmanager
def bar(title: str, total: float) -> Iterator[Report]:
    """A bar with the time left, on stderr or in a notebook."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        yield _line_in_notebook(title)  # where rich could only warn that it needs ipywidgets
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=console, refresh_per_second=4) as drawn:
        task = drawn.add_task(title, total=total)

        def report(done: float, total: float) -> None:
            drawn.update(task, completed=done, total=total)

        yield report


def _line_in_notebook(title: str) -> Report:
    """A line below the cell that is written again at each step."""
    from IPython.display import display

    show: Any = display  # without types
    line = show({"text/plain": title}, raw=True, display_id=True)

    def report(done: float, total: float) -> None:
        line.update({"text/plain": f"{title}: {done:g} of {total:g}"}, raw=True)

    return report
