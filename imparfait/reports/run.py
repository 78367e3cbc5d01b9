"""The report of one model on the core suite: training curves, accuracy, confusion matrices and mistakes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.reports.figures.drawing import shown_name
from imparfait.reports.figures.fonts import shown_classes
from imparfait.reports.figures.runs import accuracy_loss, confusion, contact_sheet, mistakes
from imparfait.reports.latex import NEEDS, latex_table
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.text import SCORES_HEADINGS, percent, scores_rows
from imparfait.training.checkpoints import Epoch

SHOWN_MISTAKES = 32
IMAGES_PER_ROW = 12  # of the contact sheet


def write_report(
    folder: Path,
    *,
    title: str,
    circumstances: str,
    overlap: str,
    scores: Scores,
    figures: Sequence[PageFigure],
    facts: Mapping[str, Mapping[str, Any]],
    for_papers: bool = True,
) -> None:
    """Write `report.html` in `folder` and its figures as PNG files; `for_papers` as SVG and PDF too, and `table.tex`.

    `circumstances` says what was evaluated on which images, `overlap` what its training had in common with them.
    """
    rows = scores_rows(scores)
    if for_papers:
        latex = latex_table(title, SCORES_HEADINGS, rows, left=1, total=len(rows) > 1)
        (folder / "table.tex").write_text(f"{NEEDS}\n\n{latex}\n", encoding="utf-8")
    write_page(
        folder,
        "run.html",
        title=title,
        figures=figures,
        facts=facts,
        classes=scores.classes,
        vectors=for_papers,
        mean=percent(scores.mean),
        images_per_mistake=round(1 / (1 - scores.mean)) if scores.mean < 1 else None,
        circumstances=circumstances,
        overlap=overlap,
        headings=SCORES_HEADINGS,
        rows=rows,
        by_class={result.corruption: _by_class(result, scores.classes) for result in scores.conditions},
    )


def training_figure(epochs: Sequence[Epoch]) -> PageFigure:
    """Loss and accuracy by epoch."""
    lines: dict[str, list[float]] = {}
    for epoch in epochs:
        for score in epoch.validation:
            lines.setdefault(score.corruption, []).append(score.accuracy)
    return PageFigure(
        "accuracy_loss",
        "Training",
        "The loss should fall and level off. Training accuracy is measured on augmented images while the weights still "
        "change, so it may lie below validation accuracy.",
        lambda theme: accuracy_loss([e.loss for e in epochs], [e.accuracy for e in epochs], lines, theme),
    )


def prediction_figures(scores: Scores, conditions: Sequence[ConditionImages]) -> list[PageFigure]:
    """The images of each condition, the confusion matrices, and the most confident mistakes."""
    sheet = PageFigure(
        "corruptions",
        "Evaluated images",
        "Each column is a source image, each row a condition.",
        lambda theme: contact_sheet({one.corruption: one.data.pixels[:IMAGES_PER_ROW] for one in conditions}, theme),
    )
    matrices = [
        PageFigure(
            f"confusion_{result.corruption}",
            f"Confusion matrix: {result.corruption}",
            "A row per true class, a column per predicted class; off the diagonal are mistakes: the stronger "
            "the colour, the more frequent.",
            lambda theme, result=result: confusion(result.confusion(), scores.classes, theme),  # type: ignore[misc]
            square=True,
        )
        for result in scores.conditions
    ]
    pixels, captions = _confident_mistakes(scores, conditions)
    worst = PageFigure(
        "mistakes",
        "Most confident mistakes",
        "Captions: true class → prediction, confidence, condition."
        if captions
        else "No mistakes on these images. With real data that is a reason to look for a leak.",
        lambda theme: mistakes(pixels, captions, theme),
    )
    return [sheet, *matrices, worst]


def _confident_mistakes(scores: Scores, conditions: Sequence[ConditionImages]) -> tuple[np.ndarray, list[str]]:
    wrong = []
    classes = shown_classes(scores.classes)
    for condition, result in zip(conditions, scores.conditions, strict=True):
        predicted = result.predicted
        for row in np.flatnonzero(~result.correct):
            confidence = float(result.probabilities[row, predicted[row]])
            caption = f"{classes[result.truths[row]]} → {classes[predicted[row]]}  {100 * confidence:.0f} %"
            wrong.append((confidence, condition.data.pixels[row], f"{caption}\n{shown_name(condition.corruption)}"))
    worst = sorted(wrong, key=lambda mistake: -mistake[0])[:SHOWN_MISTAKES]
    pixels = [image for _, image, _ in worst]
    return np.stack(pixels) if pixels else conditions[0].data.pixels[:0], [caption for *_, caption in worst]


def _by_class(result: ConditionResult, classes: Sequence[str]) -> list[tuple[str, str, str, str, int]]:
    """scikit-learn's classification report: class, precision, recall, F1, images."""
    report = classification_report(
        result.truths, result.predicted, labels=range(len(classes)), output_dict=True, zero_division=0
    )
    rows = [(name, report[str(index)]) for index, name in enumerate(classes)]
    return [
        (name, percent(row["precision"]), percent(row["recall"]), percent(row["f1-score"]), int(row["support"]))
        for name, row in rows
    ]
