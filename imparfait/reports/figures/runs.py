"""Figures of one run."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator

from imparfait.core.types import Pixels
from imparfait.evaluation.scores import Scores
from imparfait.reports.figures.drawing import LIGHT, MARKS, Theme, figure_on, montage

MANY_CLASSES = 20  # above this, numbers in the cells of a confusion matrix cannot be read


def accuracies(
    accuracy: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], theme: Theme = LIGHT
) -> Figure:
    """One dot a row with its 95 % interval, in percent."""
    figure, axes = figure_on(theme, 6.4, 0.9 + 0.45 * len(accuracy))
    places = np.arange(len(accuracy))[::-1]
    for place, (name, value) in zip(places, accuracy.items(), strict=True):
        low, high = intervals[name]
        axes.plot([100 * low, 100 * high], [place, place], color=theme.series[0], linewidth=2)
        axes.plot(100 * value, place, "o", color=theme.series[0], markersize=7)
        text = f"{100 * value:.2f} %"
        axes.annotate(text, (100 * value, place), (0, 6), textcoords="offset points", ha="center", color=theme.ink)
    axes.set_yticks(places, list(accuracy))
    axes.set_ylim(-0.6, len(accuracy) - 0.3)
    axes.set_xlabel("accuracy in %, with its 95 % interval")
    return figure


def errors(shares: Mapping[str, Mapping[str, tuple[float, tuple[float, float]]]], theme: Theme = LIGHT) -> Figure:
    """Wrong answers in percent on a logarithmic scale: a row a part, a mark a model, from accuracies with intervals."""
    parts = list(next(iter(shares.values())))
    figure, axes = figure_on(theme, 8.6, 1.1 + (0.3 + 0.17 * len(shares)) * len(parts))
    step = 0.7 / len(shares)
    for index, (name, of_model) in enumerate(shares.items()):
        colour = theme.series[index % len(theme.series)]
        for row, part in enumerate(parts):
            accuracy, (low, high) = of_model[part]
            place = -row - (index - (len(shares) - 1) / 2) * step
            ends = [max(100 * (1 - end), 1e-2) for end in (high, low)]
            axes.plot(ends, [place, place], color=colour, linewidth=2)
            label = name if row == 0 else None
            mark = MARKS[index % len(MARKS)]
            axes.plot(max(100 * (1 - accuracy), 1e-2), place, mark, color=colour, markersize=7, label=label)
    axes.set_yticks([-row for row in range(len(parts))], parts)
    axes.set_ylim(-len(parts) + 0.45, 0.55)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("wrong answers in %")
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def accuracy_loss(
    loss: Sequence[float],
    training: Sequence[float],
    validation: Mapping[str, Sequence[float]],
    theme: Theme = LIGHT,
) -> Figure:
    """The loss and the accuracies after each epoch; `validation` may be empty."""
    figure, left = figure_on(theme, 10, 3.4, columns=2)
    right = figure.axes[1]
    epochs = np.arange(1, len(loss) + 1)
    left.plot(epochs, loss, "o-", color=theme.ink)
    left.set(title="training loss", xlabel="epoch", ylim=(0, None))
    right.plot(epochs, 100 * np.asarray(training), "o--", color=theme.ink, label="training (as shown)")
    for index, (name, values) in enumerate(validation.items()):
        colour = theme.series[index % len(theme.series)]
        right.plot(epochs, 100 * np.asarray(values), "o-", color=colour, label=f"validation, {name}")
    # The first epochs of a run are far below the rest: show where the last two thirds of the run are.
    lines = [training, *validation.values()]
    floor = min(min(line[len(line) // 3 :]) for line in lines)
    ceiling = max(max(line) for line in lines)
    room = max(0.001, 0.1 * (ceiling - floor))
    right.set(title="accuracy in %", xlabel="epoch", ylim=(100 * (floor - room), 100 * min(1, ceiling + room)))
    right.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axes in (left, right):
        axes.set_xticks(epochs if len(epochs) <= 12 else epochs[:: -(-len(epochs) // 10)])
    return figure


def confusion(counts: Int[np.ndarray, "classes classes"], classes: Sequence[str], theme: Theme = LIGHT) -> Figure:
    """What each class was taken for: a row a true class, mistakes coloured, right answers plain."""
    n = len(classes)
    side = min(9.0, 1.6 + 0.42 * n)
    figure, axes = figure_on(theme, side, side)
    mistakes = counts - np.diag(np.diag(counts))
    for place in range(n):
        axes.add_patch(Rectangle((place - 0.5, place - 0.5), 1, 1, color=theme.faint, alpha=0.5, linewidth=0))
    colours = LinearSegmentedColormap.from_list("mistakes", theme.heat)
    axes.imshow(mistakes, cmap=colours, vmin=0, vmax=max(1, mistakes.max()))
    if n <= MANY_CLASSES:
        for truth, said in np.argwhere(counts > 0):
            dark_cell = truth != said and mistakes[truth, said] > 0.75 * mistakes.max()
            colour = theme.paper if dark_cell else theme.ink
            weight = "normal" if truth == said else "bold"
            axes.text(
                said, truth, counts[truth, said], ha="center", va="center", color=colour, fontsize=8, weight=weight
            )
    axes.set_xticks(range(n), classes, rotation=90 if n > MANY_CLASSES else 0)
    axes.set_yticks(range(n), classes)
    axes.set(xlabel="answered", ylabel="true class")
    axes.grid(False)
    return figure


def mistakes(pixels: Pixels, captions: Sequence[str], theme: Theme = LIGHT, columns: int = 8) -> Figure:
    """Images with a caption under each."""
    rows = [range(start, min(start + columns, len(pixels))) for start in range(0, len(pixels), columns)]
    figure, axes = figure_on(theme, 1.15 * columns, 1.6 * max(1, len(rows)))
    height, width = pixels.shape[-2:]
    places = montage(
        axes, [pixels[row.start : row.stop] for row in rows], gap=(0.42 * height, 0.08 * width), theme=theme
    )
    for (left, bottom), caption in zip(places, captions, strict=True):
        axes.text(
            left + width / 2, bottom + 0.04 * height, caption, ha="center", va="top", fontsize=8.5, color=theme.ink
        )
    return figure


def contact_sheet(sheet: Mapping[str, Pixels], theme: Theme = LIGHT) -> Figure:
    """The same images once a row, each row corrupted in another way."""
    columns = max(len(pixels) for pixels in sheet.values())
    figure, axes = figure_on(theme, 0.8 * columns + 1.2, 0.85 * len(sheet))
    height, width = next(iter(sheet.values())).shape[-2:]
    montage(axes, list(sheet.values()), gap=(0.08 * height, 0.08 * width), theme=theme)
    for row, name in enumerate(sheet):
        middle = (row + 0.5) * height + row * round(0.08 * height)
        axes.text(-0.2 * width, middle, name, ha="right", va="center", color=theme.ink)
    return figure


def plot_scores(scores: Scores, theme: Theme = LIGHT) -> Figure:
    """The accuracy of each condition and their mean, with 95 % intervals, as a matplotlib figure."""
    values = {score.corruption: score.accuracy for score in scores.each} | {"mean": scores.mean}
    intervals = {score.corruption: score.interval for score in scores.each} | {"mean": scores.mean_interval}
    return accuracies(values, intervals, theme)
