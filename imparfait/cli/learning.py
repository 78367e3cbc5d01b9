"""A training that cannot be lost: saved while it runs, and gone on with by the same command."""

import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
from torch import nn

from imparfait.cli import console
from imparfait.cli.signals import Stopped, asked_to_stop
from imparfait.core.errors import UserError
from imparfait.core.storage import exclusive_lock, write_json
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.scores import Score, Scores, evaluate, percent
from imparfait.models.classifier import as_classifier
from imparfait.training.checkpoints import has_state, load_state, save_state
from imparfait.training.distillation import DistillationTraining
from imparfait.training.loop import Epoch, Training
from imparfait.training.run import Run

EVERY = 10.0  # seconds between two checkpoints …
SHARE = 50  # … or so many times as long as saving one takes
GOES_ON = "the same command goes on from there"


@dataclass
class TrainingResult:
    """How a training went: its epochs, and their scores on validation."""

    epochs: Sequence[Epoch]
    course: list[list[Score]]
    latest: Scores | None
    """The answers after the last epoch, where this process asked for them."""


@contextmanager
def at_work(run: Run, out: Path) -> Iterator[Path]:
    """The folder in `out` of a run under way. It stays when the process is killed, or where there are checkpoints.

    Raises UserError when another process is at work there, and Stopped on Ctrl-C where there are checkpoints.
    """
    unfinished = out / f"{run.name}.unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(unfinished, "training"):
        for half_written in out.glob(f".{run.name}-*"):  # by a process that was killed
            shutil.rmtree(half_written)
        try:
            write_json(unfinished / "settings.json", run.manifest.model_dump())
            yield unfinished
        except (UserError, KeyboardInterrupt) as error:
            if not has_state(unfinished):
                shutil.rmtree(unfinished)
            elif isinstance(error, KeyboardInterrupt):
                raise Stopped(f"stopped; what was trained is saved, {GOES_ON}", 128 + signal.SIGINT) from error
            raise
        shutil.rmtree(unfinished)


def learn(run: Run, model: nn.Module, parts: list[ConditionImages], unfinished: Path) -> TrainingResult:
    """Train behind a progress bar, from the last checkpoint where there is one; scored on `parts` after each epoch.

    Raises Stopped, with everything saved, within a step of Ctrl-C or SIGTERM.
    """
    state, beside, broken = load_state(unfinished)
    for path in broken:
        click.echo(
            f"{path}: torn or changed (its sha256 is not the one in its name); going on from the one before it",
            err=True,
        )
    begin = partial(DistillationTraining, run.teachers) if run.teachers else Training
    training = begin(model, run.data, run.settings, run.compute, state)
    course = [[Score(**score) for score in scores] for scores in beside.get("course", [])]
    latest, saved, pause = None, time.monotonic(), EVERY
    if state:
        click.echo(f"going on from step {state.progress.step:,} of {training.steps:,}", err=True)

    def save() -> None:
        try:
            save_state(unfinished, training.state(), {"course": [[asdict(score) for score in each] for each in course]})
        except OSError as error:
            kept = f"what was saved before is whole, {GOES_ON}" if has_state(unfinished) else "nothing was saved"
            raise OSError(error.errno, f"{error.strerror}; {kept}", str(unfinished)) from error

    title = f"{run.recipe}, {len(run.data):,} images"
    with console.bar(title, training.steps) as (progress, task), asked_to_stop() as stop:
        told = f"{percent(_mean(course[-1]))} on validation" if course else ""
        for step in training:
            if step.epoch:
                told = f"{percent(step.epoch.accuracy)} of training images"
                if parts:
                    latest = evaluate(as_classifier(model, run.compute), parts)
                    course.append(latest.each)
                    told = f"{percent(latest.mean)} on validation"
            epoch = min(len(training.progress.epochs) + 1, run.settings.epochs)
            done = f"epoch {epoch} of {run.settings.epochs}"
            progress.update(task, completed=step.number, description=f"{done}  {told}")
            if stop.signal or step.number == step.of or time.monotonic() - saved > pause:
                start = time.monotonic()
                save()
                saved = time.monotonic()
                pause = max(EVERY, SHARE * (saved - start))
            if stop.signal:
                raise Stopped(
                    f"stopped after step {step.number:,} of {step.of:,}, all of it saved; {GOES_ON}",
                    stop.code,
                )
    return TrainingResult(training.progress.epochs, course, latest)


def _mean(scores: Sequence[Score]) -> float:
    return sum(score.accuracy for score in scores) / len(scores)
