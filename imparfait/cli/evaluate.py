"""`imparfait evaluate`: accuracy of models on corrupted images, with a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from imparfait.cli import console, options, spec_options

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option(
    "--suite", type=click.Choice(["core", "full"]), default="core", show_default=True,
    help="core: clean, geometric, shrunk; full: every corruption at every severity, calibration and OOD detection.",
)  # fmt: skip
@click.option(
    "--split", type=click.Choice(["validation", "test", "all"]), default="validation", show_default=True,
    help="test evaluates on the sealed test set; all on every image, those for the test included, for a model that "
    "was trained on none of them. The ledger in --out records every access to test images.",
)  # fmt: skip
@options.data
@options.group
@click.option("--network", help="my_net.py:build, for a run whose network is from a file of yours.")
@spec_options.input_spec
@options.device
@options.out
@options.as_json
def evaluate(
    models: tuple[Path, ...],
    suite: str,
    split: Literal["validation", "test", "all"],
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    group: str | None,
    skip_unreadable: bool,
    network: str | None,
    device: str,
    out: Path,
    as_json: bool,
    spec: spec_options.SpecFlags,
) -> None:
    """Evaluate each MODEL on clean and corrupted images, and write a report.

    A MODEL is a run folder, a pretrained model such as digits, or an .onnx or .keras file, which runs in a sandbox.
    Runs that differ only in their seed are one model. Several models are compared, with one verdict per pair.
    """
    from imparfait.models.metadata import shared_input_format
    from imparfait.models.pretrained import find_models

    paths = find_models(models)  # what can be refused is, before the rest is imported
    from imparfait.inference.open_model import open_models
    from imparfait.reports.evaluation import evaluate_models
    from imparfait.reports.text import evaluation_lines, evaluation_table

    spec.hint()
    centre = spec.centre(size)
    known = normalize or (None if size or centre else shared_input_format(paths.values()))
    dataset = console.loaded(
        data, size, known, skip_unreadable=skip_unreadable, group=group, centre=centre, whole=split == "all"
    )
    with open_models(models, dataset, device=device, network=network, spec=spec.hint(dataset)) as opened:
        report = evaluate_models(opened, dataset, suite=suite, split=split, out=out, watch=console.watch)
    if as_json:
        console.print_json(report.scores.model_dump(), report.folder)
        return
    console.table(*evaluation_table(report))
    for line in evaluation_lines(report):
        click.echo(console.plain(line))
