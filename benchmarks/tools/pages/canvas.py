"""The canvas of a scene: glyphs with their labels and lines, rules, scribbles and pasted images, before the camera."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from pages.glyphs import Glyph, Points
from pages.warp import Warp

OTHER = 10
"""Label of a glyph that is not a digit."""
IGNORED = 11
"""Label of a digit that is cut off or too small to be read: neither digit nor ground."""
DOTS = ".:'\"`·;*"  # too small for a box of their own
LEAST_VISIBLE = 0.65  # of a digit's box, below which it is ignored
LEAST_HEIGHT_PX = 5.5

Colour = tuple[int, int, int]
Ink = Float[np.ndarray, "height width 4"]
"""Red, green and blue times the coverage, then the coverage: 0..1."""


class Canvas:
    """What is drawn of a scene; colours are kept multiplied by the coverage, so that they can be resampled."""

    def __init__(self, warp: Warp):
        self.warp = warp
        self.width, self.height = warp.width, warp.height
        # Red, green, blue and coverage; called CMYK, Pillow neither divides by the fourth band nor multiplies with it.
        self._ink = Image.new("CMYK", (self.width, self.height))
        self._outlines: list[Points] = []
        self._labels: list[int] = []
        self._lines: list[int] = []
        self.line = -1

    def new_line(self) -> None:
        """Begin a line of text: what is stamped from here on belongs to it."""
        self.line += 1

    def stamp(self, glyph: Glyph, x: float, y: float, colour: Colour, character: str) -> None:
        """Draw a glyph with the pen at x, y; `character` decides its label: empty or a dot, it has none."""
        left, top = round(x + glyph.left), round(y + glyph.top)
        self._paste(colour, left, top, glyph.mask)
        if character and character not in DOTS and len(glyph.outline):
            self.label(glyph.outline + np.array((left, top)), int(character) if character in "0123456789" else OTHER)

    def label(self, outline: Points, label: int) -> None:
        """Note a glyph that was drawn otherwise."""
        self.line = max(self.line, 0)
        self._outlines.append(outline)
        self._labels.append(label)
        self._lines.append(self.line)

    def image(self, image: Image.Image, x: float, y: float) -> None:
        """Paste a colour image."""
        self._ink.paste(Image.merge("CMYK", (*image.split(), Image.new("L", image.size, 255))), (round(x), round(y)))

    def rectangle(self, left: float, top: float, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (left + width, top), (left + width, top + height), (left, top + height)], colour)

    def strokes(self, strokes: Iterable[Sequence[tuple[float, float]]], width: float, colour: Colour) -> None:
        """Draw open curves given by their points, smooth at their edges."""
        whole = max(1, round(2 * width))
        joint = "curve" if whole > 3 else None
        for points in strokes:
            with self._brush(points, width, colour, min(1.0, 2 * width)) as (brush, moved):
                brush.line(moved, fill=255, width=whole, joint=joint)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        with self._brush(points, 0, colour, 1.0) as (brush, moved):
            brush.polygon(moved, fill=255)

    @contextmanager
    def _brush(
        self, points: Sequence[tuple[float, float]], width: float, colour: Colour, opacity: float
    ) -> Iterator[tuple[ImageDraw.ImageDraw, list[tuple[float, float]]]]:
        """A brush on a mask at twice the size around the points, and the points on it; pasted at the end."""
        x, y = zip(*points, strict=True)
        left, top = (math.floor(max(-8, min(side) - width)) - 1 for side in (x, y))
        right, bottom = math.ceil(min(self.width, max(x) + width)) + 1, math.ceil(min(self.height, max(y) + width)) + 1
        mask = Image.new("L", (2 * max(1, right - left), 2 * max(1, bottom - top)))
        yield ImageDraw.Draw(mask), [(2 * (at - left), 2 * (down - top)) for at, down in points]
        reduced = mask.reduce(2)
        if opacity < 1:
            reduced = reduced.point([round(level * opacity) for level in range(256)])
        self._paste(colour, left, top, reduced)

    def _paste(self, colour: Colour, left: int, top: int, mask: Image.Image) -> None:
        self._ink.paste((*colour, 255), (left, top), mask)

    def seen(self) -> Ink:
        """The ink of the page."""
        return np.asarray(self.warp.seen(self._ink), np.float32) / np.float32(255)

    def glyphs(
        self,
    ) -> tuple[Float[np.ndarray, "n 4"], UInt8[np.ndarray, " n"], np.ndarray]:
        """Boxes (left, top, width, height), labels and lines of the glyphs that the page shows."""
        if not self._outlines:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.int64)
        starts = np.cumsum([0, *(len(outline) for outline in self._outlines[:-1])])
        points = self.warp.page_points(np.concatenate(self._outlines))
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        labels, lines = np.array(self._labels, np.uint8), np.array(self._lines)
        kept_low, kept_high = (np.clip(corner, 0, self.warp.page) for corner in (low, high))
        sides = kept_high - kept_low
        visible = sides.prod(1) / np.maximum((high - low).prod(1), 1e-6)
        cut = (visible < LEAST_VISIBLE) | ((high - low)[:, 1] < LEAST_HEIGHT_PX)
        labels[cut & (labels < OTHER)] = IGNORED
        shown = (sides.min(1) >= 1) & (visible > 0.05)
        boxes = np.concatenate([kept_low, sides], 1).astype(np.float32)
        _, lines = np.unique(lines[shown], return_inverse=True)  # lines that nothing is seen of have no number
        return boxes[shown], labels[shown], lines
