"""`imparfait read --table`: the cells of a ruled grid, as rows of text or JSON."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console
from imparfait.core.counts import counted
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.data.images.decode import Page
    from imparfait.inference.image_workers.client import ImageWorkers
    from imparfait.inference.ocr.constraints import Constraint
    from imparfait.inference.ocr.table import Table
    from imparfait.inference.predictor import Predictor

NO_GRID_MESSAGE = "no ruled grid was found on it"


def read_tables(
    images: tuple[Path, ...], predictor: "Predictor", constraints: "list[Constraint]", as_json: bool
) -> None:
    """Print the table on each page of each image."""
    from imparfait.inference.image_workers.client import ImageWorkers
    from imparfait.inference.ocr.output import files_to_read
    from imparfait.inference.results_file import json_line

    files = files_to_read(images)
    failed: list[str] = []
    numbers = unsure = 0
    with ImageWorkers() as workers:
        tables_of = partial(_tables_of, predictor=predictor, constraints=constraints, workers=workers)
        for file, (page, table) in console.each_result(files, tables_of, predictor.name, as_json, failed):
            if as_json:
                number = {"page": page.number} if page.pages > 1 else {}
                content = table.to_json() if table else {"confident": False, "rows": None}
                click.echo(json_line({"file": file, **number, "model": predictor.name, **content}))
            elif table:
                click.echo(f"{console.plain(page.name)}:\n" * (len(files) > 1 or page.pages > 1) + _text(table))
            if table is None:
                click.echo(console.plain(f"{page.name}: {NO_GRID_MESSAGE}"), err=True)
                continue
            cells = [cell for row in table.rows for cell in row if cell.field or not cell.confident]
            numbers, unsure = numbers + len(cells), unsure + sum(not cell.confident for cell in cells)
    if unsure:
        click.echo(f"unsure of {unsure} of {counted(numbers, 'number')}: those in parentheses", err=True)
    console.check_failed(failed, files)


def _tables_of(
    file: str, predictor: "Predictor", constraints: "list[Constraint]", workers: "ImageWorkers"
) -> "Iterator[tuple[Page, Table | None]]":
    """Each page of a file with its table; raises UserError at the end where no page has one."""
    from imparfait.inference.ocr.table import read_table

    found = False
    for page in workers.pages(file):
        table = read_table(page, predictor, constraints)
        found = found or table is not None
        if table or page.pages > 1:
            yield page, table
    if not found:
        raise UserError(
            f"{file}: {NO_GRID_MESSAGE}",
            expected="a table with drawn lines around its cells",
            hint="without --table, its numbers are read line by line",
        )


def _text(table: "Table") -> str:
    return "\n".join("\t".join(cell.text if cell.confident else f"({cell.text})" for cell in row) for row in table.rows)
