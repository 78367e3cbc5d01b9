"""Figures of comparisons and searches."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imparfait.reports.figures.drawing import LIGHT, MARKS, MIN_POINTS, Theme, few_log_ticks, figure_on, shown_name

ARGUMENTS = "model_args."  # before the names of a network's arguments


def paired_differences(
    pairs: Mapping[str, tuple[Sequence[float], float, tuple[float, float]]], theme: Theme = LIGHT
) -> Figure:
    """A row per pair: a dot for each fold's difference, and the mean with its interval; all as shares."""
    figure, axes = figure_on(theme, 7.6, 1.0 + 0.7 * len(pairs))
    rows = np.arange(len(pairs))[::-1]
    axes.axvline(0, color=theme.ink, linewidth=1)
    for row, (differences, mean, (low, high)) in zip(rows, pairs.values(), strict=True):
        heights = row - 0.16 - 0.12 * (np.arange(len(differences)) % 3)  # dots at equal height would hide each other
        axes.plot(100 * np.asarray(differences), heights, "o", color=theme.series[1], markersize=4, alpha=0.8)
        axes.plot([100 * low, 100 * high], [row, row], color=theme.series[0], linewidth=2)
        axes.plot(100 * mean, row, "o", color=theme.series[0], markersize=7)
        axes.annotate(
            f"{100 * mean:+.2f}", (100 * mean, row), (0, 6), textcoords="offset points", ha="center", color=theme.ink
        )
    axes.set_yticks(rows, list(pairs))
    axes.set_ylim(-0.65, len(pairs) - 0.4)
    axes.set_xlabel("difference in percentage points: each fold (small), mean with 95 % interval (large)")
    return figure


def accuracy_against_seconds(
    points: Mapping[str, tuple[float, float, float | None]],
    theme: Theme = LIGHT,
    seconds: str = "training time in seconds, alone",
) -> Figure:
    """A mark per candidate at (seconds, accuracy), with a bar of one standard deviation over jobs each way."""
    figure, axes = figure_on(theme, 7.6, 3.6)
    best_first = sorted(points.items(), key=lambda point: -point[1][1])
    for index, (name, (time, accuracy, spread)) in enumerate(best_first):
        colour, mark = theme.series[index % len(theme.series)], MARKS[index % len(MARKS)]
        bar = 100 * (spread or 0)
        axes.errorbar(
            time, 100 * accuracy, bar, fmt=mark, color=colour, markersize=7, linewidth=2, label=shown_name(name)
        )
    axes.margins(x=0.15, y=0.15)
    axes.set_ylim(top=min(axes.get_ylim()[1], 100.5))  # a wide bar may reach higher, accuracy cannot
    few_log_ticks(axes)
    axes.set(xlabel=seconds, ylabel="accuracy in %")
    # A legend: names at the marks would overlap where candidates are similar.
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def best_so_far(curves: Mapping[str, Sequence[np.ndarray]], theme: Theme = LIGHT) -> Figure:
    """For each name the curves [2, n] of cost and best accuracy so far: each thin, their median thick."""
    figure, axes = figure_on(theme, 8.6, 3.8)
    every = [curve for searches in curves.values() for curve in searches]
    costs = np.linspace(min(curve[0, 0] for curve in every), min(curve[0, -1] for curve in every), 200)
    shown = []
    for index, (name, searches) in enumerate(curves.items()):
        colour = theme.series[index % len(theme.series)]
        best = np.stack([curve[1, np.searchsorted(curve[0], costs, side="right").clip(1) - 1] for curve in searches])
        for line in best:
            axes.step(costs, 100 * line, where="post", color=colour, linewidth=0.7, alpha=0.45)
        label = f"{name}, median of {len(searches)}" if len(searches) > 1 else name
        axes.step(costs, 100 * np.median(best, 0), where="post", color=colour, linewidth=2.4, label=label)
        shown += best[np.isfinite(best)].tolist()
    low, high = np.quantile(shown, [0.1, 1])  # the first trials lie far below the rest
    room = max(1e-4, 0.1 * (high - low))
    axes.set(xlabel="cost: total seconds of trials", ylabel="best accuracy so far in %")
    axes.set_ylim(100 * (low - room), 100 * (high + room))
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS, loc="lower right")
    return figure


def slices(
    tried: Mapping[str, tuple[Sequence[float | str], bool]], accuracy: np.ndarray, theme: Theme = LIGHT
) -> Figure:
    """For each setting its values (and whether its axis is logarithmic) against the accuracies of the trials."""
    columns = next(
        n for n in (3, 4, 2, 1) if n <= len(tried) and (len(tried) % n != 1 or n == 1)
    )  # none alone in a row
    rows = -(-len(tried) // columns)
    figure, _ = figure_on(theme, 9.4, 2.4 * rows, columns=columns, rows=rows)
    floor = float(np.quantile(accuracy, 0.2))
    for index, (axes, (name, (values, log))) in enumerate(zip(figure.axes, tried.items(), strict=False)):
        axes.plot(values, 100 * accuracy, "o", color=theme.series[0], markersize=4, alpha=0.6, markeredgewidth=0)
        axes.set(xlabel=in_words(name), ylabel="" if index % columns else "accuracy in %")
        axes.set_ylim(100 * floor, 100 * float(accuracy.max()) + 0.1 * 100 * (float(accuracy.max()) - floor) + 1e-3)
        if log:
            few_log_ticks(axes)
        elif all(isinstance(value, int) for value in values):
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in figure.axes[len(tried) :]:
        axes.set_visible(False)
    return figure


def in_words(setting: str) -> str:
    """A setting's name on an axis: `model_args.frame` as "frame", `learning_rate` as "learning rate"."""
    return setting.removeprefix(ARGUMENTS).replace("_", " ")


def shares(explained: Mapping[str, float], theme: Theme = LIGHT) -> Figure:
    """A bar per name, in percent."""
    figure, axes = figure_on(theme, 6.4, 0.8 + 0.36 * len(explained))
    rows = np.arange(len(explained))[::-1]
    axes.barh(rows, [100 * share for share in explained.values()], color=theme.series[0], height=0.6)
    axes.set_yticks(rows, [in_words(name) for name in explained])
    axes.grid(False, axis="y")
    axes.set_xlabel("share of the variance between trials explained, in %")
    return figure
