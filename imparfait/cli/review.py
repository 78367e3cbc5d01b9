"""`imparfait review`: unsure fields of forms, decided one by one in the browser."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, local_page
from imparfait.core.counts import counted

if TYPE_CHECKING:
    from imparfait.inference.forms.review import Review


@click.command()
@click.argument("csv", type=click.Path(path_type=Path, dir_okay=False), metavar="CSV")
@click.option(
    "--export", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Open no page; write the digits of decided fields into class folders, to train on.",
)  # fmt: skip
@local_page.options
def review(csv: Path, export: Path | None, port: int, no_open: bool) -> None:
    """Decide on the unsure fields in a CSV file that `imparfait read --fields` wrote.

    A page in the browser shows them one at a time. Each decision is saved at once, beside the CSV file and in it.
    Ctrl-C stops; the same command continues. Only this computer can reach the page, by the address that is printed.
    """
    from imparfait.inference.forms.review import Review

    if not export:
        local_page.check_installed("review")
    with Review(csv) as opened:
        if opened.remark:
            click.echo(opened.remark, err=True)
        if export:
            _export(opened, export)
            return
        if not opened.fields:
            click.echo(f"nothing to review: every field of {csv} is confident", err=True)
            return
        from imparfait.serving.local_app import new_token
        from imparfait.serving.review import make_review_app

        token = new_token()
        title = f"{opened.left:,} of {len(opened.fields):,} unsure fields to decide"
        local_page.show(make_review_app(opened, token), token, port, no_open, title)
        decided = len(opened.fields) - opened.left
        click.echo(f"decided {decided:,} of {len(opened.fields):,} unsure fields: {csv}", err=True)
        if opened.left:
            console.next_step(shlex.join(["imparfait", "review", str(csv)]), "continue")
        else:
            console.next_step(
                shlex.join(["imparfait", "review", str(csv), "--export", "corrections"]),
                "write their digits, to train on",
            )


def _export(opened: "Review", folder: Path) -> None:
    """Write the corrections, and say what can be done with them."""
    from imparfait.inference.forms.corrections import MIN_OF_EACH, export_corrections

    counts = export_corrections(opened, folder)
    if not counts:
        none = "no decided field has as many digits as its reading"
        click.echo(
            f"no digits written: {none if opened.left < len(opened.fields) else 'no field is decided'}", err=True
        )
        return
    click.echo(f"{counted(sum(counts.values()), 'digit')} of decided fields: {folder}", err=True)
    few = [label for label in opened.classes if counts[label] < MIN_OF_EACH]
    if few:
        click.echo(
            f"too few to train on: a training needs at least {MIN_OF_EACH} of each digit; more are needed of "
            f"{', '.join(few)}", err=True,
        )  # fmt: skip
    else:
        console.next_step(
            shlex.join(["imparfait", "train", "--data", str(folder), "--init-from", "digits"]), "train on them"
        )
