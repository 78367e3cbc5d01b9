"""The learning curve on a page: accuracies, what more images would give, and the classes that lack them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from imparfait.core.counts import counted
from imparfait.core.storage import printable
from imparfait.evaluation.intervals import wilson_interval
from imparfait.reports.figures.drawing import Theme, figure_on
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.text import percent, percent_range
from imparfait.reports.translation import Language
from imparfait.training.learning_curve import LearningCurve

HEADINGS = ("training images", "correct", "accuracy", "95 % interval")
FACTORS = np.linspace(1, 4, 13)  # of the images, to which the extrapolation is drawn


def curve_rows(curve: LearningCurve) -> list[tuple[str, str, str, str]]:
    """A table row per fit, under HEADINGS."""
    rows = []
    for images, correct in zip(curve.images, curve.correct, strict=True):
        hits, total = int(correct.sum()), len(correct)
        rows.append(
            (f"{images:,}", f"{hits}/{total}", percent(hits / total), percent_range(wilson_interval(hits, total)))
        )
    return rows


def curve_sentences(curve: LearningCurve, needy: Sequence[tuple[str, float, int]]) -> list[str]:
    """What twice as many images would give, and the classes that need them most, as `neediest` finds them."""
    more, now = curve.extrapolate(), curve.accuracies[-1]
    classes = [
        f"{printable(name)}: recall {100 * recall:.1f} %, {counted(images, 'training image')}"
        for name, recall, images in needy
    ]
    return [
        f"twice the images ({more.images:,}): {100 * now:.1f} % → {100 * more.accuracy:.1f} % "
        f"({100 * more.low:.1f} to {100 * more.high:.1f} with 90 % certainty)",
        f"classes with the lowest recall: {'; '.join(classes)}",
    ]


def write_curve(
    folder: Path,
    name: str,
    curve: LearningCurve,
    sentences: list[str],
    language: Language = "en",
    classes: Sequence[str] = (),
) -> None:
    """Write `report.html` and `learning_curve.png` in `folder`; `classes` are those that `sentences` name."""
    figure = PageFigure(
        "learning_curve",
        "Accuracy by number of training images",
        "Dots: trained on that many images, with 95 % intervals. Dashed: extrapolated, with a 90 % interval.",
        lambda theme: _figure(curve, theme),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_page(
        folder,
        "learning_curve.html",
        title=name,
        figures=[figure],
        facts={},
        language=language,
        classes=classes,
        sentences=sentences,
        headings=HEADINGS,
        rows=curve_rows(curve),
        latex=[LatexTable(name, f"{name}: accuracy on the same held-out images.", HEADINGS, curve_rows(curve))],
    )


def _figure(curve: LearningCurve, theme: Theme) -> Figure:
    figure, axes = figure_on(theme, 7.2, 4.2)
    colour = theme.series[0]
    for images, correct in zip(curve.images, curve.correct, strict=True):
        low, high = wilson_interval(int(correct.sum()), len(correct))
        axes.plot([images, images], [100 * low, 100 * high], color=colour, linewidth=2)
    axes.plot(curve.images, [100 * each for each in curve.accuracies], "o-", color=colour, markersize=7)
    more = [curve.extrapolate(factor) for factor in FACTORS]
    at = [each.images for each in more]
    axes.plot(at, [100 * each.accuracy for each in more], "--", color=theme.series[1])
    axes.fill_between(
        at, [100 * each.low for each in more], [100 * each.high for each in more], color=theme.series[1], alpha=0.2
    )
    axes.set_xscale("log")
    ends = [curve.images[0], curve.images[-1]]
    while ends[1] / ends[0] > 3:  # halvings of all images, down to the fewest, and its doublings
        ends.insert(1, ends[1] // 2)
    ends += [ends[-1] * 2, ends[-1] * 4]
    axes.set_xticks(ends, [f"{images:,}" for images in ends])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training images")
    axes.set_ylabel("accuracy on held-out images in %")
    return figure
