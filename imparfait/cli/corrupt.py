"""`imparfait corrupt`: preview corruptions, or write corrupted data sets."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options, parameters
from imparfait.core.errors import UserError
from imparfait.core.writable import check_writable, check_writable_folder

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization

SHEET, FOLDER = Path("corruptions.png"), Path("corrupted")


@click.command()
@click.argument("corruptions", nargs=-1, type=parameters.CORRUPTION)
@click.option(
    "--suite", type=click.Choice(["digits", "photo"]),
    help="Suite whose corruptions are used if none is named.  [default: photo for a sheet of photographs, else digits]",
)  # fmt: skip
@click.option(
    "--severity", "severities", type=click.FloatRange(0, 1), multiple=True,
    help="From 0 (unchanged) to 1; repeatable.  [default: 0.2, 0.4, 0.6, 0.8 and 1]",
)  # fmt: skip
@options.data
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the corruptions.")
@click.option("--images", type=click.IntRange(1, 64), default=10, show_default=True, help="Images on the sheet.")
@click.option(
    "--dataset", "form", type=click.Choice(["folders", "idx"]),
    help="Instead of a sheet, write all images corrupted: as class folders of PNGs, or as IDX files.",
)  # fmt: skip
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(["train", "validation", "test"]),
    help="Images that --dataset writes; repeatable.  [default: train, and validation if the data set has it]",
)  # fmt: skip
@click.option(
    "--manifest", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Reproduce the data sets of this manifest.json, and check that the pixels are the same.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help=f"[default: {SHEET}, or for data sets {FOLDER}]")
def corrupt(
    corruptions: tuple[str, ...],
    suite: str | None,
    severities: tuple[float, ...],
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    skip_unreadable: bool,
    seed: int,
    images: int,
    form: str | None,
    splits: tuple[str, ...],
    manifest: Path | None,
    out: Path | None,
) -> None:
    """Draw CORRUPTIONS (default: all) of some images on a contact sheet, or write corrupted data sets.

    Corruptions of photographs are called photo.NAME; their level n is severity n / 5.

    A data set goes to --out/<corruption>-<severity>/, for --data; manifest.json in --out describes how to reproduce
    it. Corrupting the test set is a test access, recorded in the ledger beside --out.
    """
    if form and not severities:
        raise UserError("--dataset without --severity", hint="write --severity, from 0 (unchanged) to 1")
    if form or manifest:
        check_writable_folder(out or FOLDER)
    elif (out or SHEET).suffix != ".png":
        raise UserError(f"--out {out}: a contact sheet is a PNG", hint="write a name that ends in .png")
    else:
        check_writable(out or SHEET, makes_folder=True)
    from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS, known_names

    names = known_names(corruptions or (tuple(PHOTO_CORRUPTIONS) if suite == "photo" else ()))
    if manifest and (corruptions or suite or severities or form or splits or seed):
        raise UserError("--manifest describes all there is to write", hint="give only --data, --size and --out with it")
    if not (form or manifest):
        from imparfait.reports.corruption_sheet import SEVERITIES, write_sheet

        out = out or SHEET
        shown = console.loaded(data, size, normalize, skip_unreadable=skip_unreadable).train
        if not (corruptions or suite):
            names = tuple(CORRUPTIONS if shown.is_of_digits else PHOTO_CORRUPTIONS)
        click.echo(write_sheet(out, shown, names, severities or SEVERITIES, seed, images))
        return
    from imparfait.data.write import MANIFEST, Order, read_manifest, write_corrupted

    fields = {"corruptions": names, "severities": severities, "splits": splits, "seed": seed, "format": form}
    order, out = read_manifest(manifest) if manifest else Order.model_validate(fields), out or FOLDER
    dataset = console.loaded(data, size, normalize, skip_unreadable=skip_unreadable)
    written = write_corrupted(dataset, order, out, console.watch)
    click.echo(f"{', '.join(written.sha256)}: in {out}, described in {out / MANIFEST}")
    if manifest:
        click.echo("the same pixels as the manifest's: every sha256 agrees")
    first, _, _ = next(written.order.data_sets())
    console.next_step(f"imparfait train --data {out / first} --augmentation clean", "train on the corrupted images")
