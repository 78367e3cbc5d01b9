"""Pictures of results, from plain arrays; each for light and for dark paper."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator

from imparfait.images import Pixels


@dataclass(frozen=True)
class Theme:
    """Colours for one kind of paper; the series are Okabe and Ito's, which colour-blind readers tell apart."""

    paper: str
    ink: str
    faint: str
    series: tuple[str, ...]
    heat: tuple[str, str]


LIGHT = Theme("#ffffff", "#1d2530", "#d9dee5", ("#0072B2", "#D55E00", "#009E73", "#7a5195"), ("#ffffff", "#D55E00"))
DARK = Theme("#14181e", "#e4e8ee", "#39424e", ("#56B4E9", "#E69F00", "#2fc79a", "#CC79A7"), ("#14181e", "#E69F00"))
THEMES = {"light": LIGHT, "dark": DARK}
MANY_CLASSES = 20  # above this, numbers in the cells of a confusion matrix cannot be read


def accuracies(
    accuracy: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], theme: Theme = LIGHT
) -> Figure:
    """One dot a row with its 95 % interval, in percent."""
    figure, axes = _figure(theme, 6.4, 0.9 + 0.45 * len(accuracy))
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


def accuracy_loss(
    loss: Sequence[float],
    training: Sequence[float],
    validation: Mapping[str, Sequence[float]],
    theme: Theme = LIGHT,
) -> Figure:
    """The loss and the accuracies after each epoch; `validation` may be empty."""
    figure, left = _figure(theme, 10, 3.4, columns=2)
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
    figure, axes = _figure(theme, side, side)
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
    """Pictures with a caption under each."""
    rows = [range(start, min(start + columns, len(pixels))) for start in range(0, len(pixels), columns)]
    figure, axes = _figure(theme, 1.15 * columns, 1.6 * max(1, len(rows)))
    height, width = pixels.shape[-2:]
    places = _montage(axes, [pixels[row.start : row.stop] for row in rows], gap=(0.42 * height, 0.08 * width))
    for (left, bottom), caption in zip(places, captions, strict=True):
        axes.text(
            left + width / 2, bottom + 0.04 * height, caption, ha="center", va="top", fontsize=8.5, color=theme.ink
        )
    return figure


def contact_sheet(sheet: Mapping[str, Pixels], theme: Theme = LIGHT) -> Figure:
    """The same pictures once a row, each row altered in another way."""
    columns = max(len(pixels) for pixels in sheet.values())
    figure, axes = _figure(theme, 0.8 * columns + 1.2, 0.85 * len(sheet))
    height, width = next(iter(sheet.values())).shape[-2:]
    _montage(axes, list(sheet.values()), gap=(0.08 * height, 0.08 * width))
    for row, name in enumerate(sheet):
        middle = (row + 0.5) * height + row * round(0.08 * height)
        axes.text(-0.2 * width, middle, name, ha="right", va="center", color=theme.ink)
    return figure


def paired_differences(
    pairs: Mapping[str, tuple[Sequence[float], float, tuple[float, float]]], theme: Theme = LIGHT
) -> Figure:
    """A row a pair: a dot for each fold's difference, then the mean with its interval; all in shares."""
    figure, axes = _figure(theme, 7.6, 1.0 + 0.7 * len(pairs))
    places = np.arange(len(pairs))[::-1]
    axes.axvline(0, color=theme.ink, linewidth=1)
    for place, (differences, mean, (low, high)) in zip(places, pairs.values(), strict=True):
        apart = place - 0.16 - 0.12 * (np.arange(len(differences)) % 3)  # dots of equal height would hide each other
        axes.plot(100 * np.asarray(differences), apart, "o", color=theme.series[1], markersize=4, alpha=0.8)
        axes.plot([100 * low, 100 * high], [place, place], color=theme.series[0], linewidth=2)
        axes.plot(100 * mean, place, "o", color=theme.series[0], markersize=7)
        axes.annotate(
            f"{100 * mean:+.2f}", (100 * mean, place), (0, 6), textcoords="offset points", ha="center", color=theme.ink
        )
    axes.set_yticks(places, list(pairs))
    axes.set_ylim(-0.65, len(pairs) - 0.4)
    axes.set_xlabel("difference in points: each fold (small), mean with its 95 % interval (large)")
    return figure


def accuracy_against_seconds(
    points: Mapping[str, tuple[float, float, float]], theme: Theme = LIGHT, seconds: str = "seconds of training, alone"
) -> Figure:
    """A dot a contender at (seconds, accuracy), with a bar of one standard deviation of its cells each way."""
    figure, axes = _figure(theme, 7.6, 3.6)
    for index, (name, (time, accuracy, spread)) in enumerate(points.items()):
        colour = theme.series[index % len(theme.series)]
        axes.errorbar(
            time, 100 * accuracy, 100 * np.nan_to_num(spread), fmt="o", color=colour, markersize=8, linewidth=2
        )
        axes.annotate(name, (time, 100 * accuracy), (9, -3), textcoords="offset points", color=theme.ink)
    axes.set_xscale("log")
    axes.margins(x=0.25, y=0.15)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set(xlabel=seconds, ylabel="accuracy in %")
    return figure


def best_so_far(curves: Mapping[str, Sequence[np.ndarray]], theme: Theme = LIGHT) -> Figure:
    """For each name the curves [2, n] of cost and the best up to there: each thin, their median thick."""
    figure, axes = _figure(theme, 8.6, 3.8)
    ends = [curve[0, -1] for each in curves.values() for curve in each]
    costs = np.linspace(min(curve[0, 0] for each in curves.values() for curve in each), min(ends), 200)
    shown = []
    for index, (name, each) in enumerate(curves.items()):
        colour = theme.series[index % len(theme.series)]
        at = np.stack([curve[1, np.searchsorted(curve[0], costs, side="right").clip(1) - 1] for curve in each])
        for line in at:
            axes.step(costs, 100 * line, where="post", color=colour, linewidth=0.7, alpha=0.45)
        label = f"{name}, median of {len(each)}" if len(each) > 1 else name
        axes.step(costs, 100 * np.median(at, 0), where="post", color=colour, linewidth=2.4, label=label)
        shown += at[np.isfinite(at)].tolist()
    low, high = np.quantile(shown, [0.1, 1])  # the first trials are far below the rest
    room = max(1e-4, 0.1 * (high - low))
    axes.set(xlabel="cost: seconds of trials, added up", ylabel="best so far, in %")
    axes.set_ylim(100 * (low - room), 100 * (high + room))
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="lower right")
    return figure


def slices(
    tried: Mapping[str, tuple[Sequence[float | str], bool]], accuracy: np.ndarray, theme: Theme = LIGHT
) -> Figure:
    """For each setting its values (and whether they are spread by their logarithm) against what came of them."""
    columns = min(3, len(tried))
    rows = -(-len(tried) // columns)
    figure, _ = _figure(theme, 3.1 * columns, 2.5 * rows, columns=columns, rows=rows)
    floor = float(np.quantile(accuracy, 0.2))
    for index, (axes, (name, (values, log))) in enumerate(zip(figure.axes, tried.items(), strict=False)):
        axes.plot(values, 100 * accuracy, "o", color=theme.series[0], markersize=4, alpha=0.6, markeredgewidth=0)
        axes.set_xscale("log" if log else axes.get_xscale())
        axes.set(xlabel=name.removeprefix("sizes."), ylabel="" if index % columns else "accuracy in %")
        axes.set_ylim(100 * floor, 100 * float(accuracy.max()) + 0.1 * 100 * (float(accuracy.max()) - floor) + 1e-3)
        if log:
            axes.xaxis.set_minor_formatter("")
        elif all(isinstance(value, int) for value in values):
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in figure.axes[len(tried) :]:
        axes.set_visible(False)
    return figure


def shares(explained: Mapping[str, float], theme: Theme = LIGHT) -> Figure:
    """A bar a name, in percent."""
    figure, axes = _figure(theme, 6.4, 0.8 + 0.36 * len(explained))
    places = np.arange(len(explained))[::-1]
    axes.barh(places, [100 * share for share in explained.values()], color=theme.series[0], height=0.6)
    axes.set_yticks(places, [name.removeprefix("sizes.") for name in explained])
    axes.grid(False, axis="y")
    axes.set_xlabel("share of the differences between trials that it explains, in %")
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor(), bbox_inches="tight", pad_inches=0.08)
    return buffer.getvalue()


def _montage(axes: Axes, rows: Sequence[np.ndarray], gap: tuple[float, float]) -> list[tuple[int, int]]:
    """Draw rows of pictures as one image, in pixels; returns the left and bottom of each picture.

    One image instead of one set of axes a picture: ten times faster to draw.
    """
    axes.set_axis_off()
    if not rows:
        return []
    height, width = rows[0].shape[-2:]
    down, right = height + round(gap[0]), width + round(gap[1])
    canvas = np.zeros((down * len(rows), right * max(map(len, rows)), 4), np.uint8)  # transparent between pictures
    places = []
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = row * down, column * right
            colours = picture if len(picture) == 3 else picture[:1].repeat(3, 0)
            canvas[top : top + height, left : left + width, :3] = colours.transpose(1, 2, 0)
            canvas[top : top + height, left : left + width, 3] = 255
            places.append((left, top + height))
    axes.imshow(canvas, interpolation="nearest")
    return places


def _figure(theme: Theme, width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=144, layout="constrained", facecolor=theme.paper)
    for index in range(rows * columns):
        axes = figure.add_subplot(rows, columns, index + 1, facecolor=theme.paper)
        axes.tick_params(colors=theme.ink, labelsize=9)
        for part in (axes.title, axes.xaxis.label, axes.yaxis.label):
            part.set_color(theme.ink)
        axes.title.set_fontsize(10)
        for side, spine in axes.spines.items():
            spine.set_color(theme.faint)
            spine.set_visible(side in ("left", "bottom"))
        axes.grid(True, color=theme.faint, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, figure.axes[0]
