"""`imparfait evaluate`: where classifiers break, ours or other people's."""

from contextlib import ExitStack
from pathlib import Path

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError

LAYOUTS = "nchw, nhwc, nhw or flat"
RANGES = "1, 255, -1..1, mnist or imagenet"


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option(
    "--suite", type=click.Choice(["three", "full"]), default="three", show_default=True,
    help="three: clean, geometric, shrunk; full: every corruption at every severity, and how far to trust it.",
)  # fmt: skip
@click.option(
    "--split", "split", type=click.Choice(["test", "validation"]), default="test", show_default=True,
    help="The test images, which opens them; or those of the validation set, to choose by.",
)  # fmt: skip
@options.data
@options.size
@click.option("--network", help="my_net.py:build, where a run's network is from a file of your own.")
@click.option("--layout", help=f"How a file's model takes images: {LAYOUTS}.  [default: found by trying]")
@click.option("--range", "value_range", help=f"… in which range: {RANGES}.  [default: found by trying]")
@click.option("--ink", help="… light on a dark ground, or dark.  [default: found by trying]")
@click.option("--outputs", help="What it answers: logits, probabilities or labels.  [default: what it looks like]")
@options.device
@options.out
@options.as_json
def evaluate(
    models: tuple[Path, ...],
    suite: str,
    split: str,
    data: str,
    size: int | None,
    network: str | None,
    layout: str | None,
    value_range: str | None,
    ink: str | None,
    outputs: str | None,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """Score each MODEL (a run folder, a .onnx or a .keras file) on images as they are and corrupted, with a report.

    Runs that differ only in their seed are one model; several models are compared, each pair with one verdict. The
    test is opened once for each MODEL, which is written into the ledger in --out. Files of others run in a fenced
    process. A corruption is what others call a corruption.
    """
    from imparfait.cli.asking import names_of, open_model
    from imparfait.cli.proving import prove
    from imparfait.evaluation.external.input_spec import SpecHint

    known = SpecHint(layout, value_range, ink, outputs)
    if len({path.resolve() for path in models}) < len(models):
        raise UserError("a MODEL is given twice; give each once")
    dataset = console.loaded(data, size)
    test = dataset.test if split == "test" else None
    with ExitStack() as stack:
        asked = [
            stack.enter_context(open_model(path, dataset, name=name, device=device, network=network, spec=known))
            for path, name in zip(models, names_of([*models]), strict=True)
        ]
        prove(asked, dataset, test, full=suite == "full", out=out, as_json=as_json)
