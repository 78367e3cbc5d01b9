"""A run behind progress bars, for the commands that train: resumed, saved on Ctrl-C, reported."""

import math
import shlex
import shutil
import signal
import time
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.cli.signals import Stopped, asked_to_stop
from imparfait.core.counts import counted

if TYPE_CHECKING:
    from torch import nn

    from imparfait.data.sealed_test import SealedTest
    from imparfait.reports.finished_run import FinishedRun
    from imparfait.reports.translation import Language
    from imparfait.training.checkpoints import Epoch
    from imparfait.training.loop import Training
    from imparfait.training.run import Run
    from imparfait.training.tracking import Tracked


LOSS_INERTIA = 0.98  # of the loss that is shown: a mean over the last fifty steps, more or less
NOT_CALIBRATED_FINAL = (
    "not calibrated: no images were held out; train without --final too, then give this command again"
)
NOT_CALIBRATED = "not calibrated: no confidence threshold keeps an error rate of {:g} % on the images held out for it"


def train_and_report(
    run: "Run",
    model: "nn.Module",
    test: "SealedTest | None",
    out: Path,
    as_json: bool,
    suite: str = "core",
    held_out_classes: bool = False,
    track: str | None = None,
    language: "Language" = "en",
) -> bool:
    """Complete the run and print its scores; True. An equal run that is finished is printed instead; False.

    With `held_out_classes` the rates of `caught_when_held_out` are measured and stored too, also for a finished run.
    """
    from imparfait.models.metadata import read_config
    from imparfait.training.run_folder import calibrate_finished, finished_folder

    if folder := finished_folder(run, out):
        if calibrate_finished(folder, run, out):
            click.echo(f"{folder}: now has the calibration of its run with validation images", err=True)
        if held_out_classes:
            _add_held_out_classes(folder, run, out)
        if track:
            click.echo("--track: nothing to log, as the run was finished earlier", err=True)
        _print_earlier(folder, run.settings.seed, as_json, suite, language)
        return False
    finished = complete(run, model, test, out, suite, held_out_classes, track, language)
    remarks = ([finished.robustness.sentence] if finished.robustness else []) + [finished.measured_on]
    remarks += [console.plain(finished.recalls)] + ([finished.over_groups] if finished.over_groups else [])
    if not finished.calibrated:
        rate = finished.error_rate
        remarks.append(NOT_CALIBRATED_FINAL if rate is None else NOT_CALIBRATED.format(100 * rate))
    remarks += [
        console.plain(each) for each in (finished.weak_slices, finished.suspects, finished.none_of_these) if each
    ]
    more: dict[str, object] = {"robustness": finished.robustness.model_dump()} if finished.robustness else {}
    rule = read_config(finished.folder).none_of_these
    more |= {"none_of_these": rule.model_dump()} if rule else {}
    more |= _slices_of(finished.folder)
    console.result(finished.scores, "\n".join(remarks), finished.folder, as_json, more)
    return True


def complete(
    run: "Run",
    model: "nn.Module",
    test: "SealedTest | None",
    out: Path,
    suite: str = "core",
    held_out_classes: bool = False,
    track: str | None = None,
    language: "Language" = "en",
) -> "FinishedRun":
    """Train from the last checkpoint, if any, calibrate, evaluate, and write the run's folder in `out`.

    Evaluates on the test images if given, else on the validation images, with `suite` "digits" or "photo" also on that.
    `track` is the name of a tracker that logs the run too. Raises Stopped, with everything saved, within a step of
    Ctrl-C or SIGTERM.
    """
    from imparfait.core.compute import tune_malloc
    from imparfait.reports.finished_run import finish_run
    from imparfait.training.checkpoints import has_checkpoint
    from imparfait.training.run_folder import work_folder

    tune_malloc()
    folder = None
    try:
        with work_folder(run, out) as folder, _tracked(run, out, track) as tracked:  # a disk that refuses says so first
            epochs = _fit_head(run, model) if run.backbone and not has_checkpoint(folder) else ()
            if tracked and run.frozen:
                tracked.epoch(epochs[0])
            if not run.frozen:
                training = run.training(model)
                _train(run, training, folder, tracked)
                epochs = training.progress.epochs
            caught = _caught_when_held_out(run, out) if held_out_classes else None
            watch = console.watch("evaluating")
            finished = finish_run(run, model, epochs, out, test, watch, suite, caught, language)
            if tracked:
                tracked.scores(finished.scores, len(epochs))
                click.echo(f"tracked: {tracked.where}", err=True)
            shutil.rmtree(_cache_of(run, out), ignore_errors=True)
            return finished
    except KeyboardInterrupt as error:
        if folder and has_checkpoint(folder):
            raise Stopped(f"stopped; the training is saved, {console.CONTINUES}", 128 + signal.SIGINT) from error
        raise


def _tracked(run: "Run", out: Path, track: str | None) -> "AbstractContextManager[Tracked | None]":
    """The open tracker of this name, if any."""
    if not track:
        return nullcontext()
    from imparfait.training.tracking import TRACKERS, settings_of

    return TRACKERS[track].open(run.name, settings_of(run), out)


def _caught_when_held_out(run: "Run", out: Path) -> dict[str, float]:
    from imparfait.training.held_out_classes import caught_when_held_out

    return caught_when_held_out(run, _cache_of(run, out), console.watch("trainings without some classes"))


def _cache_of(run: "Run", out: Path) -> Path:
    """Where the rates of finished trainings without some classes are, until the run's folder has them."""
    return out / f"{run.name}.held-out-classes"


def _add_held_out_classes(folder: Path, run: "Run", out: Path) -> None:
    """Measure the rates of a finished run and add them to its folder, if it does not have them."""
    from imparfait.evaluation.none_of_these import none_of_these
    from imparfait.models.loading import load_classifier
    from imparfait.models.metadata import read_config
    from imparfait.training.run_folder import set_none_of_these

    rule = read_config(folder).none_of_these
    if rule and rule.held_out_classes:
        return
    caught = _caught_when_held_out(run, out)
    assert run.validation is not None  # else no class could be held out
    set_none_of_these(folder, none_of_these(load_classifier(folder), run.validation, caught))
    shutil.rmtree(_cache_of(run, out), ignore_errors=True)


def _fit_head(run: "Run", model: "nn.Module") -> "tuple[Epoch, ...]":
    """Fit the last layer on the features of the run's backbone; what it would be after one epoch."""
    from imparfait.reports.text import percent
    from imparfait.training.linear_probe import features_folder, fit_probe

    assert run.backbone is not None
    steps = fit_probe(model, run.data, run.compute, run.backbone.sha256, run.settings.seed)
    with asked_to_stop() as stop, closing(steps), ExitStack() as bars:
        doing, progress, task = "", None, None
        for step in steps:
            if step.doing != doing and not step.epoch:
                bars.close()
                doing = step.doing
                progress, task = bars.enter_context(
                    console.bar(f"{doing}, {counted(len(run.data), 'image')}", step.total)
                )
            if progress is not None and task is not None:
                progress.update(task, completed=step.done)
            if step.epoch:
                bars.close()
                click.echo(f"linear probe: {percent(step.epoch.accuracy)} {step.doing}", err=True)
                return (step.epoch,)
            if stop.signal:
                raise Stopped(
                    f"stopped; finished features are kept in {features_folder()}, {console.CONTINUES}", stop.code
                )
    raise AssertionError("the last step has an epoch")


def _train(run: "Run", training: "Training", folder: Path, tracked: "Tracked | None") -> None:
    from imparfait.reports.text import percent
    from imparfait.training.loop import checkpointed, resume

    for path in resume(training, folder, run.hash):
        click.echo(f"{path}: corrupted; continuing from the checkpoint before it", err=True)
    if started := training.progress.step:
        click.echo(f"continuing from step {started:,} of {training.steps:,}", err=True)
    with (
        console.bar(f"{run.recipe}, {counted(len(run.data), 'image')}", training.steps) as (progress, task),
        asked_to_stop() as stop,
        closing(checkpointed(training, folder, run.hash)) as steps,
    ):
        logged, first, begun, loss = 0, started, time.monotonic(), math.nan
        for step in steps:
            epochs = training.progress.epochs
            if tracked and logged < len(epochs):  # after an interruption all those before it
                for each in epochs[logged:]:
                    tracked.epoch(each)
            logged, accuracy = len(epochs), ""
            if epochs and epochs[-1].validation:
                mean = sum(score.accuracy for score in epochs[-1].validation) / len(epochs[-1].validation)
                accuracy = f"{percent(mean)} on validation"
            elif epochs:
                accuracy = f"{percent(epochs[-1].accuracy)} of training images"
            epoch = f"epoch {min(len(epochs) + 1, run.settings.epochs)} of {run.settings.epochs}"
            loss = step.loss if math.isnan(loss) else LOSS_INERTIA * loss + (1 - LOSS_INERTIA) * step.loss
            done = (step.number - first) * training.images_an_epoch / training.steps_an_epoch
            speed = f"{done / max(time.monotonic() - begun, 1e-3):,.0f} images/s"
            said = "  ".join(filter(None, (epoch, "" if math.isnan(loss) else f"loss {loss:.3f}", speed, accuracy)))
            progress.update(task, completed=step.number, description=said)
            if stop.signal:
                steps.close()  # saves
                raise Stopped(
                    f"stopped after step {step.number:,} of {step.total:,}, all saved; {console.CONTINUES}", stop.code
                )


def _slices_of(folder: Path) -> dict[str, object]:
    """The weak slices of a run, for JSON; empty where none is shown."""
    from imparfait.evaluation.weak_slices import read_weak_slices

    slices = [one.model_dump() for one in read_weak_slices(folder)]
    return {"weak_slices": slices} if slices else {}


def _print_earlier(folder: Path, seed: int, as_json: bool, suite: str, language: "Language") -> None:
    """The result of an equal run that was finished earlier."""
    from imparfait.evaluation.scores_file import read_scores
    from imparfait.evaluation.weak_slices import read_weak_slices
    from imparfait.models.metadata import read_config
    from imparfait.reports.data_text import none_sentence, slices_sentence
    from imparfait.reports.robustness_summary import read_summary
    from imparfait.reports.text import percent
    from imparfait.reports.translation import language_of
    from imparfait.training.run_folder import trained_otherwise

    scores, summary, rule = read_scores(folder), read_summary(folder), read_config(folder).none_of_these
    if otherwise := trained_otherwise(folder):
        click.echo(
            f"{folder}: was trained with {otherwise}; its weights may not be those of a training now; to train again, "
            "write another --out",
            err=True,
        )
    if language != language_of(folder / "report.html"):
        words = ["imparfait", "evaluate", str(folder), *options.given("language", "data", "group", "out")]
        click.echo(f"its report stays as it is; another one: {shlex.join(words)}", err=True)
    if as_json:
        more = {"robustness": summary.model_dump()} if summary else {}
        more |= {"none_of_these": rule.model_dump()} if rule else {}
        console.print_json(scores.model_dump() | more | _slices_of(folder), folder)
        return
    click.echo(f"already trained: {percent(scores.mean)}, mean of {counted(len(scores.conditions), 'condition')}")
    if slices := read_weak_slices(folder):
        click.echo(console.plain(slices_sentence(slices, ())))
    if rule:
        click.echo(console.plain(none_sentence(rule)))
    if summary:
        click.echo(summary.sentence)
    click.echo(f"report: {folder / 'report.html'}")
    if suite != "core" and not summary:
        evaluate = shlex.join(
            ["imparfait", "evaluate", str(folder), "--suite", suite, *options.given("data", "group", "out")]
        )
        console.next_step(evaluate, f"it was trained without --suite {suite}")
        return
    again = options.again("--seed", str(seed + 1), but="--seed")
    console.next_step(again, "another run: equal settings give equal weights")
