"""The sequence recogniser: the digits of a field read as a whole, without finding each of them first."""

# A small convolutional network with CTC, trained on fields of composed pages: benchmarks/tools/train_sequences.py. It
# reads digits that touch, where the detector finds one too many or too few. Source: Graves et al., Connectionist
# Temporal Classification, ICML 2006.

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from imparfait.core.compute import onnx_session
from imparfait.inference.ocr.glyph_classifier import as_ink
from imparfait.models.pretrained import WEIGHTS_FOLDER

MODEL = WEIGHTS_FOLDER / "sequences.onnx"
STRIP, PROBABILITIES = "strip", "probabilities"
"""The input and the output of its ONNX file."""
STRIP_PIXELS = 32  # height of a strip
STRIDE_PIXELS = 2  # of it, between the network's frames
HALF_HEIGHTS = 0.8, 1.2  # of a strip, in heights of its digits, at least and at most
MARGIN_HEIGHTS = 0.6  # to the left and right of a field: a digit that was not found is seen
PADDING_PIXELS = 32  # of empty columns after a strip
MAX_STRIP_PIXELS = 1024  # width of a strip
WIDTH_HEIGHTS = 0.65  # of a digit that only the sequence recogniser sees
STRAIGHT = 0.02  # slope of a field up to which it is not turned

Grey = Float32[np.ndarray, "height width"]


@cache
def _session() -> Any:
    return onnx_session(MODEL.read_bytes(), threads=1)


def recognise_sequence(strip: Float32[np.ndarray, "2 rows columns"]) -> Float32[np.ndarray, "frames labels"]:
    """The probability of each digit, and of none, in each of the frames of a strip from left to right."""
    # In training nearly all strips have empty columns after them.
    padded = np.pad(strip, ((0, 0), (0, 0), (0, PADDING_PIXELS)))
    [found] = _session().run([PROBABILITIES], {STRIP: padded[None]})
    return np.asarray(found[0][: -(-strip.shape[2] // STRIDE_PIXELS)])


@dataclass(frozen=True, eq=False)
class Strip:
    """A field on a page as a level image, 32 pixels high."""

    planes: Float32[np.ndarray, "2 rows columns"]
    """Differences from the median, -1..1, positive for ink, whatever the page's polarity; and 1 from the first box to
    the last."""
    corner: Float[np.ndarray, "2"]
    """Its top left corner on the page, in pixels."""
    right: Float[np.ndarray, "2"]
    """The step on the page from one of its columns to the next."""
    down: Float[np.ndarray, "2"]
    """The step from one of its rows to the next."""
    tall: float
    """The height of the field's digits, in pixels of the page."""

    def boxes(self, frames: Float[np.ndarray, " digits"]) -> Float[np.ndarray, "digits 4"]:
        """Boxes on the page around digits in these of the network's frames: half as wide as high, or less."""
        columns = (np.asarray(frames) + 0.5) * STRIDE_PIXELS
        middles = self.corner + columns[:, None] * self.right + STRIP_PIXELS / 2 * self.down
        step = float(np.hypot(*self.right))
        apart = np.diff(columns, prepend=-np.inf, append=np.inf) * step
        half = np.minimum(np.minimum(apart[:-1], apart[1:]) / 2, WIDTH_HEIGHTS * self.tall / 2)
        reach = np.stack([half, np.full(len(half), self.tall / 2)], 1)
        return np.concatenate([middles - reach, middles + reach], 1)


def field_strip(grey: Grey, boxes: Float[np.ndarray, "n 4"]) -> Strip:
    """A field as a level strip, given the boxes of what may be its digits."""
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    tall = max(float(np.median(sizes[:, 1])), 1.0)
    from_middle = middles - middles.mean(0)
    slope = (from_middle[:, 0] @ from_middle[:, 1]) / (from_middle[:, 0] @ from_middle[:, 0] + len(boxes) * tall**2 / 4)
    along = np.array([1.0, 0.0 if abs(slope) < STRAIGHT else slope])
    along /= np.hypot(*along)
    below = np.array([-along[1], along[0]])
    places, rises = from_middle @ along, from_middle @ below
    first, last = float((places - sizes[:, 0] / 2).min()), float((places + sizes[:, 0] / 2).max())
    start, end = first - MARGIN_HEIGHTS * tall, last + MARGIN_HEIGHTS * tall
    centre = float(np.median(rises))
    reach = np.abs(rises - centre).max() + tall / 2
    half = tall * float(np.clip(1.1 * reach / tall, *HALF_HEIGHTS))
    scale = min(STRIP_PIXELS / (2 * half), MAX_STRIP_PIXELS / (end - start))
    columns = max(STRIP_PIXELS // 2, round((end - start) * scale))
    corner = middles.mean(0) + start * along + (centre - STRIP_PIXELS / (2 * scale)) * below
    levels = _level(grey, corner, along / scale, below / scale, columns)
    at = (np.arange(columns) + 0.5) / scale + start
    within = (at >= first) & (at <= last)
    rows = np.abs(np.arange(STRIP_PIXELS) + 0.5 - STRIP_PIXELS / 2) < scale * tall / 2
    levels = as_ink(levels, np.outer(rows, within))
    planes = np.stack([levels, np.tile(within, (STRIP_PIXELS, 1))]).astype(np.float32)
    return Strip(planes, corner, along / scale, below / scale, tall)


def _level(grey: Grey, corner: np.ndarray, right: np.ndarray, down: np.ndarray, columns: int) -> np.ndarray:
    """The strip from a corner on, by its steps to the right and down; beyond the page its border is repeated."""
    corners = corner + np.array([[0, 0], columns * right, STRIP_PIXELS * down, columns * right + STRIP_PIXELS * down])
    low = np.floor(corners.min(0)).astype(int) - 1
    high = np.maximum(np.ceil(corners.max(0)).astype(int) + 1, low + 2)
    size = np.array(grey.shape[::-1])
    inner_low, inner_high = np.clip(low, 0, size - 1), np.clip(high, 1, size)
    part = grey[inner_low[1] : inner_high[1], inner_low[0] : inner_high[0]]
    before, after = np.minimum(inner_low - low, 4 * size), np.minimum(high - inner_high, 4 * size)
    part = np.pad(part, ((before[1], after[1]), (before[0], after[0])), mode="edge")
    origin = inner_low - before
    step = float(np.hypot(*right))
    if step > 1:  # fewer pixels than on the page: the mean of those that a pixel covers
        smaller = np.maximum(1, np.round(np.array(part.shape[::-1]) / step)).astype(int)
        ratio = np.array(part.shape[::-1]) / smaller
        image = Image.fromarray(np.ascontiguousarray(part)).resize(tuple(smaller.tolist()), Image.Resampling.BILINEAR)
    else:
        image, ratio = Image.fromarray(np.ascontiguousarray(part)), np.ones(2)
    start = (corner - origin) / ratio
    (across, fall), (lean, drop) = right / ratio, down / ratio
    coefficients = (across, lean, start[0], fall, drop, start[1])
    strip = image.transform((columns, STRIP_PIXELS), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.asarray(strip)
