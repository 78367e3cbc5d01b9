"""Figure of mistakes, each image beside itself with the places coloured that its prediction depends on."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from imparfait.core.types import Pixels
from imparfait.inference.explanation_sheet import coloured
from imparfait.reports.figures.drawing import LIGHT, MIN_POINTS, Theme, figure_on, montage

PAIR_INCHES = 2.1  # width of two images side by side


def explained(
    pixels: Pixels,
    drops: Sequence[Float[np.ndarray, "height width"]],
    captions: Sequence[str],
    theme: Theme = LIGHT,
    columns: int = 4,
) -> Figure:
    """Images with a caption below each; those that have a map of drops in probability beside their coloured copy."""
    height, width = pixels.shape[-2:]
    gap = max(1, width // 14)
    wide = [_pair(image, drops[row] if row < len(drops) else None, gap, theme) for row, image in enumerate(pixels)]
    rows = [np.stack(wide[start : start + columns]) for start in range(0, len(wide), columns)]
    figure, axes = figure_on(theme, PAIR_INCHES * columns, 0.1 + (0.5 * PAIR_INCHES * height / width + 0.7) * len(rows))
    scale = (2 * width + gap) / PAIR_INCHES  # pixels per inch
    positions = montage(axes, rows, gap=(0.65 * scale, 0.14 * scale), theme=theme)
    for (left, bottom), caption in zip(positions, captions, strict=True):
        axes.text(left - 0.5, bottom + 0.03 * scale, caption, va="top", fontsize=MIN_POINTS, color=theme.ink)
    return figure


def _pair(
    image: UInt8[np.ndarray, "channels height width"], drop: np.ndarray | None, gap: int, theme: Theme
) -> UInt8[np.ndarray, "3 height wide"]:
    colours = image if len(image) == 3 else image[:1].repeat(3, 0)
    paper = np.broadcast_to((255 * np.array(to_rgb(theme.paper))).astype(np.uint8)[:, None, None], colours.shape)
    if drop is None:
        return np.concatenate([colours, paper[..., :gap], paper], 2)
    heat = coloured(image, drop, theme.series[1], theme.series[0])
    return np.concatenate([colours, paper[..., :gap], heat], 2)
