"""Figures of results from plain arrays, each for a light and a dark page."""

from imparfait.reports.figures.comparisons import (
    accuracy_against_seconds,
    best_so_far,
    paired_differences,
    shares,
    slices,
)
from imparfait.reports.figures.drawing import DARK, LIGHT, THEMES, Theme, as_png, shown_name
from imparfait.reports.figures.runs import (
    accuracies,
    accuracy_loss,
    confusion,
    contact_sheet,
    errors,
    mistakes,
    plot_scores,
)
from imparfait.reports.figures.suites import confidence, curves, heat_map, rows_of_mistakes

__all__ = [
    "DARK",
    "LIGHT",
    "THEMES",
    "Theme",
    "accuracies",
    "accuracy_against_seconds",
    "accuracy_loss",
    "as_png",
    "best_so_far",
    "confidence",
    "confusion",
    "contact_sheet",
    "curves",
    "errors",
    "heat_map",
    "mistakes",
    "paired_differences",
    "plot_scores",
    "rows_of_mistakes",
    "shares",
    "shown_name",
    "slices",
]
