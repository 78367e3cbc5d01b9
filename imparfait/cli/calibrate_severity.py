"""`imparfait calibrate-severity`: severities that cost a model on your data what published ones cost on digits."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from imparfait.cli import console, options, parameters, spec_options
from imparfait.cli.checks import check_models
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization

SAMPLE = 1000  # validation images: 95 % intervals of ±1.4 points at 95 %
OUTCOMES = {
    "found": "",
    "stays above": "not reached: stays above",
    "falls below at once": "not reached: below at once",
}


@click.command(name="calibrate-severity")
@click.argument("model", type=parameters.Model(as_path=True), metavar="MODEL")
@click.option(
    "--suite", type=click.Choice(["digits", "photo"]),
    help="Whose corruptions.  [default: digits for images framed as digits, photo for others]",
)  # fmt: skip
@click.option(
    "--kept", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.97, show_default=True,
    help="Share of the clean accuracy that the model keeps at severity 1.",
)  # fmt: skip
@click.option(
    "--sample", type=options.NumberOr("all", 20), metavar="N|all", default=SAMPLE, show_default=True,
    help="Measure on about N of the validation images, drawn by class, always the same ones.",
)  # fmt: skip
@click.option(
    "--save", type=click.Path(path_type=Path, dir_okay=False), default=Path("severities.json"), show_default=True,
    help="File to write, for evaluate --severities.",
)  # fmt: skip
@options.data
@options.group
@click.option("--network", help="my_net.py:build, for a run whose network is from a file of yours.")
@spec_options.input_spec
@options.device
@options.as_json
def calibrate_severity(
    model: Path,
    suite: str | None,
    kept: float,
    sample: "int | Literal['all']",
    save: Path,
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    group: str | None,
    skip_unreadable: bool,
    network: str | None,
    device: str,
    as_json: bool,
    spec: spec_options.SpecFlags,
) -> None:
    """Find for each corruption the severity at which MODEL keeps 97 % of its clean accuracy on your data.

    That becomes severity 1 of your data, and levels 1 to 5 are its fifths. The model should have been trained on your
    data with the corruptions as augmentation, as the published scale was made. Measured on validation images.
    """
    from imparfait.core.storage import atomic_write
    from imparfait.core.writable import check_writable
    from imparfait.models.metadata import shared_input_format
    from imparfait.models.pretrained import find_models

    paths = find_models([model])
    check_models(paths.values())
    check_writable(save)
    spec.hint()
    from imparfait.core.types import Classifier
    from imparfait.data.dataset import LabelledImages
    from imparfait.data.splits import sample as draw
    from imparfait.evaluation.scores import Score, score_conditions
    from imparfait.evaluation.severity_scales import SeverityFile, count_scales, severity_scales
    from imparfait.evaluation.suite import CLEAN, Condition, conditions_for, default_suite
    from imparfait.inference.open_model import open_models
    from imparfait.reports.suite_scores import images_of
    from imparfait.reports.text import corruption_label, percent, severity_number

    centre = spec.centre(size)
    known = normalize or (None if size or centre else shared_input_format(paths.values()))
    dataset = console.loaded(data, size, known, skip_unreadable=skip_unreadable, group=group, centre=centre)
    with open_models([model], dataset, device=device, network=network, spec=spec.hint(dataset)) as opened:
        held_out = images_of(opened, dataset, "validation")
        images: LabelledImages = draw(held_out, sample) if isinstance(sample, int) else held_out
        name = suite or {"core": "digits"}.get(default_suite(images), "photo")
        classifier: Classifier = opened[0].classifier

        def score(condition: Condition) -> Score:
            return score_conditions(classifier, [condition.apply(images)]).scores[0]

        clean = score(Condition(CLEAN, 0.0)).accuracy
        if clean * (1 - kept) * len(images) < 1:
            raise UserError(
                f"{opened[0].name}: is right on {percent(clean)} of {len(images)} clean images",
                expected="a loss of accuracy that one image does not decide",
                hint="give more images, or a smaller --kept",
            )
        conditions = conditions_for(name, images)
        title = f"severities of {name}, {len(images):,} validation images"
        scales = list(console.watch(title)(severity_scales(score, conditions, clean, kept), count_scales(conditions)))
    content = SeverityFile(
        model=opened[0].name, data=images.name, images=len(images), kept=kept, clean=clean, scales=scales
    )
    atomic_write(save, (content.model_dump_json(indent=2) + "\n").encode())
    if as_json:
        click.echo(content.model_dump_json())
        return
    rows = [
        (corruption_label(each.corruption), severity_number(each.corruption, each.scale), percent(each.accuracy),
         OUTCOMES[each.outcome])
        for each in scales
    ]  # fmt: skip
    heading = "published level" if name == "photo" else "published severity"
    console.table(("corruption", heading, "accuracy", ""), rows)
    reached = sum(each.outcome == "found" for each in scales)
    click.echo(
        f"clean {percent(clean)}; severity 1 keeps {100 * kept:g} % of that: found for {reached} of {len(scales)} "
        f"corruptions, on {len(images):,} validation images of {console.plain(images.name)}"
    )
    click.echo(f"file: {save}")
    again = shlex.join(
        ["imparfait", "evaluate", str(model), "--suite", name, "--severities", str(save),
         *options.given("data", "size", "normalize", "group")]
    )  # fmt: skip
    console.next_step(again, "evaluate at these severities")
