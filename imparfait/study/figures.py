"""Figures and table rows of final networks, for both reports of the study."""

from collections.abc import Mapping, Sequence

import numpy as np

from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import score_conditions
from imparfait.models.loading import load_classifier
from imparfait.reports.figures.runs import accuracy_loss, errors, mistakes
from imparfait.reports.page import PageFigure
from imparfait.reports.text import duration, percent, percent_range
from imparfait.study.final_runs import FinalRun

EXAMPLES = 16  # digits that the network trained on clean ones gets wrong


def final_row(final: FinalRun) -> tuple[str, ...]:
    """A row of the table of final networks."""
    accuracies = [percent(final.accuracy(corruption)) for corruption in final.confusion]
    mean = (percent(final.mean), percent_range(final.interval))
    return (
        final.name,
        final.settings.augmentation,
        f"{final.settings.epochs}",
        *accuracies,
        *mean,
        duration(final.seconds),
    )


def failure_figure(
    clean: FinalRun, augmented: FinalRun, names: Sequence[str], held_out: LabelledImages
) -> list[PageFigure]:
    """Corrupted digits that only the network trained on clean ones gets wrong, the most confident first."""
    conditions = core_suite(held_out)
    classifiers = [load_classifier(final.folder) for final in (clean, augmented)]
    failing, correct = (score_conditions(one, conditions).conditions[1:] for one in classifiers)
    examples = []
    for condition, one, other in zip(conditions[1:], failing, correct, strict=True):
        rows = np.flatnonzero(~one.correct & other.correct)
        confidence = one.probabilities[rows, one.predicted[rows]]
        for row in rows[np.argsort(-confidence, kind="stable")][: EXAMPLES // 2]:
            classes = f"{names[one.truths[row]]} → {names[one.predicted[row]]}"
            caption = f"{classes}  {100 * one.probabilities[row].max():.0f} %\n{condition.corruption}"
            examples.append((condition.data.pixels[row], caption))
    if not examples:
        return []
    pixels, captions = np.stack([image for image, _ in examples]), [caption for _, caption in examples]
    return [
        PageFigure(
            "failure",
            "The failure that started the study",
            "Corrupted images that neither network trained on: the true class, the class predicted by the network "
            "trained on clean digits only, and its confidence. "
            "Trained on corrupted digits too, it gets all of these right.",
            lambda theme: mistakes(pixels, captions, theme),
            section="failure",
        )
    ]


def augmentation_figure(finals: Mapping[str, FinalRun]) -> PageFigure:
    """The errors of the networks under each condition."""
    shares = {
        final.name: {name: (final.accuracy(name), final.interval_of(name)) for name in final.confusion}
        for final in finals.values()
    }
    return PageFigure(
        "augmentations",
        "The effect of each augmentation",
        "Errors, on a logarithmic scale: further left is better. Lines are 95 % intervals.",
        lambda theme: errors(shares, theme),
        section="augmentations",
    )


def training_figure(final: FinalRun, name: str = "accuracy_loss") -> PageFigure:
    """Its loss and accuracies by epoch."""
    columns = [name for name in final.epochs[0] if name.startswith("validation_")]
    lines = {name.removeprefix("validation_"): final.curve(name) for name in columns}
    return PageFigure(
        name,
        f"Training of {final.name}",
        f"Augmentation: {final.settings.augmentation}. Validation on images that it does not train on.",
        lambda theme: accuracy_loss(final.curve("loss"), final.curve("accuracy"), lines, theme),
        section="cnn",
    )
