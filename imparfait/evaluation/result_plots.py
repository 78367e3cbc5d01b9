"""Plots of results in matplotlib axes: accuracies with their intervals, by condition, corruption or model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from imparfait.core.optional import axes_or_new
from imparfait.core.storage import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#7a5195", "#3fa0d8", "#a87900", "#c2578f", "#5b6675")
MARKS = "osD^vPX"  # for readers who cannot distinguish the colours
MAX_NAME = 40  # characters


def plain_name(name: str) -> str:
    """A name as it is: no mathematics, no control characters, not hidden for a leading underscore."""
    text = printable(name, MAX_NAME).replace("$", r"\$")
    return f"\N{NO-BREAK SPACE}{text}" if text.startswith("_") else text


def plot_accuracies(
    ax: Axes | None,
    rows: Sequence[str],
    accuracies: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    what: str = "accuracy in %, with 95 % interval",
) -> Axes:
    """A dot for each row, from top to bottom, with its interval where there is one; accuracies are 0..1."""
    ax = axes_or_new(ax, 6.4, 1.0 + 0.3 * len(rows))
    places = np.arange(len(rows))
    for place, interval in zip(places, intervals, strict=True):
        if interval is not None:
            ax.plot([100 * end for end in interval], [place, place], color=COLOURS[0], linewidth=2)
    ax.plot([100 * value for value in accuracies], places, "o", color=COLOURS[0])
    ax.set_yticks(places, [plain_name(row) for row in rows])
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel=what)
    ax.grid(axis="x", alpha=0.4)
    return ax


def plot_models(ax: Axes | None, rows: Sequence[str], models: Mapping[str, Sequence[float]]) -> Axes:
    """A mark for each model in each row, with a legend; accuracies are 0..1."""
    ax = axes_or_new(ax, 7.2, 1.0 + 0.3 * len(rows))
    places = np.arange(len(rows))
    for number, (name, accuracies) in enumerate(models.items()):
        mark, colour = MARKS[number % len(MARKS)], COLOURS[number % len(COLOURS)]
        ax.plot([100 * value for value in accuracies], places, mark, color=colour, label=plain_name(name))
    ax.set_yticks(places, [plain_name(row) for row in rows])
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy in %")
    ax.grid(axis="x", alpha=0.4)
    ax.legend(fontsize=9)
    return ax
