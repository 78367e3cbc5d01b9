"""The report on drift: a page with distributions before and now, predicted classes, and both over time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imparfait.core.storage import atomic_directory, write_json
from imparfait.evaluation.drift import CLASSES, CONFIDENCE, UNSURE, Drift
from imparfait.evaluation.observations import Observations
from imparfait.reports.drift_text import HEADINGS, class_rows, drift_rows, how_to_read
from imparfait.reports.figures.drawing import MIN_POINTS, Theme, figure_on
from imparfait.reports.figures.fonts import shown_classes
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.translation import Language

BINS = 30
COLUMNS = 3  # of histograms
MOST_CLASSES = 20  # in the figure
DAY, HOUR = 86_400, 3600
FEW_DAYS = 4  # up to which the figure over time is by the hour
MIN_IMAGES = 5  # in an hour or day, for a point


def write_drift(
    folder: Path,
    title: str,
    found: Drift,
    before: Observations,
    now: Observations,
    sides: tuple[str, str],
    sentences: Sequence[str],
    remarks: Sequence[str],
    content: dict[str, Any],
    language: Language = "en",
) -> None:
    """Write `folder`, whole or not at all: `report.html`, `drift.json` with `content`, and figures.

    `sides` are what both sides are called in figures, `sentences` what changed, `remarks` what was compared.
    """
    with atomic_directory(folder) as unfinished:
        write_json(unfinished / "drift.json", content)
        write_page(
            unfinished,
            "drift.html",
            title=title,
            language=language,
            names=[str(content.get("model"))],
            figures=_figures(found, before, now, sides),
            facts={"comparison": {name: value for name, value in content.items() if not isinstance(value, list)}},
            classes=[each.name for each in found.classes[:MOST_CLASSES]],
            class_names=[each.name for each in found.classes],
            sentences=sentences,
            remarks=remarks,
            headings=HEADINGS,
            rows=drift_rows(found),
            how_to_read=how_to_read(),
            class_rows=class_rows(found),
            latex=[
                LatexTable(f"{title} changes", f"{title}: what changed.", HEADINGS, drift_rows(found)),
                LatexTable(
                    f"{title} classes",
                    f"{title}: shares of the predicted classes.",
                    ("class", *sides),
                    class_rows(found),
                ),
            ],
            sides=sides,
        )


def _figures(found: Drift, before: Observations, now: Observations, sides: tuple[str, str]) -> list[PageFigure]:
    names = [change.name for change in found.changes if change.name not in (CLASSES, UNSURE)]
    figures = [
        PageFigure(
            "distributions",
            "Distributions",
            "The share of images by value. Dashed lines are medians.",
            lambda theme: _distributions(names, before, now, sides, theme),
        ),
        PageFigure(
            "classes",
            "Predicted classes",
            "The share of images by predicted class, whether or not the model is sure."
            + (" The most changed ones." if len(found.classes) > MOST_CLASSES else ""),
            lambda theme: _classes(found, sides, theme),
        ),
    ]
    times = np.concatenate([each.times for each in (before, now) if each.times is not None])
    if len(times) and np.ptp(times) > HOUR:
        shown = [change.name for change in found.changed if change.name != CLASSES] or [CONFIDENCE]
        span, unit = (HOUR, "hour") if np.ptp(times) < FEW_DAYS * DAY else (DAY, "day")
        figures.append(
            PageFigure(
                "over_time",
                "Over time",
                f"Medians by {unit}, in UTC; of unsure, the share. Dashed: all images {sides[0]}.",
                lambda theme: _over_time(shown, before, now, span, theme),
            )
        )
    return figures


def values_of(one: Observations, name: str) -> np.ndarray:
    """The property, confidence or unsure share of each image, NaN where it is not known."""
    if name == UNSURE:
        return one.unsure.astype(float)
    return np.asarray(one.scores if name == CONFIDENCE else one.properties[name])


def _distributions(
    names: Sequence[str], before: Observations, now: Observations, sides: tuple[str, str], theme: Theme
) -> Figure:
    rows = -(-len(names) // COLUMNS)
    figure, _ = figure_on(theme, 3.1 * COLUMNS, 2.4 * rows, COLUMNS, rows)
    for axes, name in zip(figure.axes, names, strict=False):
        values = [each[np.isfinite(each)] for each in (values_of(before, name), values_of(now, name))]
        low, high = np.quantile(np.concatenate(values), [0.002, 0.998])
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1).tolist()
        for index, (each, side) in enumerate(zip(values, sides, strict=True)):
            weights = np.full(len(each), 100 / len(each))
            colour = theme.series[index]
            clipped = np.clip(each, edges[0], edges[-1])
            if index == 0:
                axes.hist(clipped, edges, weights=weights, color=colour, alpha=0.45, label=side)
            else:
                axes.hist(clipped, edges, weights=weights, color=colour, histtype="step", linewidth=1.8, label=side)
            axes.axvline(float(np.median(each)), color=colour, linestyle="--", linewidth=1.2)
        axes.set_title(name)
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in figure.axes[len(names) :]:
        axes.set_visible(False)
    for row in range(rows):
        figure.axes[row * COLUMNS].set_ylabel("images in %")
    figure.axes[0].legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS)
    return figure


def _classes(found: Drift, sides: tuple[str, str], theme: Theme) -> Figure:
    chosen = found.classes[:MOST_CLASSES]
    if len(found.classes) <= MOST_CLASSES:
        chosen = tuple(sorted(chosen, key=lambda each: each.name))
    figure, axes = figure_on(theme, 8.6, 1.0 + 0.36 * len(chosen))
    rows = np.arange(len(chosen))
    for index, side in enumerate(sides):
        shares = [100 * (each.before, each.now)[index] for each in chosen]
        axes.barh(rows + 0.2 * (2 * index - 1), shares, 0.38, color=theme.series[index], label=side)
    axes.set_yticks(rows, shown_classes([each.name for each in chosen]))
    axes.invert_yaxis()
    axes.set_xlabel("images in %")
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS)
    return figure


def _over_time(names: Sequence[str], before: Observations, now: Observations, span: int, theme: Theme) -> Figure:
    figure, _ = figure_on(theme, 8.6, 1.9 * len(names), 1, len(names))
    for axes, name in zip(figure.axes, names, strict=True):
        middle = np.mean if name == UNSURE else np.median
        for index, side in enumerate((before, now)):
            values = values_of(side, name)
            known = np.isfinite(values)
            if index == 0:
                axes.axhline(float(middle(values[known])), color=theme.series[0], linestyle="--", linewidth=1.2)
            if side.times is not None:
                points = _points(side.times[known] // span, values[known], middle)
                dates = [np.datetime64(int((slot + 0.5) * span), "s") for slot in points]
                axes.plot(dates, [*points.values()], "o-", color=theme.series[index], markersize=4)
        axes.set_title(name)
        locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.xaxis.get_offset_text().set_color(theme.ink)
    return figure


def _points(slots: np.ndarray, values: np.ndarray, middle: Callable[[np.ndarray], np.floating]) -> dict[float, float]:
    """The mean or median of each hour or day that has enough images."""
    names, members, sizes = np.unique(slots, return_inverse=True, return_counts=True)
    order = np.split(values[np.argsort(members, kind="stable")], np.cumsum(sizes)[:-1])
    return {float(slot): float(middle(own)) for slot, own in zip(names, order, strict=True) if len(own) >= MIN_IMAGES}
