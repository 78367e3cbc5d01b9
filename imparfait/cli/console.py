"""Console output of the commands: progress bars, tables, next steps."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from imparfait.cli.general import is_quiet
from imparfait.cli.signals import Stopped, asked_to_stop, stopped_at_once
from imparfait.core.counts import counted
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from rich.progress import Progress, TaskID
    from rich.text import Text

    from imparfait.core.types import Classifier, Watch
    from imparfait.data.images.centre_crop import CentreCrop
    from imparfait.data.images.input_format import InputFormat, Normalization
    from imparfait.data.load import Dataset
    from imparfait.evaluation.scores import Scores
    from imparfait.selection.job_runner import Progress as JobProgress
    from imparfait.training.settings import TrainingSettings

T = TypeVar("T")

CONTINUES = "the same command continues from there"
MAX_CELL = 1000  # characters of a table cell


@contextmanager
def bar(title: str, total: float | None) -> "Iterator[tuple[Progress, TaskID]]":
    """A progress bar, as in `imparfait.cli.progress`, which imports rich."""
    from imparfait.cli.progress import bar as shown

    with shown(title, total) as both:
        yield both


@contextmanager
def watched(classifier: "Classifier", title: str, total: int) -> Iterator["Classifier"]:
    """`classifier`, with a bar that advances by the images it has classified, of `total`."""
    with bar(title, total) as (progress, task):

        def classify(images: "np.ndarray") -> "np.ndarray":
            logits = classifier(images)
            progress.advance(task, len(images))
            return logits

        yield classify


def watch(title: str) -> "Watch":
    """A `Watch` that shows a bar."""

    def over(items: Iterable[Any], total: int) -> Iterator[Any]:
        every = max(1, total // 100)
        with bar(title, total) as (progress, task):
            for count, item in enumerate(items, 1):
                yield item
                if count % every == 0 or count == total:
                    progress.update(task, completed=count)

    return over


def each_result(
    files: Sequence[str], results_of: Callable[[str], Iterable[T]], model: str, as_json: bool, failed: list[str]
) -> Iterator[tuple[str, T]]:
    """The results of each file in turn; the error of one among many is printed, and the file added to `failed`.

    Raises Stopped on Ctrl-C and SIGTERM, after the result under way.
    """
    from imparfait.inference.results_file import json_line

    with asked_to_stop() as stop:
        for number, file in enumerate(files, 1):
            try:
                for result in results_of(file):
                    yield file, result
                    if stop.signal:
                        break
            except UserError as error:  # its earlier pages are printed
                if len(files) == 1:
                    raise
                failed.append(file)
                line = json_line({"file": file, "model": model, "error": str(error).removeprefix(f"{file}: ")})
                click.echo(line if as_json else plain(str(error)), err=not as_json)
            if stop.signal:
                raise Stopped(stopped_at(file, number, len(files)), stop.code)


def stopped_at(file: str, number: int, total: int) -> str:
    """What Ctrl-C and SIGTERM leave of a command that prints results file by file."""
    return f"stopped at {file}, file {number:,} of {total:,}; the rest was not read"


def check_failed(failed: Sequence[str], files: Sequence[str], hint: str = "") -> None:
    """Raises UserError where files have failed."""
    if failed:
        raise UserError(f"{len(failed)} of {len(files)} files could not be read; the first was {failed[0]}", hint=hint)


def loaded(
    data: str | Path,
    size: int | None = None,
    normalize: "Normalization | InputFormat | None" = None,
    *,
    channels: int | None = None,
    skip_unreadable: bool = False,
    group: str | None = None,
    file_size: int | None = None,
    centre: "CentreCrop | None" = None,
    whole: bool = False,
) -> "Dataset":
    """The data set, read behind a bar; prints how its images were normalised."""
    from imparfait.data.load import load_data

    dataset = load_data(
        data,
        size,
        normalize,
        watch("reading images"),
        channels=channels,
        skip_unreadable=skip_unreadable,
        group=group,
        file_size=file_size,
        centre=centre,
        whole=whole,
    )
    if dataset.remark:
        click.echo(dataset.remark, err=True)
    return dataset


def report_data(dataset: "Dataset") -> None:
    """Print the data report's summary and warnings on stderr."""
    from imparfait.data.data_report import report_data as report_of
    from imparfait.reports.data_text import data_lines, data_warnings

    report = report_of(dataset, watch("comparing test images"))
    for line in [*data_lines(report), *(f"warning: {each}" for each in data_warnings(report))]:
        click.echo(plain(line), err=True)


def report_steps(recipe: "TrainingSettings", settings: "TrainingSettings", images: int, name: str = "") -> None:
    """Print how the settings differ from the recipe's because the images are few."""
    if (settings.epochs, settings.batch_size) != (recipe.epochs, recipe.batch_size):
        steps = f"{counted(settings.epochs, 'epoch')}, in batches of {settings.batch_size}"
        if settings.model_args != recipe.model_args:
            steps += f", {', '.join(f'{count} {argument}' for argument, count in settings.model_args.items())}"
        click.echo(
            f"only {counted(images, 'image')}: {steps}{f' ({name})' if name else ''}",
            err=True,
        )


def run_jobs(
    run: "Iterable[JobProgress]", title: str, note: Callable[[], str] = str, report: Callable[[], object] | None = None
) -> None:
    """Run a comparison or search behind a bar, to which `note` adds words; `report` draws what is written at the end.

    Raises Stopped on Ctrl-C and SIGTERM; finished jobs are kept.
    """
    from imparfait.cli.progress import REPORT_SHARE
    from imparfait.core.compute import tune_malloc

    tune_malloc()  # for jobs that run in this process
    last: JobProgress | None = None

    def stopped() -> str:
        finished = f"{last.done} of {last.total} jobs are finished and kept" if last else "finished jobs are kept"
        return f"stopped; {finished}, {CONTINUES}"

    whole = 1 + REPORT_SHARE * bool(report)
    with stopped_at_once(stopped), bar(title, None) as (progress, task):
        for last in run:
            jobs = f"{title}: {last.done} of {counted(last.total, 'job')}"
            description = ", ".join(filter(None, (jobs, note())))
            total = whole * last.total_seconds
            progress.update(task, completed=last.seconds, total=total, description=description)
        if report:
            progress.update(task, description=f"{title}: drawing the report")
            report()


def print_json(content: dict[str, Any], folder: Path) -> None:
    """A result as one line of JSON, with the folder of its report."""
    from imparfait.inference.results_file import json_line

    click.echo(json_line(content | {"folder": str(folder)}))


def result(scores: "Scores", remark: str, folder: Path, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Print the scores as a table or as JSON, with `more` in the latter, and where the report is."""
    if as_json:
        from imparfait.evaluation.scores_file import ScoresFile

        print_json(ScoresFile.of(scores).model_dump() | dict(more or {}), folder)
        return
    from imparfait.reports.text import SCORES_HEADINGS, scores_rows

    *rows, last = scores_rows(scores)
    table(SCORES_HEADINGS, rows, last)
    click.echo(remark)
    click.echo(f"report: {folder / 'report.html'}")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[str] = ()) -> None:
    """Print a table; the `last` row is set apart."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(headings):
        shown.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows:
        shown.add_row(*map(_plain, row))
    if last:
        shown.add_section()
        shown.add_row(*map(_plain, last), style="bold")
    Console().print(shown, end="")


def plain(line: str) -> str:
    """A line with names of files and classes, without terminal escapes."""
    from imparfait.core.storage import printable

    return printable(line, MAX_CELL)


def _plain(cell: str) -> "Text":
    """A cell as it is: no markup, no terminal escapes."""
    from rich.text import Text

    return Text(plain(cell))


def next_step(command: str, why: str) -> None:
    """Print the next command to type, on stderr so that results can be piped."""
    if not is_quiet():
        click.echo(f"next: {command}   ({why})", err=True)
