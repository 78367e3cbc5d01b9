"""`imparfait alter`: look at corruptions, or write images corrupted once and for all."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError, lookup

if TYPE_CHECKING:
    import numpy as np

    from imparfait.data.dataset import LabelledImages
    from imparfait.data.images.normalize import Normalization
    from imparfait.data.load import Dataset
    from imparfait.data.write import Manifest, Order

LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)  # of a contact sheet
MANY, CATALOGUED = 3, 2  # corruptions above which the sheet is a catalogue, of so many images
SHEET, FOLDER, MANIFEST = Path("corruptions.png"), Path("altered"), "manifest.json"


@click.command()
@click.argument("corruptions", nargs=-1)
@click.option(
    "--severity", "severities", type=click.FloatRange(0, 1), multiple=True,
    help="From 0 (nothing) to 1; may be given several times.  [default: 0.2, 0.4, 0.6, 0.8 and 1]",
)  # fmt: skip
@options.data
@options.size
@options.normalize
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other pixels.")
@click.option("--images", type=click.IntRange(1, 64), default=10, show_default=True, help="Images on the sheet.")
@click.option(
    "--dataset", "files", type=click.Choice(["folders", "idx"]),
    help="Instead of a sheet, write all images corrupted: as class folders of PNGs, or as IDX files.",
)  # fmt: skip
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(["train", "validation", "test"]),
    help="Which images --dataset writes; may be given several times.  [default: train, and validation if there]",
)  # fmt: skip
@click.option(
    "--manifest", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Write again what this manifest.json describes, and check that the pixels are the same.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help=f"[default: {SHEET}, or for data sets {FOLDER}]")
def alter(
    corruptions: tuple[str, ...],
    severities: tuple[float, ...],
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    seed: int,
    images: int,
    files: str | None,
    splits: tuple[str, ...],
    manifest: Path | None,
    out: Path | None,
) -> None:
    """Show ALTERATIONS (all, when none is named) of some images on a contact sheet, or write corrupted data sets.

    A data set is written into --out/<corruption>-<severity>/, which --data takes; a manifest.json in --out tells how
    to make the same pixels again. Corrupted test images open the test, which the ledger beside --out notes.
    """
    from imparfait.corruptions import CORRUPTIONS

    names = corruptions or tuple(CORRUPTIONS)
    for name in names:
        lookup("corruption", name, CORRUPTIONS)
    if manifest:
        if corruptions or severities or files or splits or seed:
            raise UserError("--manifest tells all there is to write; with it, give only --data, --size and --out")
        _write_again(manifest, console.loaded(data, size, normalize), out or FOLDER)
    elif files:
        if not severities:
            raise UserError("--dataset wants to know how much to alter; write --severity, from 0 (nothing) to 1")
        from imparfait.data.write import Order

        found = console.loaded(data, size, normalize)
        expected = splits or ("train", *(["validation"] if found.validation else []))
        told = {"corruptions": names, "severities": severities, "splits": expected, "seed": seed, "format": files}
        order = Order.model_validate(told)
        _write(found, order, out or FOLDER)
        first, _, _ = next(order.data_sets())
        what = f"imparfait train --data {(out or FOLDER) / first} --augmentation clean"
        console.next_step(what, "learn from the corrupted images as they are")
    else:
        _draw_sheet(console.loaded(data, size, normalize).train, names, severities or LEVELS, seed, images, out or SHEET)


def _draw_sheet(
    data: "LabelledImages", names: Sequence[str], severities: Sequence[float], seed: int, images: int, out: Path
) -> None:
    import numpy as np

    from imparfait.core.storage import atomic_write
    from imparfait.data.corrupted import corrupt
    from imparfait.reports.figures import as_png, contact_sheet

    if out.suffix != ".png":
        raise UserError(f"--out {out}: a contact sheet is a PNG; write a name that ends in .png")
    few = data.select(_one_class_after_another(data.labels, len(data.classes), images))
    if len(names) > MANY:  # a catalogue: a row a corruption, each image at all severities side by side
        few = few.select(np.arange(min(len(few), CATALOGUED)))
        rows = {
            name: np.stack([corrupt(few, name, severity, seed).pixels for severity in severities], 1).reshape(
                -1, *few.pixels.shape[1:]
            )
            for name in names
        }
        levels = ", ".join(f"{severity:g}" for severity in severities)
        told = f"{len(names)} corruptions, a row each: {len(few)} images at severities {levels}"
    else:
        rows = {"as it is": few.pixels}
        for name in names:
            rows |= {f"{name} {severity:g}": corrupt(few, name, severity, seed).pixels for severity in severities}
        told = f"{len(few)} images, a row for each of {', '.join(rows)}"
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, as_png(contact_sheet(rows)))
    click.echo(f"{told}: {out}")


def _one_class_after_another(labels: "np.ndarray", classes: int, images: int) -> "np.ndarray":
    """Rows of the first image of each class, then of the second of each: as many as expected, or as there are."""
    import numpy as np

    turns = np.zeros(len(labels), np.int64)
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        turns[rows] = np.arange(len(rows))
    return np.lexsort((labels, turns))[:images]


def _write(found: "Dataset", order: "Order", out: Path, expected: "Manifest | None" = None) -> None:
    """The data sets that `order` describes, in the new folder `out`; only if they are the `expected` ones."""
    from imparfait.core.storage import atomic_directory, write_json
    from imparfait.data.sealed_test import LEDGER
    from imparfait.data.write import write_corrupted

    if out.exists():
        raise UserError(f"--out {out}: it is there already; give a folder that is not, or remove it")
    with atomic_directory(out) as unfinished:
        written = write_corrupted(found, order, unfinished, out.parent / LEDGER, console.watch)
        for name, sha256 in (expected.sha256 if expected else {}).items():
            if written.sha256.get(name) != sha256:
                raise UserError(f"{name}: the sha256 of its pixels is not the manifest's; nothing is kept")
        write_json(unfinished / MANIFEST, written.model_dump())
    click.echo(f"{', '.join(written.sha256)}: in {out}, described in {out / MANIFEST}")


def _write_again(path: Path, found: "Dataset", out: Path) -> None:
    from pydantic import ValidationError

    from imparfait.data.write import Manifest

    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its text"
        raise UserError(
            f"{path}: {where}: {error.errors()[0]['msg']}; expected what `imparfait alter` wrote"
        ) from error
    if manifest.sha256_of_data.get("train", found.train.fingerprint()) != found.train.fingerprint():
        raise UserError(f"{path} was made of {manifest.data}; --data {found.train.name} has other training images")
    _write(found, manifest.order, out, manifest)
    click.echo("the same pixels as the manifest's: every sha256 agrees")
