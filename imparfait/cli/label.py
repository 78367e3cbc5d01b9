"""`imparfait label`: the unlabelled images most worth labelling, labelled one by one in the browser."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, local_page, options, parameters
from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.writable import check_writable

if TYPE_CHECKING:
    from imparfait.inference.active_learning import Candidate
    from imparfait.inference.batch import Batch
    from imparfait.inference.label_session import LabelSession
    from imparfait.inference.predictor import Predictor

MIN_OF_EACH = 2  # images of a class that a training needs: one to train on, one to validate


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FOLDER...")
@options.model
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("labels.csv"), show_default=True,
    help="CSV file for the labels, image_path,label; the same command continues.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(1, 5000), default=50, show_default=True, help="Images to choose.")
@click.option(
    "--data", type=parameters.DATA, metavar="DATA",
    help="The images that the model was trained on, as train takes them. They are not chosen again, and the printed "
    "training has them.",
)  # fmt: skip
@click.option("--list", "only_list", is_flag=True, help="Open no page; print the chosen images as CSV.")
@local_page.options
def label(
    images: tuple[Path, ...],
    model: str,
    out: Path,
    count: int,
    data: str | None,
    only_list: bool,
    port: int,
    no_open: bool,
) -> None:
    """Choose the images in FOLDER that are most worth labelling, and label them in the browser.

    Chosen are images that the model is uncertain of and that differ from each other. A page shows them one at a time;
    each label is saved at once. Ctrl-C stops; the same command continues, and when all are labelled it chooses others.
    Only this computer can reach the page, by the address that is printed.
    """
    from imparfait.inference.active_learning import candidates_of
    from imparfait.inference.batch import Batch, files_in
    from imparfait.inference.label_session import LabelSession

    check_writable(out)
    if not only_list:
        local_page.check_installed("label")
    files, others = list(files_in(images)), list(_files_of(data)) if data else []
    batch = Batch(model)
    with LabelSession(out) as session:
        if only_list:
            _print_list(_chosen(files, session, others, batch, count), batch.predictor)
            return
        candidates = list(candidates_of(session.images, batch.predictor))
        if not any(session.is_open(each.file) for each in candidates):
            session.start([each.file for each in _chosen(files, session, others, batch, count)])
            candidates = list(candidates_of(session.images, batch.predictor))
        from imparfait.serving.label import Labelling, make_label_app
        from imparfait.serving.local_app import new_token

        token, left = new_token(), sum(session.is_open(each.file) for each in candidates)
        app = make_label_app(Labelling(session, candidates, batch.predictor.classes), token)
        local_page.show(app, token, port, no_open, f"{left:,} of {counted(len(candidates), 'image')} to label")
        _report(session)
        if any(session.is_open(each.file) for each in candidates):
            console.next_step(options.again(), "continue")
        elif session.labels:
            _next_training(session, data, _training_options(model, batch.predictor))


def _chosen(
    files: list[str], session: "LabelSession", others: list[str], batch: "Batch", count: int
) -> "list[Candidate]":
    from imparfait.inference.active_learning import choose_images

    waiting = session.unlabelled(files, others)
    if not waiting:
        known = f"all of these {counted(len(files), 'image')} are" if len(files) > 1 else "this image is"
        raise UserError(f"{known} labelled or skipped already", hint="name a folder with others")
    chosen = choose_images(waiting, batch, count, console.watch(f"predicting {counted(len(waiting), 'image')}"))
    if batch.failed:
        first = console.plain(f"{batch.failed[0].file}: {batch.failed[0].error}")
        click.echo(f"{counted(len(batch.failed), 'image')} left out, unreadable; the first: {first}", err=True)
    return chosen


def _files_of(data: str) -> Iterator[str]:
    """The image files of the data set that is known already."""
    from imparfait.data.formats import read_files
    from imparfait.data.load import parts_of

    for part in parts_of(data):
        for split in read_files(Path(part)).values():
            yield from (source for source in split.sources if isinstance(source, str))


def _print_list(chosen: "list[Candidate]", predictor: "Predictor") -> None:
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(["image_path", "predicted", "probability", "uncertainty"])
    for each in chosen:
        best = each.ranked()[0]
        probability = f"{each.probabilities[best]:.4f}"
        rows.writerow([each.file, predictor.classes[best], probability, f"{each.uncertainty:.4f}"])
    click.echo(buffer.getvalue(), nl=False)


def _report(session: "LabelSession") -> None:
    counts = Counter(session.labels[image] for image in session.images if image in session.labels)
    each = ", ".join(f"{count} {name}" for name, count in counts.most_common(5))
    more = f" and {len(counts) - 5} more classes" if len(counts) > 5 else ""
    classes = f" ({each}{more})" if each else ""
    line = f"labelled {sum(counts.values()):,} of {counted(len(session.images), 'image')}{classes}"
    all_in = f", {len(session.labels):,} labels in all" if len(session.labels) > sum(counts.values()) else ""
    click.echo(console.plain(f"{line}: {session.table}{all_in}"), err=True)


def _next_training(session: "LabelSession", data: str | None, given: list[str]) -> None:
    """What to do with the labels."""
    table = str(session.table)
    if data:
        from imparfait.data.load import parts_of

        same = any(Path(part).resolve() == session.table.resolve() for part in parts_of(data))
        both = data if same else f"{data}+{table}"
        console.next_step(shlex.join(["imparfait", "train", "--data", both, *given]), "train on all of them")
        return
    counts = Counter(session.labels.values())
    if len(counts) < 2 or min(counts.values()) < MIN_OF_EACH:
        click.echo(
            f"too few to train on alone: a training needs two classes, and {MIN_OF_EACH} images of each; "
            f"--data FOLDER+{table} adds them to the images of a folder",
            err=True,
        )
        return
    why = f"train on them alone; --data FOLDER+{table} adds them to the images of a folder"
    console.next_step(shlex.join(["imparfait", "train", "--data", table, *given]), why)


def _training_options(model: str, predictor: "Predictor") -> list[str]:
    """Options of a training like the model's, as far as its folder tells."""
    form = predictor.input_format
    shape = ["--size", str(form.height)] if form.height == form.width and form.normalization != "none" else []
    words = [*shape, "--normalize", form.normalization] if form.normalization != "none" else []
    if not Path(model).is_dir():
        return words
    from imparfait.training.backbones import BACKBONES
    from imparfait.training.manifest import read_manifest
    from imparfait.training.recipes import RECIPES

    manifest = read_manifest(Path(model))
    network = manifest.settings.model
    if manifest.recipe in ("linear-probe", "fine-tune"):
        name = next((name for name, each in BACKBONES.items() if each.model == network), network)
        return ["--backbone", name, *(["--fine-tune"] if manifest.recipe == "fine-tune" else []), *words]
    return [*(["--recipe", manifest.recipe] if manifest.recipe in RECIPES else []), *words]
