"""`imparfait read`: the numbers on images, line by line."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.cli.read_forms import read_forms
from imparfait.cli.read_tables import read_tables
from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.writable import check_writable_folder

if TYPE_CHECKING:
    from imparfait.inference.ocr.constraints import Constraint


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@options.model
@options.trust
@click.option(
    "--threads", type=click.IntRange(1), help="Threads to predict on.  [default: 1; all cores for a run folder]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per page.")
@click.option("--show", is_flag=True, help="Draw the recognised digits into IMAGE-read.png.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the drawings.  [default: the folder of each image]",
)  # fmt: skip
@click.option(
    "--review", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the unsure digits, one PNG each, to label by hand and train on.",
)  # fmt: skip
@options.constraints
@click.option("--table", is_flag=True, help="Read the cells of a ruled grid, a line per row, separated by tabs.")
@click.option(
    "--fields", type=click.Path(path_type=Path, dir_okay=False),
    help="Read forms: the places of their numbers are in this JSON file.",
)  # fmt: skip
@click.option(
    "--csv", type=click.Path(path_type=Path, dir_okay=False),
    help="With --fields: write a row per page; the same command resumes where it stopped.",
)  # fmt: skip
def read(
    images: tuple[Path, ...], model: str, trust: bool, threads: int | None, as_json: bool, show: bool, out: Path | None,
    review: Path | None, table: bool, fields: Path | None, csv: Path | None, **allowed: str | None,
) -> None:  # fmt: skip
    """Read the numbers on each IMAGE: a PNG, JPEG, BMP, GIF, WebP, TIFF, PPM or PDF file, or a folder of them.

    Each line of digits is printed as a line, with spaces at wide gaps. Digits in parentheses are unsure: check them.
    Other characters are left out. With --length, --one-of, --check, --pattern or --at-least, the most probable allowed
    number is printed; a number that does not meet them is unsure. Needs no torch; PDF needs imparfait[pdf].
    """
    from imparfait.inference.image_workers.client import ImageWorkers
    from imparfait.inference.loading import load_predictor
    from imparfait.inference.ocr import NO_DIGITS_MESSAGE
    from imparfait.inference.ocr import output as ocr
    from imparfait.inference.predict_jobs import threads_of
    from imparfait.inference.results_file import json_line

    if fields:
        _check_alone("--fields", "--csv, --json and --model", show=show, out=out, review=review, table=table, **allowed)
        read_forms(images, fields, csv, model, trust, threads, as_json)
        return
    if csv:
        raise UserError(f"--csv {csv} is for forms", hint="write --fields fields.json too")
    for folder in filter(None, (out, review)):
        check_writable_folder(folder)
    if out and not show:
        raise UserError(f"--out {out} is for the drawings of --show", hint="write --show too, or leave --out out")
    predictor = load_predictor(model, threads or 1, trust)
    constraints = _constraints(allowed, predictor.classes)
    if table:
        _check_alone("--table", "--json, --model and constraints", show=show, out=out, review=review)
        read_tables(images, predictor, constraints, as_json)
        return
    files = ocr.files_to_read(images)
    drawings = ocr.drawing_paths(files, out) if show else {}
    if out:
        out.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    numbers = unsure = crops = 0
    with ImageWorkers() as workers, threads_of(model, threads):
        readings_of = partial(workers.readings, predictor=predictor, constraints=constraints)
        for file, (page, reading) in console.each_result(files, readings_of, predictor.name, as_json, failed):
            if as_json:
                click.echo(json_line(ocr.page_json(file, page, reading, predictor.name)))
            else:
                if len(files) > 1 or page.pages > 1:
                    click.echo(console.plain(f"{page.name}:"))
                click.echo("".join(f"{line}\n" for line in ocr.text_lines(reading)), nl=False)
                if not reading.lines:
                    click.echo(console.plain(f"{page.name}: {NO_DIGITS_MESSAGE}"), err=True)
                for line in ocr.doubt_lines(reading):
                    click.echo(line, err=True)
            numbers, unsure = numbers + len(reading.fields), unsure + sum(not f.confident for f in reading.fields)
            if show:
                click.echo(f"drawn: {ocr.write_drawing(drawings[file], page, reading)}", err=True)
            if review:
                crops += ocr.write_crops(review, Path(file).stem, page, reading)
    if unsure:
        click.echo(f"unsure of {unsure} of {counted(numbers, 'number')}; check the digits in parentheses", err=True)
    if review and not crops:
        click.echo(f"nothing to review: {'every digit is confident' if numbers else 'no digits were found'}", err=True)
    elif review:
        first, last = review / predictor.classes[0], review / predictor.classes[-1]
        click.echo(
            f"{counted(crops, 'digit')} to review: {review}; sort them into the folders {first} … {last}", err=True
        )
        console.next_step(f"imparfait train --data {review} --init-from {model}", "train on them, once sorted")
    elif unsure:
        console.next_step(options.again("--review", "review"), "write the unsure digits to a folder")
    console.check_failed(failed, files)


def _check_alone(flag: str, expected: str, **others: object) -> None:
    """Raise UserError for an option that this flag does not go with."""
    for name, value in others.items():
        if value:
            hint = "" if name in ("show", "out", "review", "table") else f"write {name!r} into fields.json"
            raise UserError(f"--{name.replace('_', '-')} does not go with {flag}", expected=expected, hint=hint)


def _constraints(values: dict[str, str | None], classes: tuple[str, ...]) -> "list[Constraint]":
    """The constraints of the flags that were given."""
    from imparfait.inference.ocr.constraints import KINDS, check_possible

    given = {name: text for name in KINDS if (text := values[name]) is not None}
    constraints = [KINDS[name](text) for name, text in given.items()]
    flags = [f"--{name.replace('_', '-')} {text}" for name, text in given.items()]
    check_possible(constraints, classes, " and ".join(flags))
    return constraints
