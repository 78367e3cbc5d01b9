"""The report of one model on the core suite: training curves, accuracy, confusion matrices and mistakes."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from imparfait.core.types import Classifier
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.reports.explained_mistakes import explained_figure
from imparfait.reports.figures.drawing import shown_name
from imparfait.reports.figures.fonts import shown_classes
from imparfait.reports.figures.runs import accuracy_loss, confusion, contact_sheet, mistakes
from imparfait.reports.gallery import Gallery, run_gallery
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.text import SCORES_HEADINGS, percent, scores_rows
from imparfait.reports.translation import Language
from imparfait.training.checkpoints import Epoch

SHOWN_MISTAKES = 32
EXPLAINED_MISTAKES = 12  # of these, with occlusion maps
MIN_ACCURACY = 2 / 3  # accuracy below which "one mistake in so many images" tells nothing
CAPTIONS = "Captions: true class → prediction, confidence"
BY_CLASS_HEADINGS = ("class", "precision", "recall", "F1", "images")
IMAGES_PER_ROW = 12  # of the contact sheet


def write_report(
    folder: Path,
    *,
    title: str,
    circumstances: str,
    remarks: Sequence[str] = (),
    overlap: str,
    scores: Scores,
    figures: Sequence[PageFigure],
    facts: Mapping[str, Mapping[str, Any]],
    conditions: Sequence[ConditionImages] = (),
    for_papers: bool = True,
    language: Language = "en",
    names: Collection[str] = (),
) -> None:
    """Write `report.html` in `folder` and its figures as PNG files; `for_papers` as SVG and PDF too, and `table.tex`.

    `circumstances` says what was evaluated on which images, `remarks` what was found, and `overlap` what its training
    had in common with them.
    `conditions` are the images, of which the page shows all that are misclassified, or some hundreds. `names` stay as
    they are in every `language`.
    """
    rows = scores_rows(scores)
    by_class = {result.corruption: _by_class(result, scores.classes) for result in scores.conditions}
    caption = f"{title}: accuracy and 95 % interval. {circumstances}"
    write_page(
        folder,
        "run.html",
        title=title,
        figures=figures,
        facts=facts,
        classes=scores.classes,
        vectors=for_papers,
        language=language,
        names=names,
        latex=[
            LatexTable(f"{title} accuracy", caption, SCORES_HEADINGS, rows, total=len(rows) > 1),
            *(
                LatexTable(f"{title} by class {name}", f"{title}: by class, {name}.", BY_CLASS_HEADINGS, lines)
                for name, lines in by_class.items()
            ),
        ],
        mean=percent(scores.mean),
        images_per_mistake=round(1 / (1 - scores.mean)) if MIN_ACCURACY <= scores.mean < 1 else None,
        circumstances=circumstances,
        remarks=remarks,
        overlap=overlap,
        headings=SCORES_HEADINGS,
        rows=rows,
        by_class_headings=BY_CLASS_HEADINGS,
        by_class=by_class,
        gallery=run_gallery(scores, conditions) if conditions else Gallery(),
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
        "The loss should fall and level off; the fine line is its mean over parts of each epoch. Training accuracy is "
        "measured on augmented images while the weights still change, so it may lie below validation accuracy.",
        lambda theme: accuracy_loss(
            [e.loss for e in epochs], [e.accuracy for e in epochs], lines, theme, [e.part_losses for e in epochs]
        ),
    )


def prediction_figures(
    scores: Scores, conditions: Sequence[ConditionImages], classifier: Classifier | None = None
) -> list[PageFigure]:
    """The images of each condition, the confusion matrices, and the most confident mistakes.

    With the `classifier`, which predicts again, the worst mistakes have occlusion maps.
    """
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
            "Rows: true class. Columns: predicted class. Coloured: mistakes.",
            lambda theme, result=result: confusion(result.confusion(), scores.classes, theme),  # type: ignore[misc]
            beside=True,
        )
        for result in scores.conditions
    ]
    return [sheet, *matrices, *_mistake_figures(scores, conditions, classifier)]


def _mistake_figures(
    scores: Scores, conditions: Sequence[ConditionImages], classifier: Classifier | None
) -> list[PageFigure]:
    """The most confident mistakes; with a `classifier`, the first of them with occlusion maps, in their own figure."""
    wrong = []
    classes = shown_classes(scores.classes)
    for condition, result in zip(conditions, scores.conditions, strict=True):
        predicted = result.predicted
        for row in np.flatnonzero(~result.correct):
            confidence = float(result.probabilities[row, predicted[row]])
            caption = f"{classes[result.truths[row]]} → {classes[predicted[row]]}  {100 * confidence:.0f} %"
            lines = (caption, shown_name(condition.corruption))
            wrong.append((confidence, condition.data.pixels[row], int(predicted[row]), lines))
    worst = sorted(wrong, key=lambda mistake: -mistake[0])[:SHOWN_MISTAKES]
    if not worst:
        said = "No mistakes on these images. With real data that is a reason to look for a leak."
        none = conditions[0].data.pixels[:0]
        return [PageFigure("mistakes", "Most confident mistakes", said, lambda theme: mistakes(none, [], theme))]
    pixels = np.stack([image for _, image, *_ in worst])
    captions = [lines for *_, lines in worst]
    first = EXPLAINED_MISTAKES if classifier else 0
    figures = []
    if classifier:
        indices = np.array([index for _, _, index, _ in worst[:first]])
        figures.append(
            explained_figure(
                "mistakes", "Most confident mistakes", CAPTIONS, pixels[:first], indices, captions[:first],
                len(classes), classifier,
            )
        )  # fmt: skip
    if len(worst) > first:
        name, title = ("more_mistakes", "More mistakes") if first else ("mistakes", "Most confident mistakes")
        texts = ["\n".join(lines) for lines in captions[first:]]
        rest = pixels[first:]
        figures.append(PageFigure(name, title, f"{CAPTIONS}, condition.", lambda theme: mistakes(rest, texts, theme)))
    return figures


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
