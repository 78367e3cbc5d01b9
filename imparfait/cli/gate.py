"""`imparfait gate`: bounds on a model's accuracy for continuous integration."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from imparfait.cli import console, options, parameters, spec_options
from imparfait.cli.checks import check_addresses, check_baseline, check_models, check_out
from imparfait.cli.suite_progress import SuiteProgress

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization

BROKEN_EXIT = 1
FILE = click.Path(path_type=Path, dir_okay=False)


class Minimum(click.ParamType[Any]):
    """CONDITION=ACCURACY, as ("fog", 0.7)."""

    name = "CONDITION=ACCURACY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The condition's name and the accuracy, 0..1."""
        name, _, number = str(value).rpartition("=")
        try:
            least = float(number)
        except ValueError:
            least = -1.0
        if not name or not 0 <= least <= 1:
            self.fail(f"{value!r}; expected a condition and an accuracy from 0 to 1, such as fog=0.7", param, ctx)
        return name, least


@click.command()
@click.argument("model", required=False, type=parameters.Model())
@options.data
@options.group
@click.option(
    "--suite",
    type=parameters.SUITE,
    help="The conditions.  [default: the baseline's, else chosen for the model and the data]",
)
@click.option(
    "--split", type=click.Choice(["validation", "test", "all"]), default="validation", show_default=True,
    help="test: the sealed test set; all: every image, those for the test included, for a model that was trained on "
    "none of them. The ledger in --out records every access to test images.",
)  # fmt: skip
@click.option(
    "--sample", type=options.NumberOr("all", 20), metavar="N|all", default="all", show_default=True,
    help="Use about N of the validation images, drawn by class, always the same ones.",
)  # fmt: skip
@options.severities
@click.option("--against", type=FILE, metavar="BASELINE", help="Fail on a drop against this baseline.")
@click.option(
    "--max-drop", type=click.FloatRange(0, 100), default=0.0, show_default=True,
    help="Percentage points of a drop that are allowed.",
)  # fmt: skip
@click.option("--min", "minimums", type=Minimum(), multiple=True, help="Fail under an accuracy, such as fog=0.7.")
@click.option("--save", type=FILE, metavar="BASELINE", help="Write this model's baseline, for a later --against.")
@click.option("--junit", type=FILE, help="Write JUnit XML.")
@click.option("--markdown", type=FILE, help="Write a summary in Markdown.")
@click.option("--badge", type=FILE, help="Write an SVG badge.")
@options.url("url", multiple=False)
@spec_options.input_spec
@options.suite_executor
@options.out
@options.as_json
def gate(
    model: str | None, url: str | None, data: str, size: int | None, normalize: "Normalization | None",
    group: str | None, skip_unreadable: bool, suite: str | None, split: Literal["validation", "test", "all"],
    sample: "int | Literal['all']", severities: Path | None, against: Path | None, max_drop: float,
    minimums: tuple[tuple[str, float], ...], save: Path | None, junit: Path | None, markdown: Path | None,
    badge: Path | None, executor: str | None, address: str | None, threads: int | None, out: Path, as_json: bool,
    spec: spec_options.SpecFlags,
) -> None:  # fmt: skip
    """Check that MODEL keeps to bounds on its accuracy; exit code 1 where one is broken beyond noise.

    A bound is a drop against a baseline, or a minimum. It is broken where a one-sided test shows it at 5 %, adjusted
    for the number of bounds: a lower accuracy alone is not enough. The test images stay sealed by default.
    """
    if model is None or url is not None:
        if model is not None or url is None:
            raise click.UsageError("expected one model: MODEL, or the --url of one")
        check_addresses([url])
        model = url
    if not (against or minimums or save):
        raise click.UsageError("no bound was given; write --against BASELINE, --min CONDITION=ACCURACY or --save")
    from imparfait.models.pretrained import find_models

    check_out(out, save, junit, markdown, badge)  # what can be refused is, before the model runs
    paths = find_models([] if url else [model])
    check_models(paths.values())
    if against:
        check_baseline(against)
    spec.hint()
    runs_on = options.executor_for_suite(executor, address, threads)
    from imparfait.core.names import as_file_name
    from imparfait.core.storage import atomic_write, fingerprint
    from imparfait.evaluation.gate import baseline_of, check_conditions, read_baseline, write_baseline
    from imparfait.evaluation.gate import gate as check_bounds

    baseline = read_baseline(against) if against else None
    if baseline and not suite:
        suite = baseline.suite or None
    from imparfait.evaluation.robustness import SuiteResult
    from imparfait.evaluation.severity_scales import read_severities
    from imparfait.evaluation.suite import suite_named
    from imparfait.inference.open_model import open_model
    from imparfait.inference.suite_run import unfinished
    from imparfait.models.metadata import shared_input_format
    from imparfait.reports import gate_text as text
    from imparfait.reports.evaluation import MAX_NAME, UNFINISHED
    from imparfait.reports.suite_scores import (
        conditions_of,
        images_of,
        sampled,
        scores_on,
        severities_sentence,
        suite_of,
    )

    if suite:
        check_conditions(dict(minimums), suite_named(suite))  # before the images are read
    scales = read_severities(severities) if severities else None
    own = fingerprint(scales) if scales else ""
    centre = spec.centre(size)
    known = normalize or (None if size or centre else shared_input_format(paths.values()))
    dataset = console.loaded(
        data, size, known, skip_unreadable=skip_unreadable, group=group, centre=centre, whole=split == "all"
    )
    with open_model(model, dataset, spec=spec.hint(dataset), out=out) as opened:
        chosen = suite or suite_of([opened], dataset)
        conditions = conditions_of(chosen, dataset.train, scales)
        check_conditions(dict(minimums), conditions)
        drawn = sampled(images_of([opened], dataset, split), dataset, split, sample, chosen)
        progress = SuiteProgress()
        kept = out / f"gate-{as_file_name(f'{opened.name}-{drawn.images.name}-{chosen}', MAX_NAME)}{UNFINISHED}"
        with progress.saved(), unfinished(kept) as store:
            scores, images, access = scores_on(
                opened, drawn.images, dataset, split, conditions, out,
                executor=runs_on, threads=threads or 1, store=store, watch=progress.watch, say=progress.say,
            )  # fmt: skip
        result, name = SuiteResult(scores), opened.name
    included = "" if access is None else ", those for the test included" if split == "all" else " for the test"
    measured_on = f"{drawn.count(images)} images of {images.name}{included}{drawn.by_class}, suite {chosen}"
    measured_on += f", {severities_sentence(scales)}" if scales else ""
    if save:
        write_baseline(save, baseline_of(result, name, images.fingerprint(), own, chosen))
    if not (baseline or minimums):
        click.echo(f"{save}: the baseline of {name} on {measured_on}")
        return
    findings = check_bounds(
        result, images.fingerprint(), baseline=baseline, max_drop=max_drop / 100, minimums=dict(minimums),
        severities=own,
    )  # fmt: skip
    written = {junit: text.gate_junit(name, findings), badge: text.gate_badge(findings)}
    for path, content in (written | {markdown: text.gate_markdown(name, measured_on, findings)}).items():
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content.encode())
    if as_json:
        passing = text.passes(findings)
        click.echo(json.dumps({"model": name, "passing": passing, "findings": list(map(asdict, findings))}))
    else:
        console.table(text.HEADINGS, text.gate_rows(findings))
        click.echo(f"{name} on {measured_on}; {text.gate_sentence(findings)}")
    if not text.passes(findings):
        sys.exit(BROKEN_EXIT)
