"""`imparfait train`: from images to a proven classifier in a folder of its own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError, lookup
from imparfait.training.recipes import RECIPES, read_settings, recipe_of
from imparfait.training.settings import read_toml

if TYPE_CHECKING:
    from torch import nn

    from imparfait.cli.learning import TrainingResult
    from imparfait.data.dataset import ConditionImages, LabelledImages
    from imparfait.data.sealed_test import SealedTest
    from imparfait.evaluation.scores import Scores
    from imparfait.models.loading import PretrainedWeights
    from imparfait.training.run import Run
    from imparfait.training.settings import TrainingSettings


@click.command()
@click.option("--recipe", help="Named settings; `imparfait list` prints them.  [default: the model's own]")
@click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path),
    help="TOML file of settings instead of a recipe, such as the best.toml of a search.",
)  # fmt: skip
@options.data
@options.size
@options.settings
@click.option("--init-from", "start", type=click.Path(path_type=Path), help="Run folder to start from, or digits.")
@click.option(
    "--teacher", "teachers", type=click.Path(path_type=Path), multiple=True, metavar="RUN",
    help="Run folder of a teacher, whose answers are learned instead of the labels; several teach as one.",
)  # fmt: skip
@options.device
@options.out
@click.option("--final", is_flag=True, help="Fit on the validation images too, then open the test images once.")
@options.as_json
def train(
    recipe: str | None,
    settings_file: Path | None,
    data: str,
    size: int | None,
    start: Path | None,
    teachers: tuple[Path, ...],
    device: str,
    out: Path,
    final: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Train a classifier, score it, and leave a folder with a report.

    Without --final a sixth of the training images is kept for validation and the test images stay sealed. Of many
    images a twentieth is not fitted on, with --final too: they make the probabilities believable.
    Training also shows the images corrupted; a corruption is what others call a corruption or an augmentation.
    Ctrl-C saves: the same command goes on from there, and prints the result when there is one.
    """
    if settings_file and recipe:
        raise UserError(f"--settings {settings_file} and --recipe {recipe} both name settings; leave one out")
    if settings_file:
        name, base, fixed = settings_file.stem, read_settings(settings_file), set(read_toml(settings_file))
    else:
        name = recipe or recipe_of(flags["model"] or RECIPES["default"].settings.model)
        base, fixed = lookup("recipe", name, RECIPES).settings, set()
    settings = options.changed(base, flags)

    from imparfait.data.splits import split_calibration
    from imparfait.models.loading import load_weights
    from imparfait.models.pretrained import find_model
    from imparfait.training import run as runs
    from imparfait.training.distillation import load_teachers

    dataset = console.loaded(data, size)
    test = dataset.test if final else None  # a data set without one is refused before anything is trained
    fit, validation = (dataset.everything(), None) if final else dataset.fitting()
    fit, calibration = split_calibration(fit)
    weights = load_weights(find_model(start)) if start else None
    if weights:
        settings = _with_the_network_of(weights, settings, flags["model"], fit)
    folders = [find_model(teacher) for teacher in teachers]
    taught_by = load_teachers(folders, fit)
    if not final:
        for origin in (*([weights.path] if weights else []), *folders):
            _check_not_seen(origin, dataset.everything())
    given = {name for name, value in flags.items() if value is not None} | fixed
    settings = console.long_enough(settings, len(fit), given)
    run, model = runs.start(name, settings, fit, device, final, weights, taught_by)
    train_and_prove(run, model, validation, test, out, as_json, calibration)
    if not final and dataset.sealed:
        console.next_step(options.again("--final"), "fit on the validation images too, then open the test once")


def _check_not_seen(origin: Path, everything: "LabelledImages") -> None:
    """Raises UserError when a run to start from, or a teacher, was fitted on images that would be reported on."""
    from imparfait.data.splits import split_calibration
    from imparfait.training.run import read_manifest

    told = read_manifest(origin)
    if told.final and told.data.sha256 in {everything.fingerprint(), split_calibration(everything)[0].fingerprint()}:
        raise UserError(
            f"{origin} was fitted on the validation images too, which would be reported on here; "
            "write --final, or name a run that was trained without it"
        )


def train_and_prove(
    run: "Run",
    model: "nn.Module",
    validation: "LabelledImages | None",
    test: "SealedTest | None",
    out: Path,
    as_json: bool,
    calibration: "LabelledImages | None" = None,
) -> None:
    """Train, calibrate, score on validation or on the test images, and leave the run's folder in `out`.

    Prints the result. Without images for it, probabilities are left as they are.

    An equal run that is finished already is printed instead: nothing is trained and no test is opened again.
    """
    folder = out / run.name
    if folder.exists():
        _print_finished(folder, run.settings.seed, as_json)
        return
    scores, remark, folder = leave_run(run, model, validation, test, out, calibration)
    console.result(scores, remark, folder, as_json)


def leave_run(
    run: "Run",
    model: "nn.Module",
    validation: "LabelledImages | None",
    test: "SealedTest | None",
    out: Path,
    calibration: "LabelledImages | None" = None,
) -> tuple["Scores", str, Path]:
    """Train, calibrate, score on the test images or else on validation, and leave the run's folder in `out`.

    With both, validation gives the course only. Returns the scores, a sentence on what they are of, and the folder.
    """
    from imparfait.cli.learning import at_work, learn
    from imparfait.cli.opening import evaluate_on_test
    from imparfait.core.storage import atomic_directory
    from imparfait.data.corrupted import core_suite
    from imparfait.evaluation.calibration import calibrate
    from imparfait.evaluation.scores import evaluate
    from imparfait.models.classifier import as_classifier
    from imparfait.training import run as runs

    folder = out / run.name
    with at_work(run, out) as unfinished_training:  # made first: a disk that refuses says so before the training
        parts = core_suite(validation) if validation else []
        learned = learn(run, model, parts, unfinished_training)
        found = calibrate(as_classifier(model, run.compute), calibration) if calibration else None
        classifier = as_classifier(model, run.compute, found.temperature if found else 1.0)
        with atomic_directory(folder) as unfinished:
            if test:
                scores, parts, remark = evaluate_on_test(classifier, test, out, run.hash)
            else:
                scores = evaluate(classifier, parts) if found or not learned.latest else learned.latest
                kept = len(parts[0].data)
                remark = f"on {kept:,} training images of the validation set; the test images stay sealed"
            runs.write_run(unfinished, run, model, learned.epochs, learned.course, found)
            _write_result(unfinished, run, learned, scores, parts, remark, found.images if found else 0)
    return scores, remark, folder


def _with_the_network_of(
    weights: "PretrainedWeights", settings: "TrainingSettings", model: str | None, data: "LabelledImages"
) -> "TrainingSettings":
    """The settings for going on with these weights: their network, of their model_args.

    Where that is from a file, it is the one that the user names: a run folder has no code run by itself.
    """
    from imparfait.models.custom import is_custom
    from imparfait.models.loading import check_named

    theirs = weights.config.model
    model = model or (settings.model if is_custom(settings.model) else None)  # a --settings file may name it too
    if not is_custom(theirs) and model not in (None, theirs):
        raise UserError(f"--model {model} with --init-from {weights.path}, which is a {theirs}; leave --model out")
    if is_custom(theirs):
        if model is None or not is_custom(model):
            came = f"--model {model}" if model else "no --model"
            raise UserError(
                f"{came} with --init-from {weights.path}, whose network is from a file, {theirs.rpartition('/')[2][:200]}; "
                "if you trust yours, name it: --model my_net.py:build"
            )
        check_named(weights.path, model)
    if weights.new_head(data.classes):
        then = ", ".join(weights.config.classes)
        click.echo(f"other classes than {weights.path} has ({then}): the last layer starts anew", err=True)
    return settings.model_copy(update={"model": model or theirs, "model_args": weights.config.model_args})


def _write_result(
    folder: Path,
    run: "Run",
    learned: "TrainingResult",
    scores: "Scores",
    parts: list["ConditionImages"],
    remark: str,
    calibrated: int,
) -> None:
    from imparfait.core.hardware import environment
    from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
    from imparfait.reports import run as report
    from imparfait.training.run import write_card, write_scores

    seconds = f"trained for {learned.epochs[-1].seconds:.0f} s on {len(run.data):,} images"
    if calibrated:
        seconds += f", calibrated on {calibrated:,} others"
    seen = describe_overlap(AUGMENTATIONS[run.settings.augmentation])
    conditions = f"{run.recipe}, seed {run.settings.seed}: {seconds}; {remark}."
    write_scores(folder, scores)
    write_card(folder, run, scores, f"{conditions} {seen}")
    report.write_report(
        folder,
        title=run.name,
        conditions=conditions,
        seen=seen,
        scores=scores,
        plates=[report.course(learned.epochs, learned.course), *report.answers(scores, parts)],
        facts={"settings": run.settings.model_dump(), "compute": environment(run.compute)},
    )


def _print_finished(folder: Path, seed: int, as_json: bool) -> None:
    """What an earlier, equal run found; nothing is trained and no test is opened again."""
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    if as_json:
        click.echo(json.dumps(scores | {"folder": str(folder)}, ensure_ascii=False))
        return
    click.echo(f"already trained: {100 * scores['mean']:.2f} % on the mean of its {len(scores['parts'])} parts")
    click.echo(f"report: {folder / 'report.html'}")
    another = options.again("--seed", str(seed + 1), but="--seed")
    console.next_step(another, "another one; equal settings give equal weights")
