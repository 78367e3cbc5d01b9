"""Figures of one run: training curves, confusion matrix, images with captions, accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from imparfait.core.types import Pixels
from imparfait.evaluation.scores import Scores
from imparfait.reports.figures.drawing import (
    LIGHT,
    MARKS,
    MIN_POINTS,
    Theme,
    few_log_ticks,
    figure_on,
    montage,
    shown_name,
)
from imparfait.reports.figures.fonts import shown_classes

MANY_CLASSES = 20  # above this, numbers in the cells of a confusion matrix are not legible
INCHES_PER_LETTER = 0.08  # of names and captions
COLUMN_INCHES = 1.15  # of images with short captions
TOTAL_INCHES = 0.62  # of a column beside a confusion matrix
CELL_INCHES = 0.36  # of a confusion matrix
LONG_NAME = 8  # characters; longer class names are written upright


def accuracies(
    accuracy: Mapping[str, float], intervals: Mapping[str, tuple[float, float] | None], theme: Theme = LIGHT
) -> Figure:
    """Accuracies in percent, a row each, with their 95 % intervals where there are some."""
    figure, axes = figure_on(theme, 6.4, 0.9 + 0.45 * len(accuracy))
    rows = np.arange(len(accuracy))[::-1]
    for row, (name, value) in zip(rows, accuracy.items(), strict=True):
        if (interval := intervals[name]) is not None:
            axes.plot([100 * end for end in interval], [row, row], color=theme.series[0], linewidth=2)
        axes.plot(100 * value, row, "o", color=theme.series[0], markersize=7)
        text = f"{100 * value:.2f} %"
        axes.annotate(text, (100 * value, row), (0, 6), textcoords="offset points", ha="center", color=theme.ink)
    axes.set_yticks(rows, list(map(shown_name, accuracy)))
    axes.set_ylim(-0.6, len(accuracy) - 0.3)
    axes.set_xlabel("accuracy in %, with 95 % interval")
    return figure


def errors(shares: Mapping[str, Mapping[str, tuple[float, tuple[float, float]]]], theme: Theme = LIGHT) -> Figure:
    """Error rates on a logarithmic scale, from accuracies with intervals: a row per condition, a mark per model."""
    conditions = list(next(iter(shares.values())))
    figure, axes = figure_on(theme, 8.6, 1.1 + (0.3 + 0.17 * len(shares)) * len(conditions))
    step = 0.7 / len(shares)
    for index, (name, of_model) in enumerate(shares.items()):
        colour = theme.series[index % len(theme.series)]
        for row, condition in enumerate(conditions):
            accuracy, (low, high) = of_model[condition]
            height = -row - (index - (len(shares) - 1) / 2) * step
            ends = [max(100 * (1 - end), 1e-2) for end in (high, low)]
            axes.plot(ends, [height, height], color=colour, linewidth=2)
            label = shown_name(name) if row == 0 else None
            mark = MARKS[index % len(MARKS)]
            axes.plot(max(100 * (1 - accuracy), 1e-2), height, mark, color=colour, markersize=7, label=label)
    axes.set_yticks([-row for row in range(len(conditions))], conditions)
    axes.set_ylim(-len(conditions) + 0.45, 0.55)
    few_log_ticks(axes)
    axes.set_xlabel("error rate in %")
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def accuracy_loss(
    loss: Sequence[float],
    training: Sequence[float],
    validation: Mapping[str, Sequence[float]],
    theme: Theme = LIGHT,
    parts: Sequence[Sequence[float]] = (),
) -> Figure:
    """The loss and the accuracies after each epoch; `validation` may be empty.

    `parts` are mean losses within each epoch, drawn as a fine line; without them, a single epoch has no curve of its
    loss. Accuracies of a single epoch are rows of dots.
    """
    if len(loss) == 1 and not any(parts):  # a dot is no curve
        figure, axes = figure_on(theme, 5.6, 1.2 + 0.4 * (1 + len(validation)))
        _accuracies_of_one_epoch(axes, training[0], {name: values[0] for name, values in validation.items()}, theme)
        return figure
    figure, left = figure_on(theme, 9.6, 3.6, columns=2)
    right = figure.axes[1]
    epochs = np.arange(1, len(loss) + 1)
    places = [
        (number + (part + 0.5) / len(each), value)
        for number, each in enumerate(parts)
        for part, value in enumerate(each)
    ]
    if places:
        left.plot(*zip(*places, strict=True), color=theme.series[0], linewidth=1.2, label="within the epoch")
    left.plot(epochs, loss, "o" if len(loss) == 1 else "o-", color=theme.ink, label="mean of the epoch")
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None), xlim=(0 if places else 0.9, len(loss) + 0.1))
    if places:
        left.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS)
    for axes in (left, right):
        axes.set_xticks(epochs if len(epochs) <= 12 else epochs[:: -(-len(epochs) // 10)])
    if len(loss) == 1:
        _accuracies_of_one_epoch(right, training[0], {name: values[0] for name, values in validation.items()}, theme)
        return figure
    right.plot(epochs, 100 * np.asarray(training), "o--", color=theme.ink, label="training")
    for index, (name, values) in enumerate(validation.items()):
        colour, mark = theme.series[index % len(theme.series)], MARKS[index % len(MARKS)]
        right.plot(epochs, 100 * np.asarray(values), f"{mark}-", color=colour, label=f"validation, {shown_name(name)}")
    # The first epochs of a run are far below the rest: show where the last two thirds of the run are.
    lines = [training, *validation.values()]
    floor = min(min(line[len(line) // 3 :]) for line in lines)
    ceiling = max(max(line) for line in lines)
    room = max(0.001, 0.1 * (ceiling - floor))
    right.set(xlabel="epoch", ylabel="accuracy in %", ylim=(100 * (floor - room), 100 * min(1.002, ceiling + room)))
    right.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS, loc="best")
    return figure


def _accuracies_of_one_epoch(axes: Axes, training: float, validation: Mapping[str, float], theme: Theme) -> None:
    names = ["training", *(f"validation, {shown_name(name)}" for name in validation)]
    values = 100 * np.array([training, *validation.values()])
    rows = np.arange(len(names))[::-1]
    axes.plot(values, rows, "o", color=theme.series[0], markersize=7)
    for row, value in zip(rows, values, strict=True):
        axes.annotate(f"{value:.2f}", (value, row), (0, 7), textcoords="offset points", ha="center", color=theme.ink)
    room = max(1.0, 0.2 * float(np.ptp(values)))
    axes.set_yticks(rows, names)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set(xlim=(values.min() - room, min(100 + room / 4, values.max() + room)), ylim=(-0.6, len(names) - 0.4))
    axes.set_xlabel("accuracy after the epoch in %")


def confusion(counts: Int[np.ndarray, "classes classes"], classes: Sequence[str], theme: Theme = LIGHT) -> Figure:
    """A confusion matrix: a row per true class, mistakes coloured, correct predictions plain.

    On the right the images of each class, and the share of them that is classified correctly.
    """
    n = len(classes)
    names = shown_classes(classes)
    letters = max(map(len, names)) * INCHES_PER_LETTER
    has_numbers = n <= MANY_CLASSES
    widest = TOTAL_INCHES / CELL_INCHES  # in cells
    more = 2 * widest if has_numbers else 0.0
    side = min(8.4, CELL_INCHES * n)
    upright = not has_numbers or max(map(len, names)) > LONG_NAME
    figure, axes = figure_on(theme, 0.9 + letters + side * (1 + more / n), 0.9 + side + upright * letters)
    mistakes = counts - np.diag(np.diag(counts))
    for place in range(n):
        axes.add_patch(Rectangle((place - 0.5, place - 0.5), 1, 1, color=theme.faint, alpha=0.5, linewidth=0))
    colours = LinearSegmentedColormap.from_list("mistakes", theme.heat)
    axes.imshow(mistakes, cmap=colours, vmin=0, vmax=max(1, mistakes.max()))
    if has_numbers:
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": MIN_POINTS}
        for truth, predicted in np.argwhere(counts > 0):
            dark_cell = truth != predicted and mistakes[truth, predicted] > 0.75 * mistakes.max()
            colour = theme.paper if dark_cell else theme.ink
            weight = "normal" if truth == predicted else "bold"
            axes.text(predicted, truth, str(counts[truth, predicted]), color=colour, weight=weight, **style)
        for row, (total, correct) in enumerate(zip(counts.sum(1), counts.diagonal(), strict=True)):
            share = f"{100 * correct / total:.1f}" if total else "–"
            for column, text in enumerate((str(total), share)):
                axes.text(n - 0.5 + (column + 0.5) * widest, row, text, color=theme.ink, **style)
        for column, text in enumerate(("images", "recall %")):
            axes.text(n - 0.5 + (column + 0.5) * widest, -0.9, text, color=theme.ink, **style)
        axes.set_xlim(-0.5, n - 0.5 + more)
    axes.set_xticks(range(n), names, rotation=90 if upright else 0)
    axes.set_yticks(range(n), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def mistakes(pixels: Pixels, captions: Sequence[str], theme: Theme = LIGHT, columns: int = 8) -> Figure:
    """Images with a caption below each, in at most so many columns: fewer and wider ones for long captions."""
    longest = max((len(line) for caption in captions for line in caption.split("\n")), default=0)
    widening = max(1.0, longest * INCHES_PER_LETTER / COLUMN_INCHES)
    total, columns = COLUMN_INCHES * columns, max(1, int(columns / widening))
    rows = [pixels[start : start + columns] for start in range(0, len(pixels), columns)]
    figure, axes = figure_on(theme, total, 1.6 * max(1, len(rows)))
    height, width = pixels.shape[-2:]
    positions = montage(axes, rows, gap=(0.42 * height, (1.08 * widening - 1) * width), theme=theme)
    for (left, bottom), caption in zip(positions, captions, strict=True):
        axes.text(
            left + width / 2,
            bottom + 0.04 * height,
            caption,
            ha="center",
            va="top",
            fontsize=MIN_POINTS,
            color=theme.ink,
        )
    return figure


def contact_sheet(sheet: Mapping[str, Pixels], theme: Theme = LIGHT) -> Figure:
    """The same images in each row, corrupted differently by row."""
    columns = max(len(pixels) for pixels in sheet.values())
    figure, axes = figure_on(theme, 0.8 * columns + 1.2, 0.85 * len(sheet))
    height, width = next(iter(sheet.values())).shape[-2:]
    montage(axes, list(sheet.values()), gap=(0.08 * height, 0.08 * width), theme=theme)
    for row, name in enumerate(sheet):
        middle = (row + 0.5) * height + row * round(0.08 * height)
        axes.text(-0.2 * width, middle, shown_name(name), ha="right", va="center", color=theme.ink)
    return figure


def plot_scores(scores: Scores, theme: Theme | None = None) -> Figure:
    """The accuracy of each condition and their mean, with 95 % intervals, as a matplotlib figure.

    >>> few = imparfait.load_data("mnist").train.select(range(30))
    >>> figure = imparfait.plot_scores(imparfait.evaluate(imparfait.load_classifier("digits"), few))
    >>> figure.savefig("scores.png")
    """
    names = [score.corruption for score in scores.scores]
    labels = [
        f"{s.corruption} {s.severity:g}" if names.count(s.corruption) > 1 else s.corruption for s in scores.scores
    ]
    values = {label: score.accuracy for label, score in zip(labels, scores.scores, strict=True)}
    intervals = {label: score.interval for label, score in zip(labels, scores.scores, strict=True)}
    of_mean = {"mean": scores.shown_mean_interval}
    with mpl.rc_context({"text.parse_math": False}):
        return accuracies(values | {"mean": scores.mean}, intervals | of_mean, theme or LIGHT)
