"""Predictions of several images: a list, a table of pandas, a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imparfait.core.optional import axes_or_new, frame_of
from imparfait.core.storage import printable
from imparfait.inference.predictor import Prediction

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = ("image", "label", "score", "confident", "reason")
MOST_PLOTTED = 40  # images
CONFIDENT, UNSURE = "#0072B2", "#D55E00"  # Okabe and Ito's
MAX_NAME = 30  # characters in a plot


class Predictions(list[Prediction]):
    """The predictions of `predict`: a list, with `to_frame()` and `plot()`."""

    def __init__(self, predictions: Iterable[Prediction] = (), names: Sequence[str] = ()) -> None:
        """`names` of the images, as many as predictions; by default their numbers from 0."""
        super().__init__(predictions)
        self.names = list(names) or [str(number) for number in range(len(self))]

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per image: its name, label, score (0..1), whether the model is confident, and why not."""
        return frame_of(
            [
                dict(zip(COLUMNS, (name, each.label, each.score, each.confident, each.reason), strict=True))
                for name, each in zip(self.names, self, strict=True)
            ],
            COLUMNS,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar per image, as long as its probability, blue where the model is confident; at most 40."""
        shown = list(zip(self.names, self, strict=True))[:MOST_PLOTTED]
        ax = axes_or_new(ax, 6.4, 0.9 + 0.32 * len(shown))
        rows = range(len(shown))
        colours = [CONFIDENT if each.confident else UNSURE for _, each in shown]
        ax.barh(rows, [0 if each.blank else 100 * each.score for _, each in shown], color=colours)
        labels = [
            printable(f"{name[-MAX_NAME:]}: {'–' if each.blank else each.label}", 2 * MAX_NAME) for name, each in shown
        ]
        ax.set_yticks(rows, [label.replace("$", r"\$") for label in labels])
        ax.invert_yaxis()
        ax.set(xlim=(0, 100), xlabel="probability of the label in %; orange: unsure")
        return ax
