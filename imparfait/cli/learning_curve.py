"""`imparfait learning-curve`: whether more training images would help, and of which classes."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options, parameters
from imparfait.cli.checks import check_out
from imparfait.cli.signals import Stopped

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization
    from imparfait.reports.translation import Language


@click.command(name="learning-curve")
@click.option("--recipe", type=parameters.RECIPE, help="Named settings.  [default: chosen for the data]")
@options.data
@options.group
@options.device
@options.threads
@options.out
@options.language
@options.as_json
def learning_curve(
    recipe: str | None,
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    group: str | None,
    skip_unreadable: bool,
    device: str,
    threads: int | None,
    out: Path,
    language: "Language",
    as_json: bool,
) -> None:
    """Train on a quarter, half, three quarters and all of the images, and extrapolate to twice as many.

    Each is evaluated on the same validation images; the test images stay sealed. Takes about two and a half trainings.
    Finished ones are kept: the same command continues.
    """
    check_out(out)
    from imparfait.core.storage import fingerprint
    from imparfait.reports.learning_curve import HEADINGS, curve_rows, curve_sentences, write_curve
    from imparfait.training.learning_curve import SHARES, check_enough, neediest
    from imparfait.training.learning_curve import learning_curve as curves
    from imparfait.training.recipes import choose_settings

    dataset = console.loaded(data, size, normalize, skip_unreadable=skip_unreadable, group=group)
    fit, held_out = dataset.train_val()
    check_enough(fit, held_out)
    name, settings, _ = choose_settings(recipe, data=dataset.train)
    folder = out / f"learning-curve-{name}-{fingerprint(settings, fit.fingerprint())[:6]}"
    watch = console.watch(f"{name}, on a quarter to all of {len(fit):,} images")
    try:
        *_, curve = watch(
            curves(fit, held_out, settings, name, cache=folder / "fits", device=device, threads=threads), len(SHARES)
        )
    except KeyboardInterrupt as error:
        raise Stopped(f"stopped; finished trainings are kept, {console.CONTINUES}", 128 + signal.SIGINT) from error
    counts = [int((fit.labels == label).sum()) for label in range(len(fit.classes))]
    sentences = curve_sentences(curve, neediest(curve, held_out, counts))
    write_curve(folder, f"Learning curve: {name} on {fit.name}", curve, sentences, language, fit.classes)
    if as_json:
        more = curve.extrapolate()
        content = {"images": curve.images, "accuracies": curve.accuracies, "twice": more.__dict__}
        console.print_json(content, folder)
        return
    console.table(HEADINGS, curve_rows(curve))
    click.echo("\n".join([*sentences, f"report: {folder / 'report.html'}"]))
