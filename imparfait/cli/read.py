"""`imparfait read`: the numbers on these images, line by line."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.data.images.decode import Page
    from imparfait.inference.ocr import Field, Reading

DRAWN = "-read"
"""What the name of a drawn image ends in."""


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURE...")
@options.model
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a page.")
@click.option("--show", "drawn", is_flag=True, help=f"Draw what was read into PICTURE{DRAWN}.png.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for these drawings.  [default: beside each image]",
)  # fmt: skip
@click.option(
    "--review", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the digits that are not sure, one PNG each, to be sorted by hand and learned.",
)  # fmt: skip
def read(
    images: tuple[Path, ...], model: str, as_json: bool, drawn: bool, out: Path | None, review: Path | None
) -> None:
    """Read the numbers on each PICTURE: a PNG, JPEG, BMP, GIF, WebP or TIFF file, or a folder of them.

    A postcode, an amount, a column on ruled paper: each line of digits is printed as a line, with a space where there
    is a wide gap. Digits in ( ) are not sure and for a person to check. What is no digit is left out. Needs no torch.
    """
    from imparfait.inference.batch import files_in
    from imparfait.inference.loading import load_predictor
    from imparfait.inference.ocr import read_file

    if out and not drawn:
        raise UserError(f"--out {out} is for the drawings of --show; write --show too, or leave it out")
    ready = load_predictor(model)
    files = [
        file
        for path in images
        for file in files_in([path])
        if not (path.is_dir() and file.endswith(f"{DRAWN}.png"))  # it is one of ours
    ]
    drawings = _drawings(files, out) if drawn else {}
    for folder in filter(None, (out, review)):
        folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    fields = doubtful = crops = 0
    for file in files:
        try:
            for page, reading in read_file(file, ready):
                if as_json:
                    click.echo(json.dumps(_told(file, page, reading, ready.name), ensure_ascii=False))
                else:
                    _print(file, page, reading, several=len(files) > 1)
                fields, doubtful = fields + len(reading.fields), doubtful + sum(not f.sure for f in reading.fields)
                if drawn:
                    _draw(drawings[file], page, reading)
                if review:
                    crops += _keep_crops(review, Path(file).stem, page, reading)
        except UserError as problem:  # of one file among many; its pages before are told
            if len(files) == 1:
                raise
            failed.append(file)
            if as_json:
                told = {"file": file, "model": ready.name, "error": str(problem).removeprefix(f"{file}: ")}
                click.echo(json.dumps(told, ensure_ascii=False))
            else:
                click.echo(str(problem), err=True)
    _say_what_next(fields, doubtful, crops, review, ready.classes, model)
    if failed:
        raise UserError(f"{len(failed)} of {len(files)} could not be read; the first was {failed[0]}")


def _told(file: str, page: "Page", reading: "Reading", model: str) -> dict[str, object]:
    """One line of `read --json`."""
    number = {"page": page.number} if page.pages > 1 else {}
    height, width = reading.size
    return {"file": file, **number, "model": model, "width": width, "height": height, **reading.to_json()}


def _print(file: str, page: "Page", reading: "Reading", several: bool) -> None:
    from imparfait.inference.ocr import NO_DIGITS_MESSAGE

    name = file + (f", page {page.number}" if page.pages > 1 else "")
    if several or page.pages > 1:
        click.echo(f"{name}:")
    if not reading.lines:
        click.echo(f"{name}: {NO_DIGITS_MESSAGE}", err=True)
    for line in reading.lines:
        click.echo(" ".join(map(_marked, line.fields)))


def _marked(field: "Field") -> str:
    return "".join(digit.label if digit.sure else f"({digit.label})" for digit in field.digits)


def _say_what_next(
    fields: int, doubtful: int, crops: int, review: Path | None, classes: tuple[str, ...], model: str
) -> None:
    if doubtful:
        click.echo(f"not sure of {doubtful} of {fields} numbers; have the digits in ( ) checked", err=True)
    if review and not crops:
        click.echo(f"nothing to review: {'all is sure' if fields else 'nothing was read'}", err=True)
    elif review:
        first, last = review / classes[0], review / classes[-1]
        click.echo(f"{crops} digits to review: {review}; sort them into the folders {first} … {last}", err=True)
        console.next_step(f"imparfait train --data {review} --init-from {model}", "learn them, when they are sorted")
    elif doubtful:
        console.next_step(options.again("--review", "review"), "write the digits that are not sure into a folder")


def _drawings(files: list[str], out: Path | None) -> dict[str, Path]:
    """Where each file's drawing goes; raises UserError where that is an image to be read."""
    taken: set[Path] = {Path(file).resolve() for file in files}
    drawings = {}
    for file in files:
        path = Path(file)
        into = (out or path.parent) / f"{path.stem}{DRAWN}.png"
        if into.resolve() in taken:  # two images of one name
            into = into.with_name(f"{path.name.replace('.', '-')}{DRAWN}.png")
        if into.resolve() in taken:
            raise UserError(f"{into}: is where the drawing of {file} would go; rename it, or write --out FOLDER")
        taken.add(into.resolve())
        drawings[file] = into
    return drawings


def _draw(path: Path, page: "Page", reading: "Reading") -> None:
    from imparfait.inference.ocr.visualize import draw

    if page.pages > 1:
        path = path.with_name(f"{path.stem}-{page.number}.png")
    draw(page, reading).save(path)
    click.echo(f"drawn: {path}", err=True)


def _keep_crops(folder: Path, stem: str, page: "Page", reading: "Reading") -> int:
    """Write the digits that are not sure, as the model took them; what it thinks they are begins their names."""
    from PIL import Image

    count = 0
    for row, line in enumerate(reading.lines, 1):
        for column, digit in enumerate((digit for field in line.fields for digit in field.digits), 1):
            if not digit.sure:
                number = f"page{page.number}-" if page.pages > 1 else ""
                label = "".join(letter if letter.isalnum() else "_" for letter in digit.label)
                name = f"{label}-{stem}-{number}line{row}-{column}.png"
                Image.fromarray(digit.pixels[0, 0]).save(folder / name)
                count += 1
    return count
