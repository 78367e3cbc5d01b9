"""`imparfait read --table`: the cells of a ruled grid, as rows of text or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.inference.ocr.constraints import Constraint
    from imparfait.inference.ocr.table import Table
    from imparfait.inference.predictor import Predictor

NO_GRID_MESSAGE = "no ruled grid was found on it"


def read_tables(
    images: tuple[Path, ...], predictor: "Predictor", constraints: "list[Constraint]", as_json: bool
) -> None:
    """Print the table on each page of each image."""
    from imparfait.data.images.pdf import read_document
    from imparfait.inference.ocr.output import files_to_read
    from imparfait.inference.ocr.table import read_table
    from imparfait.inference.results_file import json_line

    files = files_to_read(images)
    failed, numbers, unsure = [], 0, 0
    for file in files:
        try:
            for page in read_document(file):
                table = read_table(page, predictor, constraints)
                if as_json:
                    number = {"page": page.number} if page.pages > 1 else {}
                    content = table.to_json() if table else {"confident": False, "rows": None}
                    click.echo(json_line({"file": file, **number, "model": predictor.name, **content}))
                elif table:
                    click.echo(f"{page.name}:\n" * (len(files) > 1 or page.pages > 1) + _text(table))
                if table is None:
                    click.echo(f"{page.name}: {NO_GRID_MESSAGE}", err=True)
                    continue
                cells = [cell for row in table.rows for cell in row if cell.field]
                numbers, unsure = numbers + len(cells), unsure + sum(not cell.confident for cell in cells)
        except UserError as error:  # of one file among many; its earlier pages are printed
            if len(files) == 1:
                raise
            failed.append(file)
            line = json_line({"file": file, "model": predictor.name, "error": str(error).removeprefix(f"{file}: ")})
            click.echo(line if as_json else str(error), err=not as_json)
    if unsure:
        click.echo(f"unsure of {unsure} of {numbers} numbers: those in parentheses", err=True)
    if failed:
        raise UserError(f"{len(failed)} of {len(files)} files could not be read; the first was {failed[0]}")


def _text(table: "Table") -> str:
    return "\n".join("\t".join(cell.text if cell.confident else f"({cell.text})" for cell in row) for row in table.rows)
