"""`imparfait fields`: the fields of a form, drawn on an example in the browser."""

import shlex
from pathlib import Path

import click

from imparfait.cli import console, local_page, options
from imparfait.core.counts import counted
from imparfait.core.writable import check_writable


@click.command()
@click.argument("example", type=click.Path(path_type=Path), metavar="IMAGE")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("fields.json"), show_default=True,
    help="JSON file for the fields; one that exists is changed.",
)  # fmt: skip
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Page of IMAGE to draw on.")
@options.model
@local_page.options
def fields(example: Path, out: Path, page: int, model: str, port: int, no_open: bool) -> None:
    """Draw the fields of a form on an example, for `imparfait read --fields`.

    A page in the browser shows IMAGE. Draw a region around each number, name it and choose constraints: what is read
    there appears at once. Save writes the file. Only this computer can reach the page, by the address that is printed.
    """
    from imparfait.inference.forms.fields_editor import FieldsEditor
    from imparfait.inference.loading import load_predictor

    local_page.check_installed("fields")
    check_writable(out)
    editor = FieldsEditor(example, out, load_predictor(model), page)
    from imparfait.serving.fields import make_fields_app
    from imparfait.serving.local_app import new_token

    token = new_token()
    local_page.show(make_fields_app(editor, token), token, port, no_open, f"fields on {example}")
    if not editor.fields:
        click.echo("no fields are saved", err=True)
        return
    click.echo(f"{counted(len(editor.fields), 'field')}: {out}", err=True)
    chosen = [*(["--model", model] if model != "digits" else []), "--csv", "forms.csv"]
    folder = str(example.parent)
    console.next_step(shlex.join(["imparfait", "read", "--fields", str(out), folder, *chosen]), "read all forms there")
