"""What commands print: a bar while they work, a table when they are done."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from imparfait.training.settings import TrainingSettings, enough_steps

if TYPE_CHECKING:
    import numpy as np

    from imparfait.core.types import Classifier
    from imparfait.data.image_folder import Watch
    from imparfait.data.load import Dataset
    from imparfait.evaluation.scores import Scores


@contextmanager
def bar(what: str, total: float | None) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar with the time left, on stderr; where nobody watches, only its last line."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True), TextColumn("left"))
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield progress, progress.add_task(what, total=total)


@contextmanager
def watched(classifier: "Classifier", what: str, total: int) -> Iterator["Classifier"]:
    """`classifier`, with a bar that moves on as it answers its `images`."""
    with bar(what, total) as (progress, task):

        def classify(images: "np.ndarray") -> "np.ndarray":
            logits = classifier(images)
            progress.advance(task, len(images))
            return logits

        yield classify


def watch(what: str) -> "Watch":
    """A `Watch` that shows a bar."""

    def over(things: Iterable[Any], total: int) -> Iterator[Any]:
        with bar(what, total) as (progress, task):
            for count, thing in enumerate(things, 1):
                yield thing
                if count % 100 == 0 or count == total:
                    progress.update(task, completed=count)

    return over


def loaded(data: str | Path, size: int | None = None) -> "Dataset":
    """The data set, read behind a bar where that takes its time; what was done to its images is told."""
    from imparfait.data.load import load_data

    dataset = load_data(data, size, watch("reading images"))
    if dataset.remark:
        click.echo(dataset.remark, err=True)
    return dataset


def long_enough(settings: TrainingSettings, total: int, given: Collection[str], name: str = "") -> TrainingSettings:
    """The settings, for more steps where the images are few, which is told."""
    enough = enough_steps(settings, total, given)
    if enough != settings:
        told = f"{enough.epochs} epoch{'s' * (enough.epochs > 1)}, in batches of {enough.batch_size}"
        click.echo(f"{total:,} images are few: {told}{f' ({name})' if name else ''}", err=True)
    return enough


def result(scores: "Scores", remark: str, folder: Path, as_json: bool) -> None:
    """The table, or JSON; then where the report is."""
    if as_json:
        click.echo(json.dumps(scores.to_json() | {"folder": str(folder)}, ensure_ascii=False))
        return
    from imparfait.evaluation.scores import HEADINGS

    *rows, last = scores.rows()
    table(HEADINGS, rows, last)
    click.echo(remark)
    click.echo(f"report: {folder / 'report.html'}")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[str] = ()) -> None:
    """A table, of which the `last` row stands apart."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(headings):
        shown.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows:
        shown.add_row(*row)
    if last:
        shown.add_section()
        shown.add_row(*last, style="bold")
    Console().print(shown, end="")


def next_step(command: str, why: str) -> None:
    """What to write next; on stderr, so that results can be piped."""
    click.echo(f"next: {command}   ({why})", err=True)
