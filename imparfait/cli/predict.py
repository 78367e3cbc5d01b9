"""`imparfait predict`: the label of each image."""

import contextlib
import shlex
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import options
from imparfait.cli.general import is_verbose
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.inference.batch import Batch
    from imparfait.inference.file_results import FileResult
    from imparfait.inference.image_workers.client import ImageWorkers
    from imparfait.inference.predictor import Predictor

TRIED = 10  # images at most, in which the reader looks for several digits: it takes longer than a prediction
MAX_ERROR = 1000  # characters of one file's error
SHEET = Path("imparfait-seen.png")
EXPLAINED = Path("imparfait-explained.png")


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@options.model
@options.trust
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one row of CSV for each image.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="A .jsonl file for the results; the same command resumes where it stopped.",
)  # fmt: skip
@options.predict_executor
@click.option("--show", is_flag=True, help=f"Draw the model's inputs and predictions into {SHEET}.")
@click.option("--explain", is_flag=True, help=f"Draw which parts each prediction depends on into {EXPLAINED}.")
def predict(
    images: tuple[Path, ...],
    model: str,
    trust: bool,
    as_json: bool,
    as_csv: bool,
    out: Path | None,
    executor: str | None,
    address: str | None,
    threads: int | None,
    show: bool,
    explain: bool,
) -> None:
    """Classify each IMAGE: a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM file, or a folder of them.

    Each image is normalised as the model's training images were; with -v the output tells how. A model of digits finds
    the digit, dark on light or light on dark, and crops it. An unsure prediction tells why. Needs no torch.
    """
    from imparfait.core.storage import printable
    from imparfait.inference import results_file
    from imparfait.inference.batch import Batch, files_in
    from imparfait.inference.image_workers.client import ImageWorkers
    from imparfait.selection.executors import executor_named

    if as_json and as_csv:
        raise UserError("--json and --csv", expected="one of them", hint="choose one")
    for wanted, flag, file in ((show, "--show", SHEET), (explain, "--explain", EXPLAINED)):
        if wanted and any(path.resolve() == file.resolve() for path in images):
            raise UserError(f"{file}: is where {flag} draws", hint=f"rename this image, or leave {flag} out")
    runs_on = executor_named(executor or "serial", address, threads or 1) if executor or address else None
    batch, files = Batch(model, trust, executor=runs_on, threads=threads), list(files_in(images))
    if out:
        _write(out, files, batch)
    if as_json or as_csv:
        rows = results_file.read_results(out) if out else map(batch.to_json, batch.predict(files))
        for line in results_file.csv_lines(rows) if as_csv else map(results_file.json_line, rows):
            click.echo(line)
    elif not out:
        with ImageWorkers() as workers:
            for result in batch.predict(files):
                if result.error is None:
                    shown = _counted_digits(result, batch.predictor, workers) if len(files) <= TRIED else result
                    click.echo(results_file.result_text(shown, is_verbose()))
                elif len(files) > 1:  # the error of a single file ends the command
                    click.echo(printable(f"{result.file}: {result.error}", MAX_ERROR), err=True)
    if show:
        from imparfait.inference.visualize import MAX_IMAGES, sheet

        sheet(batch.first, batch.predictor).save(SHEET)
        first = f" (the first {MAX_IMAGES})" if sum(result.error is None for result in batch.first) > MAX_IMAGES else ""
        click.echo(f"the model's inputs{first}: {SHEET}", err=True)
    if explain:
        _explain(batch)
    if len(batch.failed) == 1 == len(files):
        raise UserError(f"{batch.failed[0].file}: {batch.failed[0].error}")
    if batch.failed:
        again = f"to try them again, take their lines out of {out}" if out else ""
        said = f"{len(batch.failed)} of {len(files)} could not be read; the first was {batch.failed[0].file}"
        raise UserError(said, hint=again)


def _counted_digits(result: "FileResult", predictor: "Predictor", workers: "ImageWorkers") -> "FileResult":
    """The result, unsure where the reader finds several digits on the image: one of them is no answer to it."""
    of_digits = predictor.input_format.normalization == "digit" and set(predictor.classes) <= set("0123456789")
    if not of_digits or result.page or not result.prediction:
        return result
    if result.prediction.confident and result.framed:
        return result
    digits = 0
    with contextlib.suppress(UserError):  # it was decoded once already: too long for the reader
        for _, reading in workers.readings(result.file, predictor):
            digits += sum(len(field.digits) for field in reading.fields)
    if digits < 2:
        return result
    reads = shlex.join(["imparfait", "read", result.file])
    return replace(
        result, prediction=replace(result.prediction, reason=f"{digits} digits found; {reads} reads them all")
    )


def _explain(batch: "Batch") -> None:
    from imparfait.inference.explanation import explain
    from imparfait.inference.explanation_sheet import MOST, explanations_image

    found = [result for result in batch.first if result.error is None]
    if found:
        explained = [explain(each.file, batch.predictor, page=each.page or 1) for each in found[:MOST]]
        explanations_image(explained).save(EXPLAINED)
        first = f" (the first {MOST})" if len(found) > MOST else ""
        click.echo(f"what the predictions depend on{first}: {EXPLAINED}", err=True)


def _write(out: Path, files: list[str], batch: "Batch") -> None:
    from imparfait.cli.console import bar
    from imparfait.cli.signals import Stopped, asked_to_stop
    from imparfait.core.counts import counted
    from imparfait.inference.results_file import resume_results

    steps = resume_results(out, files, batch)
    earlier = next(steps)  # what can be refused is, before the bar
    with asked_to_stop() as stop, closing(steps), bar("predicting", len(files)) as (progress, task):
        for done in chain([earlier], steps):
            progress.update(task, completed=done)
            if stop.signal:
                again = options.again()
                raise Stopped(f"stopped; the results so far are in {out}; to resume: {again}", stop.code)
    before = f", {earlier:,} of them from before" if earlier else ""
    before = ", all of them from before" if earlier == len(files) else before
    click.echo(f"{counted(len(files), 'image')}{before}: {out}", err=True)
