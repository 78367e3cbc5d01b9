"""`imparfait check`: what is in a data set, and which of its images are copies."""

import json
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options, parameters

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization

DEFAULT_SIDE = 64  # pixels, to which images of several sizes are brought to compare them


@click.command()
@click.argument("data", type=parameters.DATA, metavar="DATA")
@options.image_options
@options.group
@options.as_json
def check(
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    group: str | None,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Check a data set before training: images per class and split, sizes, colour modes, copies.

    DATA is what --data takes. Warnings name images that are in two splits, classes without images, and imbalance. The
    test images are counted and compared, which is no test access: no model sees them. Exit code 0, whatever is found.
    """
    from imparfait.data.data_report import report_data
    from imparfait.data.image_files import SizesDifferError
    from imparfait.reports.data_text import data_lines, data_table, data_warnings

    try:
        dataset = console.loaded(data, size, normalize, skip_unreadable=skip_unreadable, group=group)
    except SizesDifferError:
        if size or normalize:
            raise
        dataset = console.loaded(data, DEFAULT_SIDE, skip_unreadable=skip_unreadable, group=group)
        click.echo(
            f"images of several sizes are compared at {DEFAULT_SIDE}×{DEFAULT_SIDE} pixels; training needs a --size",
            err=True,
        )
    report = report_data(dataset, console.watch("comparing test images"))
    if as_json:
        click.echo(json.dumps(report.model_dump() | {"warnings": data_warnings(report)}, ensure_ascii=False))
        return
    console.table(*data_table(report))
    for line in data_lines(report):
        click.echo(console.plain(line))
    for warning in data_warnings(report):
        click.echo(console.plain(f"warning: {warning}"))
