"""Shared parts of all figures: themes, axes, names, rows of images, and files."""

import io
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from imparfait.core.storage import printable


@dataclass(frozen=True)
class Theme:
    """Colours on a light or dark page; the series are Okabe and Ito's, which colour-blind readers can distinguish."""

    paper: str
    ink: str
    faint: str
    series: tuple[str, ...]
    heat: tuple[str, str]
    scale: tuple[str, ...]
    """From few errors to many; lightness changes with each step, so that the hue is not needed."""


LIGHT = Theme(
    "#ffffff",
    "#1d2530",
    "#d9dee5",
    ("#0072B2", "#D55E00", "#009E73", "#7a5195", "#3fa0d8", "#a87900", "#c2578f", "#5b6675"),
    ("#ffffff", "#D55E00"),
    ("#ffffff", "#fde3c8", "#f3a35c", "#c4510a", "#6b2300"),
)
DARK = Theme(
    "#14181e",
    "#e4e8ee",
    "#39424e",
    ("#56B4E9", "#E69F00", "#2fc79a", "#CC79A7", "#8fa3ff", "#F0E442", "#ff7b54", "#a3aebb"),
    ("#14181e", "#E69F00"),
    ("#14181e", "#4a2a10", "#93500f", "#dd8a1c", "#ffe0a6"),
)
THEMES = {"light": LIGHT, "dark": DARK}
MARKS = "osD^vPX"  # one per series, for readers who cannot distinguish the colours
FileKind = Literal["png", "svg", "pdf"]
DPI = 144  # of PNG files
MIN_POINTS = 9  # of letters in figures: at 88 pixels of a page an inch they are 11 pixels high
MOST_LOG_TICKS = 6
MAX_NAME = 40  # characters of a name
RIGHT_TO_LEFT = ("R", "AL")  # directions of letters: Hebrew's and the like, and Arabic's
ISOLATES = "\N{LEFT-TO-RIGHT MARK}\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"
"""Around a name from right to left: without them “true class → prediction” would turn about its arrow."""
REPEATABLE: dict[Any, Any] = {"svg.hashsalt": "imparfait", "pdf.fonttype": 42}
"""Equal figures are equal files; of the fonts in PDF files, journals refuse those of type 3."""
UNDATED: dict[FileKind, tuple[str, ...]] = {"png": (), "svg": ("Date",), "pdf": ("CreationDate",)}


def shown_name(name: str) -> str:
    """A name from data or files for a figure: on one line, shortened; matplotlib would leave out a leading `_`."""
    name = printable(name) if len(name) <= MAX_NAME else f"{printable(name, MAX_NAME - 1)}…"
    if any(unicodedata.bidirectional(letter) in RIGHT_TO_LEFT for letter in name):
        return f"{ISOLATES[:2]}{name}{ISOLATES[2]}"
    return f"\N{NO-BREAK SPACE}{name}" if name.startswith("_") else name


def as_file(figure: Figure, kind: FileKind) -> bytes:
    """The figure as the content of a file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), mpl.rc_context(REPEATABLE):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box stands for the character
        figure.savefig(
            buffer, format=kind, facecolor=figure.get_facecolor(), bbox_inches="tight", pad_inches=0.08,
            metadata=dict.fromkeys(UNDATED[kind]),
        )  # fmt: skip
    return buffer.getvalue()


def montage(axes: Axes, rows: Sequence[np.ndarray], gap: tuple[float, float], theme: Theme) -> list[tuple[int, int]]:
    """Draw rows of images on one canvas; returns the left and bottom of each image, in pixels.

    Ten times faster than one set of axes per image.
    """
    axes.set_axis_off()
    if not rows:
        return []
    height, width = rows[0].shape[-2:]
    down, right = height + round(gap[0]), width + round(gap[1])
    canvas = np.zeros((down * len(rows), right * max(map(len, rows)), 4), np.uint8)  # transparent between images
    positions = []
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * down, column * right
            colours = image if len(image) == 3 else image[:1].repeat(3, 0)
            canvas[top : top + height, left : left + width, :3] = colours.transpose(1, 2, 0)
            canvas[top : top + height, left : left + width, 3] = 255
            positions.append((left, top + height))
    axes.imshow(canvas, interpolation="nearest")
    # White images must not blend into a white page, nor black ones into a dark one.
    frames = [Rectangle((left - 0.5, bottom - height - 0.5), width, height) for left, bottom in positions]
    axes.add_collection(PatchCollection(frames, facecolors="none", edgecolors=theme.faint, linewidths=0.8))
    return positions


def figure_on(theme: Theme, width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, Axes]:
    """An empty figure in the colours of `theme`, and the first of its axes."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor=theme.paper)
    for index in range(rows * columns):
        axes = figure.add_subplot(rows, columns, index + 1, facecolor=theme.paper)
        axes.tick_params(colors=theme.ink, labelsize=MIN_POINTS)
        for part in (axes.title, axes.xaxis.label, axes.yaxis.label):
            part.set_color(theme.ink)
        axes.title.set_fontsize(10)
        for side, spine in axes.spines.items():
            spine.set_color(theme.faint)
            spine.set_visible(side in ("left", "bottom"))
        axes.grid(True, color=theme.faint, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, figure.axes[0]


def few_log_ticks(axes: Axes) -> None:
    """Make the x axis of `axes`, whose range is set, logarithmic, with two to six plain numbers at its ticks."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    choices = ((powers[:, None] * np.array(subs)).ravel() for subs in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))))
    for ticks in (*choices, MaxNLocator(4).tick_values(low, high)):
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) > 1:
            break
    ticks = ticks[:: -(-len(ticks) // MOST_LOG_TICKS)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
