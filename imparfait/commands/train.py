"""`imparfait train`: from pictures to a proven classifier in a folder of its own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.commands import options, show
from imparfait.errors import lookup
from imparfait.settings import RECIPES

if TYPE_CHECKING:
    from torch import nn

    from imparfait.datasets.labelled import AlteredImages
    from imparfait.evaluation import Scores
    from imparfait.runs import Run
    from imparfait.training import Epoch


@click.command()
@click.option("--recipe", default="default", show_default=True, help="Named settings; `imparfait list` prints them.")
@options.data
@options.settings
@options.device
@options.out
@click.option("--final", is_flag=True, help="Fit on all training pictures, then open the test pictures once.")
@options.as_json
def train(recipe: str, data: str, device: str, out: Path, final: bool, as_json: bool, **flags: str | None) -> None:
    """Train a classifier, score it, and leave a folder with a report.

    Without --final a sixth of the training pictures is kept for validation and the test pictures stay sealed.
    Training also shows the pictures altered; an alteration is what others call a corruption or an augmentation.
    """
    settings = options.changed(lookup("recipe", recipe, RECIPES).settings, flags)

    from imparfait.classifiers import as_classifier
    from imparfait.commands.opening import score_test
    from imparfait.datasets.altered import the_three
    from imparfait.datasets.reading import load_data
    from imparfait.datasets.splits import split
    from imparfait.runs import start
    from imparfait.store import new_folder

    dataset = load_data(data)
    test = dataset.test if final else None  # a data set without one is refused before anything is trained
    fit, validation = (dataset.train, None) if final else split(dataset.train)
    run, model = start(recipe, settings, fit, device, final)
    folder = out / run.name
    if folder.exists():
        _print_finished(folder, settings.seed, as_json)
        return
    with new_folder(folder) as unfinished:  # made first: a disk that refuses says so before the training
        epochs, course = _learn(run, model, the_three(validation) if validation else [])
        if test:
            scores, parts, remark = score_test(as_classifier(model, run.machine), test, out, run.hash)
        else:
            assert validation is not None
            scores, parts = course[-1], the_three(validation)
            remark = f"on {len(validation):,} training pictures kept out of fitting; the test pictures stay sealed"
        _save(unfinished, run, model, epochs, course, scores, parts, remark)
    show.result(scores, remark, folder, as_json)
    if not final:
        show.next_step(f"imparfait train --recipe {recipe} --final", "fit on all pictures, then open the test once")


def _learn(run: "Run", model: "nn.Module", parts: list["AlteredImages"]) -> tuple[list["Epoch"], list["Scores"]]:
    """The training, behind a progress bar, scored on `parts` after each epoch."""
    from imparfait.classifiers import as_classifier
    from imparfait.evaluation import evaluate, percent
    from imparfait.training import steps

    epochs, course = [], []
    latest = ""
    with show.bar(f"{run.recipe}, {len(run.data):,} pictures", total=None) as (progress, task):
        for step in steps(model, run.data, run.settings, run.machine):
            if step.epoch:
                epochs.append(step.epoch)
                latest = f"{percent(step.epoch.accuracy)} of training pictures"
                if parts:
                    course.append(evaluate(as_classifier(model, run.machine), parts))
                    latest = f"{percent(course[-1].mean)} on validation"
            done = f"epoch {min(len(epochs) + 1, run.settings.epochs)} of {run.settings.epochs}"
            progress.update(task, total=step.of, completed=step.number, description=f"{done}  {latest}")
    return epochs, course


def _save(
    folder: Path,
    run: "Run",
    model: "nn.Module",
    epochs: list["Epoch"],
    course: list["Scores"],
    scores: "Scores",
    parts: list["AlteredImages"],
    remark: str,
) -> None:
    from imparfait import report
    from imparfait.datasets.mixtures import MIXTURES, seen_in_training
    from imparfait.machine import environment
    from imparfait.runs import write_card, write_run, write_scores

    seconds = f"trained for {epochs[-1].seconds:.0f} s on {len(run.data):,} pictures"
    seen = seen_in_training(MIXTURES[run.settings.mixture])
    conditions = f"{run.recipe}, seed {run.settings.seed}: {seconds}; {remark}."
    write_run(folder, run, model, epochs, course)
    write_scores(folder, scores)
    write_card(folder, run, scores, f"{conditions} {seen}")
    report.write_report(
        folder,
        title=run.name,
        conditions=conditions,
        seen=seen,
        scores=scores,
        plates=[report.course(epochs, course), *report.answers(scores, parts)],
        facts={"settings": run.settings.model_dump(), "machine": environment(run.machine)},
    )


def _print_finished(folder: Path, seed: int, as_json: bool) -> None:
    """What an earlier, equal run found; nothing is trained and no test is opened again."""
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    if as_json:
        click.echo(json.dumps(scores | {"folder": str(folder)}, ensure_ascii=False))
        return
    click.echo(f"already trained: {100 * scores['mean']:.2f} % on the mean of its {len(scores['parts'])} parts")
    click.echo(f"report: {folder / 'report.html'}")
    show.next_step(f"imparfait train --seed {seed + 1}", "another one; equal settings give equal weights")
