"""`imparfait predict`: the label of each image."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imparfait.cli import options
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from imparfait.inference.batch import FileResult

    Predict = Callable[[list[str]], Iterator[FileResult]]

SHEET = Path("imparfait-seen.png")
WRITTEN_TOGETHER = 256  # results


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@options.model
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one row of CSV for each image.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="A .jsonl file for the results; the same command resumes where it stopped.",
)  # fmt: skip
@click.option("--show", is_flag=True, help=f"Draw the model's inputs and predictions into {SHEET}.")
def predict(images: tuple[Path, ...], model: str, as_json: bool, as_csv: bool, out: Path | None, show: bool) -> None:
    """Classify each IMAGE: a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM file, or a folder of them.

    Each image is normalised as the model's training images were, and the output tells how. A model of digits finds
    the digit, dark on light or light on dark, and crops it. An unsure prediction tells why. Needs no torch.
    """
    from imparfait.inference.batch import MANY_FILES, files_in, predict_files, predict_many
    from imparfait.inference.loading import load_predictor

    if as_json and as_csv:
        raise UserError("--json and --csv", expected="one of them", hint="choose one")
    if show and any(path.resolve() == SHEET.resolve() for path in images):
        raise UserError(f"{SHEET}: is where --show draws; rename this image, or leave --show out")
    predictor = load_predictor(model)
    files = list(files_in(images))
    failed = []
    shown: list[FileResult] = []

    def run(files: list[str]) -> Iterator["FileResult"]:
        for result in predict_files(files, predictor) if len(files) < MANY_FILES else predict_many(files, model):
            if result.error is not None:
                failed.append(result)
            if show and len(shown) < 1000:
                shown.append(result)
            yield result

    form = "json" if as_json else "csv" if as_csv else "table"
    if out:
        _write(out, files, run, predictor.name)
        if as_json or as_csv:
            with out.open(encoding="utf-8") as lines:
                _print_rows(map(json.loads, lines), form)
    elif form == "table":
        _print_table(run(files), several=len(files) > 1)
    else:
        _print_rows((result.to_json(predictor.name) for result in run(files)), form)
    if show:
        from imparfait.inference.visualize import MAX_IMAGES, sheet

        sheet(shown, predictor).save(SHEET)
        first = f" (the first {MAX_IMAGES})" if sum(result.error is None for result in shown) > MAX_IMAGES else ""
        click.echo(f"the model's inputs{first}: {SHEET}", err=True)
    if len(failed) == 1 == len(files):
        raise UserError(f"{failed[0].file}: {failed[0].error}")
    if failed:
        raise UserError(f"{len(failed)} of {len(files)} could not be read; the first was {failed[0].file}")


def _print_rows(results: Iterable[dict[str, Any]], form: str) -> None:
    """Results as JSON lines or as CSV."""
    from imparfait.inference.results_file import COLUMNS, csv_row, json_line

    if form == "json":
        for result in results:
            click.echo(json_line(result))
        return
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(map(csv_row, results))


def _print_table(results: Iterable["FileResult"], several: bool) -> None:
    for result in results:
        if result.error is None:
            click.echo(_lines(result))
        elif several:  # the error of a single file ends the command
            click.echo(f"{_printable(result.file)}: {result.error}", err=True)


def _lines(result: "FileResult") -> str:
    """A result for people: the label, its probability, the file, other labels; below, the preprocessing."""
    from imparfait.inference.predictor import BLANK_MESSAGE

    prediction = result.prediction
    assert prediction
    others = ", ".join(
        f"{_printable(label)} {score:.1%}" for label, score in prediction.predictions[1:] if score >= 0.001
    )
    name = _printable(result.file) + (f", page {result.page}" if result.page else "")
    if prediction.reason == BLANK_MESSAGE:
        return f"{'–':>4}  {'':6}  {name}\n       unsure: {BLANK_MESSAGE}"
    label = _printable(prediction.label) if prediction.confident else f"({_printable(prediction.label)})"
    doubt = "" if prediction.confident else f"\n       unsure: {prediction.reason}"
    others = f"   or {others}" if others else ""
    return f"{label:>4}  {prediction.score:6.1%}  {name}{others}\n       {result.preprocessing}{doubt}"


def _printable(text: str) -> str:
    from imparfait.core.storage import printable

    return printable(text, 4096)


def _write(out: Path, files: list[str], run: "Predict", model: str) -> None:
    from imparfait.cli.console import bar
    from imparfait.cli.signals import Stopped, asked_to_stop
    from imparfait.inference.results_file import ResultsWriter

    if any(Path(file).resolve() == out.resolve() for file in files):
        raise UserError(f"{out}: is one of the images; name another file for the results")
    with asked_to_stop() as stop, ResultsWriter(out, model) as writer:
        waiting = [file for file in files if file not in writer.done]
        with bar("predicting", len(files)) as (progress, task):
            progress.advance(task, len(files) - len(waiting))
            results = iter(run(waiting))
            while chunk := list(islice(results, WRITTEN_TOGETHER)):
                writer.add(chunk)
                progress.advance(task, len({result.file for result in chunk}))
                if stop.signal:
                    again = options.again()
                    raise Stopped(f"stopped; the results so far are in {out}; to resume: {again}", stop.code)
    earlier = f", {len(files) - len(waiting):,} of them from before" if len(waiting) < len(files) else ""
    click.echo(f"{len(files):,} images{earlier}: {out}", err=True)
