"""The report of a run: how it learned, and what it gets right."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.scores import HEADINGS, ConditionResult, Score, Scores, percent
from imparfait.reports.figures import accuracy_loss, confusion, contact_sheet, mistakes
from imparfait.reports.page import Plate, write_page
from imparfait.training.loop import Epoch

WORST = 32  # mistakes shown
SAMPLES = 12  # images a row on the contact sheet


def write_report(
    folder: Path,
    *,
    title: str,
    conditions: str,
    seen: str,
    scores: Scores,
    plates: Sequence[Plate],
    facts: Mapping[str, Mapping[str, Any]],
) -> None:
    """`report.html` in `folder`, and each of its figures as a PNG beside it."""
    write_page(
        folder,
        "run.html",
        title=title,
        plates=plates,
        facts=facts,
        mean=percent(scores.mean),
        wrong=round(1 / (1 - scores.mean)) if scores.mean < 1 else None,
        conditions=conditions,
        seen=seen,
        headings=HEADINGS,
        rows=scores.rows(),
        by_class={part.corruption: _by_class(part, scores.classes) for part in scores.parts},
    )


def course(epochs: Sequence[Epoch], validation: Sequence[Sequence[Score]]) -> Plate:
    """How loss and accuracy went, epoch by epoch."""
    lines: dict[str, list[float]] = {}
    for scores in validation:
        for score in scores:
            lines.setdefault(score.corruption, []).append(score.accuracy)
    return Plate(
        "accuracy_loss",
        "How it learned",
        "The loss should fall and level off; the training line is measured on corrupted images while the network "
        "still learns, so it may lie below the validation lines.",
        lambda theme: accuracy_loss([e.loss for e in epochs], [e.accuracy for e in epochs], lines, theme),
    )


def answers(scores: Scores, shown: Sequence[ConditionImages]) -> list[Plate]:
    """What was shown, what was confused with what, and the worst mistakes."""
    sheet = Plate(
        "corruptions",
        "What it was shown",
        "Each column is one source image, each row one of the parts that were scored.",
        lambda theme: contact_sheet({part.corruption: part.data.pixels[:SAMPLES] for part in shown}, theme),
    )
    matrices = [
        Plate(
            f"confusion_{part.corruption}",
            f"What was taken for what: {part.corruption}",
            "A row is a true class, a column an answer; everything off the diagonal is a mistake, and the more "
            "coloured a cell, the more often that mistake was made.",
            lambda theme, part=part: confusion(part.confusion(), scores.classes, theme),  # type: ignore[misc]
            square=True,
        )
        for part in scores.parts
    ]
    pixels, captions = _worst(scores, shown)
    worst = Plate(
        "mistakes",
        "The worst mistakes",
        "The wrong answers given most surely, the surest first: the true class, the answer, and how sure it was."
        if captions
        else "It made no mistake on these images; on real data that is a reason to look for a leak.",
        lambda theme: mistakes(pixels, captions, theme),
    )
    return [sheet, *matrices, worst]


def _worst(scores: Scores, shown: Sequence[ConditionImages]) -> tuple[np.ndarray, list[str]]:
    found = []
    for part, answered in zip(shown, scores.parts, strict=True):
        for row in np.flatnonzero(answered.said != answered.truths):
            said = answered.said[row]
            found.append((float(answered.probabilities[row, said]), part, row, answered.truths[row], said))
    found.sort(key=lambda mistake: -mistake[0])
    pixels = [part.data.pixels[row] for _, part, row, _, _ in found[:WORST]]
    captions = [
        f"{scores.classes[truth]} → {scores.classes[said]}  {100 * sure:.0f} %\n{part.corruption}"
        for sure, part, _, truth, said in found[:WORST]
    ]
    return np.stack(pixels) if pixels else shown[0].data.pixels[:0], captions


def _by_class(part: ConditionResult, classes: Sequence[str]) -> list[tuple[str, str, str, str, int]]:
    """scikit-learn's classification report: class, precision, recall, F1, images."""
    report = classification_report(
        part.truths, part.said, labels=range(len(classes)), target_names=classes, output_dict=True, zero_division=0
    )
    rows = [(name, report[name]) for name in classes]
    return [
        (name, percent(row["precision"]), percent(row["recall"]), percent(row["f1-score"]), int(row["support"]))
        for name, row in rows
    ]
