"""Recognised pages as lines of text, lines of JSON, drawings and crops of unsure digits."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.images.decode import SUFFIXES, Page
from imparfait.data.images.pdf import SUFFIX as PDF_SUFFIX
from imparfait.inference.batch import files_in
from imparfait.inference.ocr import Field, Reading

SHOWN = 3  # alternatives of an unsure number
DRAWING = "-read"  # the end of a drawing's name, before .png


def page_json(file: str, page: Page, reading: Reading, model: str) -> dict[str, Any]:
    """One line of `read --json`."""
    number = {"page": page.number} if page.pages > 1 else {}
    height, width = reading.size
    return {"file": file, **number, "model": model, "width": width, "height": height, **reading.to_json()}


def text_lines(reading: Reading) -> list[str]:
    """The lines of a page for people; unsure digits are in parentheses."""
    return [" ".join(map(_marked, line.fields)) for line in reading.lines]


def doubt_lines(reading: Reading) -> list[str]:
    """For each unsure number, the reason, or what constraints allow instead, with probabilities."""
    lines = []
    for field in reading.fields:
        if field.decision and not field.confident:
            likely = [f"{each.text} ({each.probability:.0%})" for each in field.decision.alternatives[:SHOWN]]
            allowed = f"allowed: {', '.join(likely)}" if likely else "no number of this length is allowed"
            lines.append(f"{field.text}: unsure; {allowed}")
        elif field.reason:
            lines.append(f"{field.text}: unsure; {field.reason}")
    return lines


def _marked(field: Field) -> str:
    marks = iter([digit.label if digit.confident else f"({digit.label})" for digit in field.digits])
    if field.decision is None or field.decision.best is None:
        return "".join(marks)
    # Separators of a pattern stay as they are; the digits between them come in the same order.
    left, parts = list(field.decision.best.characters), []
    for character in field.text:
        is_digit = bool(left) and character == left[0]
        parts.append(next(marks) if is_digit else character)
        left = left[is_digit:]
    return "".join(parts)


def files_to_read(paths: Iterable[Path]) -> list[str]:
    """The image files and PDFs of `paths` and in the folders among them, without the drawings in these."""
    found = ((path, file) for path in paths for file in files_in([path], SUFFIXES | {PDF_SUFFIX}))
    return [file for path, file in found if not (path.is_dir() and file.endswith(f"{DRAWING}.png"))]


def drawing_paths(files: Sequence[str], out: Path | None) -> dict[str, Path]:
    """The path of each file's drawing, in `out` or beside the file; raises UserError where it is one of the images."""
    taken = {Path(file).resolve() for file in files}
    drawings = {}
    for file in files:
        path = Path(file)
        target = (out or path.parent) / f"{path.stem}{DRAWING}.png"
        if target.resolve() in taken:  # two images of the same name
            target = target.with_name(f"{path.name.replace('.', '-')}{DRAWING}.png")
        if target.resolve() in taken:
            raise UserError(
                f"{target}: the drawing of {file} would replace it", hint="rename it, or write --out FOLDER"
            )
        taken.add(target.resolve())
        drawings[file] = target
    return drawings


def write_drawing(path: Path, page: Page, reading: Reading) -> Path:
    """Draw a page beside its text; of a file with several pages, each gets a number."""
    from imparfait.inference.ocr.visualize import draw

    if page.pages > 1:
        path = path.with_name(f"{path.stem}-{page.number}.png")
    draw(page, reading).save(path)
    return path


def write_crops(folder: Path, stem: str, page: Page, reading: Reading) -> int:
    """Write the unsure digits as the model's inputs, a PNG each, and return how many; names begin with the label.

    The folder is made with the first of them.
    """
    count = 0
    for row, line in enumerate(reading.lines, 1):
        for column, digit in enumerate((digit for field in line.fields for digit in field.digits), 1):
            if not digit.confident:
                number = f"page{page.number}-" if page.pages > 1 else ""
                folder.mkdir(parents=True, exist_ok=True)
                label = "".join(letter if letter.isalnum() else "_" for letter in digit.label)
                Image.fromarray(digit.pixels[0, 0]).save(folder / f"{label}-{stem}-{number}line{row}-{column}.png")
                count += 1
    return count
