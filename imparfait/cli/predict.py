"""`imparfait predict`: what is on these images."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import options
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from imparfait.inference.batch import FileResult

    Ask = Callable[[list[str]], Iterator[FileResult]]

SHEET = Path("imparfait-seen.png")
AT_ONCE = 256  # answers written together


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURE...")
@options.model
@click.option("--json", "form", flag_value="json", help="One line of JSON an image.")
@click.option("--csv", "form", flag_value="csv", help="One line of CSV an image.")
@click.option("--table", "form", flag_value="table", default=True, help="One line to read an image.  [default]")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="A .jsonl or .csv file for the answers; the same command goes on where it stopped.",
)  # fmt: skip
@click.option("--show", is_flag=True, help=f"Draw what the model saw, into {SHEET}.")
def predict(images: tuple[Path, ...], model: str, form: str, out: Path | None, show: bool) -> None:
    """Say what is on each PICTURE: a PNG, JPEG, BMP, GIF, WebP or TIFF file, or a folder of them.

    Dark on light or light on dark, turned by EXIF, on paper with a desk around it: what was done to an image is said.
    An answer that is not sure says why. Needs no torch.
    """
    from imparfait.inference.batch import MANY, files_in, predict_files, predict_many
    from imparfait.inference.loading import load_predictor

    if show and any(path.resolve() == SHEET.resolve() for path in images):
        raise UserError(f"{SHEET}: is where --show draws; rename this image, or leave --show out")
    ready = load_predictor(model)
    files = list(files_in(images))
    failed = []
    seen: list[FileResult] = []

    def ask(files: list[str]) -> Iterator["FileResult"]:
        answers = predict_files(files, ready) if len(files) < MANY else predict_many(files, model)
        for each in answers:
            if each.error is not None:
                failed.append(each)
            if show and len(seen) < 1000:
                seen.append(each)
            yield each

    if out:
        _into(out, files, ask, ready.name)
    else:
        _print(ask(files), form, ready.name, several=len(files) > 1)
    if show:
        from imparfait.inference.visualize import MOST, sheet

        sheet(seen, ready).save(SHEET)
        first = f" (the first {MOST})" if sum(each.answer is not None for each in seen) > MOST else ""
        click.echo(f"what the model saw{first}: {SHEET}", err=True)
    if len(failed) == 1 == len(files):
        raise UserError(f"{failed[0].file}: {failed[0].error}")
    if failed:
        raise UserError(f"{len(failed)} of {len(files)} could not be read; the first was {failed[0].file}")


def _print(answers: Iterable["FileResult"], form: str, model: str, several: bool) -> None:
    from imparfait.inference.results_file import COLUMNS, as_row

    rows = csv.writer(sys.stdout, lineterminator="\n")
    if form == "csv":
        rows.writerow(COLUMNS)
    for each in answers:
        if form == "csv":
            rows.writerow(as_row(each, model))
        elif form == "json":
            click.echo(json.dumps(each.to_json(model), ensure_ascii=False))
        elif each.error is not None:
            if several:  # of only one it is said at the end
                click.echo(f"{each.file}: {each.error}", err=True)
        else:
            click.echo(_line(each))


def _line(predicted: "FileResult") -> str:
    """What is said of a page, for people: the label first, then how probable, then what else it may be."""
    from imparfait.inference.predictor import BLANK_MESSAGE

    answer = predicted.answer
    assert answer
    others = ", ".join(f"{label} {score:.1%}" for label, score in answer.predictions[1:] if score >= 0.001)
    name = predicted.file + (f", page {predicted.page}" if predicted.page else "")
    if answer.reason == BLANK_MESSAGE:
        return f"{'–':>4}  {'':6}  {name}\n       not sure: {BLANK_MESSAGE}"
    label = answer.label if answer.sure else f"({answer.label})"
    doubt = "" if answer.sure else f"\n       not sure: {answer.reason}"
    return (
        f"{label:>4}  {answer.score:6.1%}  {name}{f'   or {others}' if others else ''}\n       {predicted.said}{doubt}"
    )


def _into(out: Path, files: list[str], ask: "Ask", model: str) -> None:
    from imparfait.cli.console import bar
    from imparfait.cli.signals import Stopped, asked_to_stop
    from imparfait.inference.results_file import ResultsWriter

    if any(Path(file).resolve() == out.resolve() for file in files):
        raise UserError(f"{out}: is one of the images; name another file for the answers")
    with asked_to_stop() as stop, ResultsWriter(out, model) as kept:
        waiting = [file for file in files if file not in kept.done]
        with bar("asking", len(files)) as (progress, task):
            progress.advance(task, len(files) - len(waiting))
            answers = iter(ask(waiting))
            while chunk := list(islice(answers, AT_ONCE)):
                kept.add(chunk)
                progress.advance(task, len({each.file for each in chunk}))
                if stop.signal:
                    again = options.again()
                    raise Stopped(f"stopped; what is answered is in {out}; to go on from there: {again}", stop.code)
    done = f", {len(files) - len(waiting):,} of them from before" if len(waiting) < len(files) else ""
    click.echo(f"{len(files):,} images{done}: {out}")
