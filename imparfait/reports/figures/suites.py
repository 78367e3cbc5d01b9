"""Figures of a suite: accuracy by corruption and severity, confidence, mistakes."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from imparfait.core.types import Pixels
from imparfait.reports.figures.drawing import LIGHT, MARKS, MIN_POINTS, Theme, figure_on, montage, shown_name

Line = Float[np.ndarray, "4 levels"]
"""Severity, accuracy, and the lower and upper end of its interval."""

LEAST_ERROR = 0.0005  # at the end of the axes of a reliability diagram
MIN_ERROR = 0.002  # coloured like no error; above it the colour follows the logarithm of the error


def heat_map(
    families: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    panels: Mapping[str, Float[np.ndarray, "rows columns"]],
    theme: Theme = LIGHT,
    signed: bool = False,
    bold: bool = True,
) -> Figure:
    """A heat map of shares in percent: a row per name, grouped by family; NaN leaves a cell out.

    Accuracies are coloured by their errors and, if `bold`, bold below 95 %; `signed` differences by their sign.
    Several panels stand side by side.
    """
    names = sum(map(len, families.values()))
    wide, tall = len(panels) * (len(columns) + 0.6), names + 1.15 * len(families) + 1.4
    figure, axes = _bare(theme, 1.5 + 0.5 * wide, 0.26 * tall)
    axes.set(xlim=(-3, wide), ylim=(tall - 1.4, -1.4))
    heights, top = [], 0.0
    for family, members in families.items():
        axes.text(-3, top + 0.75, shown_name(family), va="center", weight="bold", color=theme.ink, fontsize=MIN_POINTS)
        axes.plot([-3, wide - 0.6], [top + 0.2, top + 0.2], color=theme.faint, linewidth=0.6, clip_on=False)
        heights += [top + 1.15 + row for row in range(len(members))]
        top += 1.15 + len(members)
    for height, name in zip(heights, (name for members in families.values() for name in members), strict=True):
        axes.text(-0.2, height + 0.5, shown_name(name), ha="right", va="center", color=theme.ink, fontsize=MIN_POINTS)
    for number, (title, values) in enumerate(panels.items()):
        left = number * (len(columns) + 0.6)
        if len(panels) > 1:
            axes.text(left, -1.05, shown_name(title), va="center", weight="bold", color=theme.ink, fontsize=MIN_POINTS)
        for column, heading in enumerate(columns):
            axes.text(
                left + column + 0.5, -0.3, heading, ha="center", va="center", color=theme.ink, fontsize=MIN_POINTS
            )
        _cells(axes, values, left, heights, theme, signed, bold)
    return figure


def _bare(theme: Theme, width: float, height: float) -> tuple[Figure, Axes]:
    """Axes over the whole figure, for drawings of known size: a layout engine would take as long as the drawing."""
    figure, axes = figure_on(theme, width, height)
    figure.set_layout_engine("none")
    axes.set_position((0, 0, 1, 1))
    axes.set_axis_off()
    return figure, axes


def _cells(
    axes: Axes,
    values: Float[np.ndarray, "rows columns"],
    left: float,
    heights: Sequence[float],
    theme: Theme,
    signed: bool,
    bold: bool,
) -> None:
    if signed:
        colours = LinearSegmentedColormap.from_list("signed", (theme.series[1], theme.paper, theme.series[0]))
        most = max(0.01, float(np.nanmax(np.abs(values))))
        shade = 0.5 + 0.5 * np.sign(values) * (np.abs(values) / most) ** 0.5
    else:
        colours = LinearSegmentedColormap.from_list("errors", theme.scale)
        shade = 1 - np.log((1 - values).clip(MIN_ERROR)) / np.log(MIN_ERROR)
    cells, faces = [], []
    for row, column in np.argwhere(np.isfinite(values)).tolist():
        value, face = values[row, column], colours(float(shade[row, column]))
        cells.append(Rectangle((left + column + 0.03, heights[row] + 0.04), 0.94, 0.92))
        faces.append(face)
        axes.text(
            left + column + 0.5,
            heights[row] + 0.5,
            _points(value) if signed else f"{100 * value:.1f}",
            ha="center",
            va="center",
            fontsize=MIN_POINTS,
            color=_readable_on(colours, float(shade[row, column])),
            weight="bold" if bold and not signed and value < 0.95 else "normal",
        )
    axes.add_collection(PatchCollection(cells, facecolors=faces, edgecolors=theme.faint, linewidths=0.4))


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}" if abs(difference) >= 0.0005 else "0"


def _readable_on(colours: Colormap, shade: float) -> str:
    """Black or white, whichever has more contrast."""
    red, green, blue = (
        value / 12.92 if value <= 0.04 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colours(shade))
    )
    return "#10141a" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else "#ffffff"


def curves(
    panels: Mapping[str, Mapping[str, Line]],
    columns: int,
    theme: Theme = LIGHT,
    named_at_their_ends: bool = True,
    levels: int = 0,
) -> Figure:
    """Accuracy over severity, or over so many `levels`, with intervals as bands: a panel per name, all on one scale.

    Lines are named at their ends, or in one legend where all panels have the same ones. A single severity is a
    diamond without a line.
    """
    rows = -(-len(panels) // columns)
    figure, _ = figure_on(theme, 8.4, (2.2 if named_at_their_ends else 1.2) * rows + 0.5, columns, rows)
    lowest = min(float(line[2].min()) for lines in panels.values() for line in lines.values())
    bottom = max(0.0, 0.1 * np.floor(10 * lowest))
    for number, (axes, (title, lines)) in enumerate(zip(figure.axes, panels.items(), strict=False)):
        if not levels:
            axes.axhline(95, color=theme.ink, linewidth=0.7, linestyle=(0, (1, 2)))
        for index, (name, line) in enumerate(lines.items()):
            _draw(axes, name, line, index, theme)
        size = 10 if named_at_their_ends else MIN_POINTS
        axes.set_title(shown_name(title), loc="left", fontsize=size, weight="bold", color=theme.ink, pad=3)
        axes.set(ylim=(100 * bottom, 101), xlim=(0, 1.03))
        ticks = (0, 0.2, 0.4, 0.6, 0.8, 1) if named_at_their_ends or levels else (0, 0.5, 1)
        axes.set_xticks(ticks, [f"{(levels or 1) * tick:g}" for tick in ticks])
        if named_at_their_ends:
            _name_ends(axes, lines, 100 * (1 - bottom), theme)
        elif number % columns:
            axes.tick_params(labelleft=False)
        last = number + columns >= len(panels)
        axes.tick_params(labelsize=MIN_POINTS, labelbottom=last)
        axes.set_xlabel(("level" if levels else "severity") if last else "", fontsize=MIN_POINTS)
    for axes in figure.axes[len(panels) :]:
        axes.set_visible(False)
    if not named_at_their_ends:
        most = max(range(len(panels)), key=lambda i: len(next(iter(list(panels.values())[i].values()))[0]))
        handles, labels = figure.axes[most].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper left", ncols=4, frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS
        )
    return figure


def _draw(axes: Axes, name: str, line: Line, index: int, theme: Theme) -> None:
    severity, accuracy, low, high = line
    colour, label = theme.series[index % len(theme.series)], shown_name(name)
    if len(severity) == 2:  # clean and one level: nothing is known between them
        axes.plot(severity[1:].repeat(2), 100 * np.array([low[1], high[1]]), color=colour, linewidth=2)
        axes.plot(severity[1:], 100 * accuracy[1:], "D", color=colour, markersize=6, label=label)
        return
    style = "-" if index < len(theme.series) // 2 else "--"
    axes.fill_between(severity, 100 * low, 100 * high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(severity[1:], 100 * accuracy[1:], "o", color=colour, markersize=3)
    axes.plot(severity, 100 * accuracy, style, color=colour, linewidth=1.4, label=label)


def _name_ends(axes: Axes, lines: Mapping[str, Line], height: float, theme: Theme) -> None:
    """Write each line's name next to its end, names apart from one another."""
    order = sorted(lines, key=lambda name: -float(lines[name][1, -1]))
    gap, level = 0.105 * height, float("inf")
    levels = []
    for name in order:
        level = min(100 * float(lines[name][1, -1]), level - gap)
        levels.append(level)
    lift = max(0.0, 100 - height - levels[-1])  # the lowest must stay inside the panel
    colours = dict(zip(lines, (theme.series[i % len(theme.series)] for i in range(len(lines))), strict=True))
    for name, level in zip(order, levels, strict=True):
        end = (1.0, 100 * float(lines[name][1, -1]))
        axes.annotate(
            shown_name(name),
            end,
            (1.09, level + lift),
            annotation_clip=False,
            va="center",
            color=colours[name],
            fontsize=MIN_POINTS,
            arrowprops={
                "relpos": (0, 0.5),
                "arrowstyle": "-",
                "color": colours[name],
                "linewidth": 0.5,
                "shrinkA": 0,
                "shrinkB": 2,
            },
        )


def confidence(
    reliability: Mapping[str, Float[np.ndarray, "2 bins"]],
    risk_coverage: Mapping[str, Float[np.ndarray, "2 thresholds"]],
    theme: Theme = LIGHT,
) -> Figure:
    """Left the reliability diagram, (confidence, accuracy) in bins; right the risk–coverage curve.

    Left, both axes stretch towards 100 %, where most bins of a good model are: each step divides errors by ten.
    """
    figure, left = figure_on(theme, 9.6, 4.2, columns=2)
    right = figure.axes[1]
    for index, (mean_confidence, accuracy) in enumerate(reliability.values()):
        colour, mark = theme.series[index % len(theme.series)], MARKS[index % len(MARKS)]
        left.plot(
            _stretched(mean_confidence), _stretched(accuracy), f"{mark}-", color=colour, markersize=5, linewidth=1.4
        )
    for index, (name, (coverage, risk)) in enumerate(risk_coverage.items()):
        colour = theme.series[index % len(theme.series)]
        right.plot(100 * coverage, 100 * risk, color=colour, linewidth=1.6, label=shown_name(name))
    shown = np.concatenate([_stretched(values).ravel() for values in reliability.values()])
    low = max(0.0, float(shown.min()) - 0.1)
    ticks = [share for share in (0, 0.5, 0.8, 0.9, 0.98, 0.99, 0.998, 0.999) if _stretched(np.array([share]))[0] >= low]
    high = -float(np.log10(LEAST_ERROR))
    left.plot([low, high], [low, high], color=theme.ink, linewidth=0.8, linestyle=":")
    at, names = [*_stretched(np.array(ticks, float)).tolist(), high], [*(f"{100 * tick:g}" for tick in ticks), "100"]
    left.set_xticks(at, names)
    left.set_yticks(at, names)
    left.set(xlim=(low, high + 0.1), ylim=(low, high + 0.1))
    left.set(title="accuracy by confidence", xlabel="mean confidence in %", ylabel="accuracy in %")
    right.set(title="error rate when abstaining", xlabel="coverage in %", ylabel="error rate in % of accepted")
    right.set(xlim=(0, 100), ylim=(0, None))
    right.legend(frameon=False, labelcolor=theme.ink, fontsize=MIN_POINTS, loc="upper left")
    return figure


def _stretched(shares: np.ndarray) -> np.ndarray:
    """Shares as the number of tenfold divisions of their errors: 0.9 is 1, 0.99 is 2; all above 0.9995 is 3.3."""
    return np.asarray(-np.log10((1 - shares).clip(LEAST_ERROR)))


def rows_of_mistakes(rows: Mapping[str, tuple[Pixels, Sequence[str]]], columns: int, theme: Theme = LIGHT) -> Figure:
    """Captioned images, a row per name."""
    figure, axes = _bare(theme, 1.1 + 0.75 * columns, 1.1 * len(rows))
    pixels = [images for images, _ in rows.values()]
    height, width = pixels[0].shape[-2:]
    down, right = height + round(0.5 * height), width + round(0.12 * width)
    positions = montage(axes, pixels, gap=(0.5 * height, 0.12 * width), theme=theme)
    captions = [caption for _, own in rows.values() for caption in own]
    for (left, bottom), caption in zip(positions, captions, strict=True):
        axes.text(left + width / 2, bottom, caption, ha="center", va="top", fontsize=MIN_POINTS, color=theme.ink)
    for row, name in enumerate(rows):
        axes.text(
            -0.15 * width,
            row * down + height / 2,
            shown_name(name),
            ha="right",
            va="center",
            color=theme.ink,
            fontsize=MIN_POINTS,
        )
    # Cropped to its content, a figure with short names or few images would appear larger than others.
    whole = Rectangle((-1.65 * width, -1), columns * right + 1.65 * width, len(rows) * down, fill=False, linewidth=0)
    axes.add_patch(whole)
    axes.set(xlim=(-1.65 * width, columns * right), ylim=(len(rows) * down - 1, -1))
    return figure
