"""The digit detector: boxes of the digits and other glyphs on a page, each with a score for every label."""

# A small fully convolutional network, trained on composed pages (benchmarks/tools/train_reader.py). At a quarter of the
# resolution its heat maps peak at the centres of glyphs. It knows glyphs of 9 to 44 pixels, so a page is read at scales
# a factor of two apart: larger glyphs are found on smaller copies. Source: CenterNet (Zhou, Wang & Krähenbühl, 2019).

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from PIL import Image

from imparfait.core.compute import onnx_session
from imparfait.models.pretrained import WEIGHTS_FOLDER

MODEL = WEIGHTS_FOLDER / "reader.onnx"
PAGE, PEAKS, SCORES, BOXES = "page", "peaks", "scores", "boxes"
"""The input and the outputs of its ONNX file."""
DIGITS = 10
"""The number of digits; label DIGITS is any other glyph."""
STRIDE_PIXELS = 4  # of the heat maps
MAX_PIXELS = 1_200_000  # of the finest scale: 0.9 s of a slow core
FINE_PIXELS, FINE_SHARE = 12.0, 0.5  # height of glyphs, and their share, from which on a page is also read at twice it
SMALL_PIXELS = 160  # of a page's longer side, up to which it is also read enlarged
MIN_SIDE_PIXELS = 36  # of the coarsest scale's shorter side, at least half of it
MARGIN_PIXELS = 16  # of repeated border around the page: a glyph that touches it has a ground on all sides
MIN_SCORE = 0.15  # of a peak
MAX_GLYPHS = 3000  # the best ones; a page of text has as many
MAX_OVERLAP = 0.5  # of the smaller of two boxes; with more they are the same glyph
CLEAR_PIXELS, MIN_CLARITY = 16.0, 0.4  # height of a glyph up to which its score counts less where scales disagree
MIN_LARGER_SCORE = 0.4  # of a glyph that may replace its parts
MIN_PART_SCORE, PART_HEIGHT, MAX_PARTS = 0.4, 0.6, 3  # of a glyph in a larger one, in its heights; and how many
LARGER_BONUS = 0.15  # to the score, each time a box is twice as high: a part of a digit can look like a digit


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Glyphs on a page, in no order."""

    boxes: Float[np.ndarray, "n 4"]
    """Left, top, right, bottom, in the page's pixels."""
    scores: Float[np.ndarray, "n labels"]
    """Of the ten digits and of any other glyph, each between 0 and 1; their sum is not 1."""
    heights: Float[np.ndarray, " n"]
    """In pixels of the scale at which each was found."""

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, chosen: Any) -> "Glyphs":
        return Glyphs(self.boxes[chosen], self.scores[chosen], self.heights[chosen])


@cache
def _session() -> Any:
    return onnx_session(MODEL.read_bytes(), threads=1)


def detect(grey: Float32[np.ndarray, "height width"]) -> Glyphs:
    """The glyphs on a page, given by its lightness (0..1), found at all scales."""
    scale = 2.0 if max(grey.shape) < SMALL_PIXELS else min(1.0, (MAX_PIXELS / grey.size) ** 0.5)
    found = [_detect_at(plane, grey.shape) for plane in _scales(grey, scale)]
    finest = found[0]
    if scale < 1 and len(finest) and np.count_nonzero(finest.heights < FINE_PIXELS) > FINE_SHARE * len(finest):
        found.append(_detect_at(next(_scales(grey, min(1.0, 2 * scale))), grey.shape))
    parts = ([getattr(each, part) for each in found] for part in ("boxes", "scores", "heights"))
    return _without_duplicates(Glyphs(*map(np.concatenate, parts)))


def _scales(grey: Float32[np.ndarray, "height width"], scale: float) -> Iterator[Float32[np.ndarray, "rows columns"]]:
    """The page at this scale, and at scales each half of the one before."""
    height, width = grey.shape
    image = Image.fromarray(np.ascontiguousarray(grey))
    while True:
        size = max(8, round(width * scale)), max(8, round(height * scale))
        yield np.asarray(image.resize(size, Image.Resampling.BILINEAR) if size != image.size else image)
        if min(height, width) * scale < MIN_SIDE_PIXELS:
            return
        scale /= 2


def _detect_at(plane: Float32[np.ndarray, "rows columns"], shape: tuple[int, int]) -> Glyphs:
    """The glyphs of a page of this shape, given at one scale."""
    rows, columns = plane.shape
    margins = ((MARGIN_PIXELS, MARGIN_PIXELS + -rows % 8), (MARGIN_PIXELS, MARGIN_PIXELS + -columns % 8))
    padded = np.pad(plane, margins, mode="edge")[None, None]
    peaks, scores, boxes = (output[0] for output in _session().run([PEAKS, SCORES, BOXES], {PAGE: padded}))
    down, right = np.nonzero(peaks > MIN_SCORE)
    width, height, x, y = boxes[:, down, right].astype(float)
    width, height = np.exp(width) * STRIDE_PIXELS, np.exp(height) * STRIDE_PIXELS
    middle_x, middle_y = (right + x) * STRIDE_PIXELS - MARGIN_PIXELS, (down + y) * STRIDE_PIXELS - MARGIN_PIXELS
    corners = [middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2]
    ratios = [shape[1] / columns, shape[0] / rows] * 2
    return Glyphs(np.stack(corners, 1) * ratios, scores[:, down, right].T.astype(float), height)


def _without_duplicates(glyphs: Glyphs) -> Glyphs:
    """The best glyph of those at each place: a clear larger one replaces its parts.

    What would replace many is none: on a coarse scale a column of numbers is a stroke.
    """
    score, height = glyphs.scores.max(1), glyphs.boxes[:, 3] - glyphs.boxes[:, 1]
    clear = score * np.clip(glyphs.heights / CLEAR_PIXELS, MIN_CLARITY, 1)
    small = _best_at_each_place(glyphs.boxes, clear)
    few = _clear_within(glyphs.boxes, small[clear[small] > MIN_PART_SCORE]) <= MAX_PARTS
    glyphs, clear, score, height = glyphs[few], clear[few], score[few], height[few]
    worth = clear + LARGER_BONUS * np.log2(np.maximum(height, 1)) * (clear > MIN_LARGER_SCORE)
    return glyphs[_best_at_each_place(glyphs.boxes, worth)]


def _best_at_each_place(boxes: Float[np.ndarray, "n 4"], worth: Float[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """The glyphs that no better one covers, at most MAX_GLYPHS, from the best on."""
    order = np.argsort(-worth, kind="stable")[:MAX_GLYPHS]
    left, top, right, bottom = boxes[order].T
    area = np.maximum(right - left, 1e-3) * np.maximum(bottom - top, 1e-3)
    free, kept = np.ones(len(order), bool), []
    for best in range(len(order)):
        if free[best]:
            kept.append(best)
            across = np.clip(np.minimum(right, right[best]) - np.maximum(left, left[best]), 0, None)
            down = np.clip(np.minimum(bottom, bottom[best]) - np.maximum(top, top[best]), 0, None)
            free &= across * down <= MAX_OVERLAP * np.minimum(area, area[best])
    return np.asarray(order[kept])


def _clear_within(boxes: Float[np.ndarray, "n 4"], clear: Int[np.ndarray, " m"]) -> Int[np.ndarray, " n"]:
    """How many of the clear glyphs have their middle in each box and at most PART_HEIGHT of its height."""
    middles, heights = (boxes[clear, :2] + boxes[clear, 2:]) / 2, boxes[clear, 3] - boxes[clear, 1]
    most = PART_HEIGHT * (boxes[:, 3] - boxes[:, 1])
    counts = np.zeros(len(boxes), int)
    for large in np.flatnonzero(most > heights.min(initial=np.inf)):
        inside = ((middles > boxes[large, :2]) & (middles < boxes[large, 2:])).all(1)
        counts[large] = np.count_nonzero(inside & (heights < most[large]))
    return counts
