"""The digit detector: boxes of the digits and other glyphs on a page, each with a score for every label."""

# A small fully convolutional network, trained on composed pages (benchmarks/tools/train_reader.py). At a quarter of the
# resolution its heat maps peak at the centres of glyphs. It knows glyphs of 9 to 44 pixels, so a page is read at scales
# a factor of two apart: larger glyphs are found on smaller copies. Source: CenterNet (Zhou, Wang & Krähenbühl, 2019).

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
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
SMALL_PIXELS = 160  # of a page's longer side, up to which it is also read enlarged
MIN_SIDE_PIXELS = 36  # of the coarsest scale's shorter side, at least half of it
MARGIN_PIXELS = 16  # of repeated border around the page: a glyph that touches it has a ground on all sides
MIN_SCORE = 0.15  # of a peak
MAX_GLYPHS = 3000  # the best ones; a page of text has as many
MAX_OVERLAP = 0.5  # of the smaller of two boxes; with more they are the same glyph
CLEAR_PIXELS, MIN_CLARITY = 16.0, 0.4  # height of a glyph up to which its score counts less where scales disagree
MIN_LARGER_SCORE = 0.4  # of a glyph that may replace its parts
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
    found = [_detect_at(plane, grey.shape) for plane in _scales(grey)]
    parts = ([getattr(each, part) for each in found] for part in ("boxes", "scores", "heights"))
    return _without_duplicates(Glyphs(*map(np.concatenate, parts)))


def _scales(grey: Float32[np.ndarray, "height width"]) -> Iterator[Float32[np.ndarray, "rows columns"]]:
    """The page at scales a factor of two apart, the finest first."""
    height, width = grey.shape
    scale = 2.0 if max(grey.shape) < SMALL_PIXELS else min(1.0, (MAX_PIXELS / (height * width)) ** 0.5)
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
    """The best glyph of those at each place: a clear larger one replaces its parts."""
    score, height = glyphs.scores.max(1), glyphs.boxes[:, 3] - glyphs.boxes[:, 1]
    score = score * np.clip(glyphs.heights / CLEAR_PIXELS, MIN_CLARITY, 1)
    worth = score + LARGER_BONUS * np.log2(np.maximum(height, 1)) * (score > MIN_LARGER_SCORE)
    glyphs = glyphs[np.argsort(-worth, kind="stable")[:MAX_GLYPHS]]
    left, top, right, bottom = glyphs.boxes.T
    area = np.maximum(right - left, 1e-3) * np.maximum(bottom - top, 1e-3)
    free, kept = np.ones(len(glyphs), bool), []
    for best in range(len(glyphs)):
        if free[best]:
            kept.append(best)
            across = np.clip(np.minimum(right, right[best]) - np.maximum(left, left[best]), 0, None)
            down = np.clip(np.minimum(bottom, bottom[best]) - np.maximum(top, top[best]), 0, None)
            free &= across * down <= MAX_OVERLAP * np.minimum(area, area[best])
    return glyphs[kept]
