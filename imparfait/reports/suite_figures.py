"""Figures of a suite over corruptions and severities: heat maps and curves, of the hardest where there are many."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from imparfait.corruptions.photo.levels import LEVELS
from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import CorruptionSummary
from imparfait.evaluation.suite import CLEAN
from imparfait.reports.figures.runs import confusion
from imparfait.reports.figures.suites import curves, heat_map
from imparfait.reports.page import PageFigure
from imparfait.reports.text import corruption_label, severity_number

MAPS_SIDE_BY_SIDE = 2  # heat maps; more would not be legible on a phone
MAX_CURVES = 4  # models in one panel
MAX_CORRUPTIONS = 40  # in figures: a page for 200 took 12 s to open and 400 s to draw, 29 November 2026

Summaries = Mapping[str, Sequence[CorruptionSummary]]
"""By model."""


def hardest(summaries: Summaries) -> set[str]:
    """The corruptions that figures show: all, or where there are too many those with the lowest accuracy."""
    lowest: dict[str, float] = {}
    for own in summaries.values():
        for summary in own:
            lowest[summary.corruption] = min(summary.accuracy, lowest.get(summary.corruption, 1.0))
    return set(sorted(lowest, key=lambda name: lowest[name])[:MAX_CORRUPTIONS])


def accuracy_maps(summaries: Summaries) -> list[PageFigure]:
    """Accuracy by corruption and severity, two models at a time; for two models also their difference."""
    first = next(iter(summaries.values()))
    families: dict[str, list[str]] = {}
    for summary in first:
        families.setdefault(summary.family, []).append(corruption_label(summary.corruption))
    is_of_photos = first[0].is_of_photos
    levels = sorted({severity for summary in first for severity in summary.severities})
    most = max(len(summary.severities) for summary in first)
    has_scales = len(levels) > most + 1  # each corruption has severities of its own
    if has_scales:
        levels, shown = [], [f"{number + 1}" for number in range(most)]
    else:
        shown = [severity_number(first[0].corruption, level) for level in levels]
    columns = [*shown, "mean"]
    scale = "fifth of its own scale" if has_scales else "level" if is_of_photos else "severity"
    order = [summary.corruption for summary in first]
    panels = {name: _panel({one.corruption: one for one in own}, order, levels) for name, own in summaries.items()}
    figures = []
    names = list(panels)
    for start in range(0, len(names), MAPS_SIDE_BY_SIDE):
        pair = {name: panels[name] for name in names[start : start + MAPS_SIDE_BY_SIDE]}
        figures.append(
            PageFigure(
                f"heat_map_{start // MAPS_SIDE_BY_SIDE}" if start else "heat_map",
                "Accuracy by corruption and severity" if not start else "… and the next models",
                f"In %: a row per corruption, a column per {scale}, the least "
                "accurate families and corruptions first. The stronger the colour, the more errors"
                + ("." if is_of_photos else "; bold below 95 %. Corruptions without degrees have one cell.")
                if not start
                else "",
                lambda theme, pair=pair: heat_map(families, columns, pair, theme, bold=not is_of_photos),  # type: ignore[misc]
                section="map",
            )
        )
    if len(names) == 2:
        difference = {"": panels[names[0]] - panels[names[1]]}
        figures.append(
            PageFigure(
                "difference",
                f"{names[0]} minus {names[1]}",
                f"In percentage points: blue where {names[0]} is ahead, orange where {names[1]} is. Cells are not "
                "tested; the table of tests shows which corruptions differ significantly.",
                lambda theme: heat_map(families, columns, difference, theme, signed=True),
                section="map",
            )
        )
    return figures


def _panel(summaries: Mapping[str, CorruptionSummary], order: Sequence[str], levels: Sequence[float]) -> np.ndarray:
    """Accuracy by corruption and level, or without `levels` by corruption and rank of its severities; then the mean."""
    columns = len(levels) or max(len(summary.severities) for summary in summaries.values())
    panel = np.full((len(order), columns + 1), np.nan)
    for row, name in enumerate(order):
        if name in summaries:
            own = summaries[name].severities
            for rank, (severity, accuracy) in enumerate(zip(own, summaries[name].accuracies, strict=True)):
                if not levels:
                    panel[row, rank + columns - len(own)] = accuracy
                elif severity in levels:
                    panel[row, levels.index(severity)] = accuracy
            panel[row, -1] = summaries[name].accuracy
    return panel


def severity_curves(models: Sequence[ModelGroup], summaries: Summaries) -> PageFigure:
    """Accuracy over severity: a panel per family, for several models a panel per corruption."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    several, is_of_photos = len(models) > 1, models[0].seeds[0].is_of_photos
    for model in models[:MAX_CURVES]:
        scores = [suite.clean.score for suite in model.seeds]
        clean = np.mean([[score.accuracy, *score.interval] for score in scores], 0)
        for summary in summaries[model.name]:
            low, high = np.array(summary.intervals).T
            line = np.stack([summary.severities, summary.accuracies, low, high])
            label = corruption_label(summary.corruption)
            panel, name = (label, model.name) if several else (summary.family, label)
            panels.setdefault(panel, {})[name] = np.column_stack([[0.0, *clean], line])
    return PageFigure(
        "curves",
        "Accuracy over level" if is_of_photos else "Accuracy over severity",
        "In %, from clean images at 0. Bands are 95 % intervals (Wilson)"
        + (
            "."
            if is_of_photos
            else ", the fine line is at 95 %. Diamonds: corruptions with one level, with nothing known between."
        )
        + (" For several seeds, their mean." if any(len(model.seeds) > 1 for model in models) else "")
        + (f" The first {MAX_CURVES} models." if len(models) > MAX_CURVES else ""),
        lambda theme: curves(
            panels, 4 if several else 2, theme, named_at_their_ends=not several, levels=LEVELS * is_of_photos
        ),
        section="curves",
    )


def confusion_figures(models: Sequence[ModelGroup]) -> list[PageFigure]:
    """The confusion matrices of the first two models side by side, on all corrupted images; none of a single model."""
    figures = []
    for number, model in enumerate(models[:2] if len(models) > 1 else ()):
        suite = model.seeds[0]
        counts = np.sum([one.confusion() for one in suite.conditions.values() if one.corruption != CLEAN], 0)
        figures.append(
            PageFigure(
                f"confusion_{number}",
                f"Confusion matrix: {model.name}",
                "Rows: true class. Columns: predicted class. Coloured: mistakes. All corrupted images."
                + (" For several seeds, the first." if len(model.seeds) > 1 else ""),
                partial(confusion, counts, suite.scores.classes),
                beside=True,
                section="confusions",
            )
        )
    return figures
