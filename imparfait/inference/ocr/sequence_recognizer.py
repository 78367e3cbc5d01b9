"""The sequence recogniser: the digits of a field read as a whole, without finding each of them first."""

# A small convolutional network with CTC, trained on fields of composed pages: benchmarks/tools/train_sequences.py. It
# reads digits that touch, where the detector finds one too many or too few. Source: Graves et al., Connectionist
# Temporal Classification, ICML 2006.

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image
from scipy import ndimage

from imparfait.core.compute import onnx_session
from imparfait.inference.ocr.ctc import LengthReading, strings_by_length
from imparfait.inference.ocr.glyph_classifier import as_ink
from imparfait.models.pretrained import WEIGHTS_FOLDER

MODEL = WEIGHTS_FOLDER / "sequences.onnx"
STRIP, PROBABILITIES = "strip", "probabilities"
"""The input and the output of its ONNX file."""
STRIP_PIXELS = 32  # height of a strip
STRIDE_PIXELS = 2  # of it, between the network's frames
HALF_HEIGHTS = 0.8, 1.2  # least and most half height of a strip, in heights of its digits
MARGIN_HEIGHTS = 0.6  # to the left and right of a field: a digit that was not found is seen
PADDING_PIXELS = 32  # of empty columns after a strip
MAX_STRIP_PIXELS = 1024  # width of a strip
WIDTH_HEIGHTS = 0.65  # of a digit that only the sequence recogniser sees
STRAIGHT = 0.02  # slope of a field up to which it counts as level
MAX_STEPS = 4  # in which a field grows by digits beside it

Grey = Float32[np.ndarray, "height width"]


@cache
def _session() -> Any:
    return onnx_session(MODEL.read_bytes(), threads=1)


def recognise_sequence(strip: Float32[np.ndarray, "2 rows columns"]) -> Float32[np.ndarray, "frames labels"]:
    """The probability of each digit, and of a blank, in each of the frames of a strip from left to right."""
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
    column_step: Float[np.ndarray, "2"]
    """The step on the page from one of its columns to the next."""
    row_step: Float[np.ndarray, "2"]
    """The step from one of its rows to the next."""
    digit_height: float
    """The height of the field's digits, in pixels of the page."""

    def middles(self, frames: Float[np.ndarray, " digits"]) -> Float[np.ndarray, "digits 2"]:
        """Of the digits that begin in these of the network's frames, on the page."""
        columns = (np.asarray(frames) + 0.5) * STRIDE_PIXELS
        return np.asarray(self.corner + columns[:, None] * self.column_step + STRIP_PIXELS / 2 * self.row_step)

    def boxes(self, frames: Float[np.ndarray, " digits"]) -> Float[np.ndarray, "digits 4"]:
        """Boxes on the page around digits that begin in these of the network's frames.

        They are 0.65 times as wide as high, or reach up to the middle between two digits.
        """
        middles = self.middles(frames)
        apart = np.hypot(*np.diff(middles, axis=0).T)
        apart = np.concatenate([[np.inf], apart, [np.inf]])
        half = np.minimum(np.minimum(apart[:-1], apart[1:]) / 2, WIDTH_HEIGHTS * self.digit_height / 2)
        reach = np.stack([half, np.full(len(half), self.digit_height / 2)], 1)
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
    size = np.array(grey.shape[::-1])
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, size - 1)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, low + 1, size)
    part = grey[low[1] : high[1], low[0] : high[0]]
    # Fewer pixels than on the page: the mean of those that a pixel covers.
    smaller = np.maximum(1, np.round(np.array(part.shape[::-1]) / max(1.0, float(np.hypot(*right))))).astype(int)
    ratio = np.array(part.shape[::-1]) / smaller
    image = Image.fromarray(np.ascontiguousarray(part)).resize(tuple(smaller.tolist()), Image.Resampling.BILINEAR)
    steps = np.stack([down, right], 1) / ratio[:, None]
    start = (corner - low) / ratio + steps.sum(1) / 2 - 0.5
    shape = STRIP_PIXELS, columns
    found = ndimage.affine_transform(np.asarray(image), steps[::-1], start[::-1], shape, order=1, mode="nearest")
    return np.asarray(found)


def read_sequence(grey: Grey, boxes: Float[np.ndarray, "n 4"], grows: bool = True) -> tuple[list[LengthReading], Strip]:
    """The strings of a field by length, and its strip, given the boxes of what may be its digits.

    A field grows by digits that are seen beside its boxes, unless this is turned off. Lengths with a digit beyond the
    page, or beside a field that does not grow, are left out.
    """
    height, width = grey.shape
    for _ in range(MAX_STEPS if grows else 1):
        left, right = (0, width) if grows else (boxes[:, 0].min(), boxes[:, 2].max())
        strip = field_strip(grey, boxes)
        lengths = []
        for each in strings_by_length(recognise_sequence(strip.planes)):
            x, y = strip.middles(each.frames).T
            if ((x > left) & (x < right) & (y > 0) & (y < height)).all():
                lengths.append(each)
        if not lengths:
            break
        frames = likeliest(lengths).frames
        x = strip.middles(frames)[:, 0]
        beside = strip.boxes(frames)[(x < boxes[:, 0].min()) | (x > boxes[:, 2].max())]
        if not len(beside):
            break
        boxes = np.concatenate([boxes, beside])
    return lengths, strip


def likeliest(lengths: Sequence[LengthReading]) -> LengthReading:
    """That of the most probable string."""
    return max(lengths, key=lambda each: each.probability * float(each.rows.max(1).prod()))
