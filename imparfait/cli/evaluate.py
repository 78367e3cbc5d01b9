"""`imparfait evaluate`: accuracy of models on corrupted images, with a report."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from imparfait.cli import console, options, parameters, spec_options
from imparfait.cli.checks import check_addresses, check_models, check_out
from imparfait.cli.suite_progress import SuiteProgress

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization
    from imparfait.reports.translation import Language

SUITE_REASONS = {
    "core": "for digits; --suite digits has every corruption at every severity",
    "photo": "for photographs: ImageNet-C's corruptions and ten more, each at five levels; --suite core is short",
}


@click.command()
@click.argument("models", nargs=-1, type=parameters.Model(as_path=True), metavar="MODEL...")
@click.option(
    "--suite", type=parameters.SUITE,
    help="core: clean, geometric, shrunk; digits or photo: every corruption of digits or of photographs at every "
    "severity, calibration and OOD detection.  [default: core for models of digits, photo for others]",
)  # fmt: skip
@click.option(
    "--split", type=click.Choice(["validation", "test", "all"]), default="validation", show_default=True,
    help="test evaluates on the sealed test set; all on every image, those for the test included, for a model that "
    "was trained on none of them. The ledger in --out records every access to test images.",
)  # fmt: skip
@click.option(
    "--sample", type=options.NumberOr("all", 20), metavar="N|all",
    help="Evaluate on about N of the validation images, drawn by class, always the same ones.  [default: all; at most "
    "4000 with --suite photo]",
)  # fmt: skip
@options.severities
@options.data
@options.group
@options.url("urls", multiple=True)
@click.option("--network", help="my_net.py:build, for a run whose network is from a file of yours.")
@spec_options.input_spec
@options.device
@options.suite_executor
@options.out
@options.language
@options.as_json
def evaluate(
    models: tuple[Path, ...],
    urls: tuple[str, ...],
    suite: str | None,
    split: Literal["validation", "test", "all"],
    sample: "int | Literal['all'] | None",
    severities: Path | None,
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    group: str | None,
    skip_unreadable: bool,
    network: str | None,
    device: str,
    executor: str | None,
    address: str | None,
    threads: int | None,
    out: Path,
    language: "Language",
    as_json: bool,
    spec: spec_options.SpecFlags,
) -> None:
    """Evaluate each MODEL on clean and corrupted images, and write a report.

    A MODEL is a run folder, a pretrained model such as digits, or a model file, which runs in a sandbox: .onnx, .keras,
    .pt (TorchScript), .pt2 (torch.export), .tflite or .skops (scikit-learn). It may also be a function in a Python file
    of yours, my_model.py:predict, from a batch of images to predictions.
    Runs that differ only in their seed are one model. Several models are compared, with one verdict per pair.
    Ctrl-C keeps finished conditions; the same command continues.
    """
    if not (models or urls):
        raise click.UsageError("no model was given; name a MODEL, or the --url of one")
    if len(set(urls)) < len(urls):
        raise click.UsageError("an --url is given twice; give each once")
    from imparfait.models.metadata import shared_input_format
    from imparfait.models.pretrained import find_models

    paths = find_models(models)  # what can be refused is, before the rest is imported
    check_models(paths.values())
    check_addresses(urls)
    check_out(out)
    spec.hint()
    runs_on = options.executor_for_suite(executor, address, threads)
    centre = spec.centre(size)
    from imparfait.core.compute import tune_malloc
    from imparfait.evaluation.severity_scales import read_severities
    from imparfait.inference.open_model import open_model, open_models
    from imparfait.reports.evaluation import evaluate_models
    from imparfait.reports.suite_scores import suite_of
    from imparfait.reports.text import evaluation_lines, evaluation_table

    tune_malloc()
    scales = read_severities(severities) if severities else None
    known = normalize or (None if size or centre else shared_input_format(paths.values()))
    dataset = console.loaded(
        data, size, known, skip_unreadable=skip_unreadable, group=group, centre=centre, whole=split == "all"
    )
    with ExitStack() as stack:
        hint = spec.hint(dataset)
        opened = stack.enter_context(open_models(models, dataset, device=device, network=network, spec=hint, out=out))
        opened += [stack.enter_context(open_model(url, dataset, spec=hint, out=out)) for url in urls]
        if not suite:
            suite = suite_of(opened, dataset)
            click.echo(f"suite {suite}: {SUITE_REASONS[suite]}", err=True)
        progress = SuiteProgress(len(opened), report=True)
        with progress.saved():
            report = evaluate_models(
                opened,
                dataset,
                suite=suite,
                split=split,
                sample=sample,
                severities=scales,
                executor=runs_on,
                threads=threads or 1,
                out=out,
                watch=progress.watch,
                say=progress.say,
                language=language,
            )
    if as_json:
        console.print_json(report.scores.model_dump(), report.folder)
        return
    console.table(*evaluation_table(report))
    for line in evaluation_lines(report):
        click.echo(console.plain(line))
