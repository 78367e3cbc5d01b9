"""The glyph classifier: which digit each glyph on a page is, or none, from a square around it."""

# A small convolutional network, trained on what the detector finds on composed pages: benchmarks/tools/train_glyphs.py.
# It knows what a classifier of single digits does not: parts of digits, neighbours that touch, letters, rules, dirt.

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from imparfait.core.compute import onnx_session
from imparfait.data.images.foreground import MIN_CONTRAST
from imparfait.models.pretrained import WEIGHTS_FOLDER

MODEL = WEIGHTS_FOLDER / "glyphs.onnx"
SQUARES, PROBABILITIES = "squares", "probabilities"
"""The input and the output of its ONNX file."""
LABELS = 11  # ten digits, and none
BATCH = 256
SIDE_PIXELS = 28
VIEW = 1.5  # of the glyph's longer side: its neighbours' edges are seen
TAIL = 0.03  # share of a glyph's box that is ink at least, dark or light
SPREAD = 0.02  # quantiles of a square between which its contrast is measured

Grey = Float32[np.ndarray, "height width"]


@cache
def _session() -> Any:
    return onnx_session(MODEL.read_bytes(), threads=1)


def classify_glyphs(grey: Grey, boxes: Float[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n labels"]:
    """The probability of each digit, and of none, for each box on a page, given by its lightness (0..1)."""
    found = np.zeros((len(boxes), LABELS), np.float32)
    for start in range(0, len(boxes), BATCH):
        part = slice(start, start + BATCH)
        [found[part]] = _session().run([PROBABILITIES], {SQUARES: glyph_inputs(grey, boxes[part])})
    return found


def glyph_inputs(
    grey: Grey, boxes: Float[np.ndarray, "n 4"], side: int = SIDE_PIXELS, view: float = VIEW
) -> Float32[np.ndarray, "n 2 side side"]:
    """A square around each box, `view` times its longer side, and where in it the box is.

    Levels are differences from the square's median, -1..1, positive for ink, whatever the page's polarity. The second
    plane is 1 inside the box.
    """
    image = Image.fromarray(np.ascontiguousarray(grey))
    inputs = np.zeros((len(boxes), 2, side, side), np.float32)
    for (levels, inside), box in zip(inputs, boxes, strict=True):
        middle, reach = (box[:2] + box[2:]) / 2, view * max(box[2:] - box[:2]) / 2
        levels[:] = _square(image, middle, max(reach, 1.0), side)
        inside[:] = _mask(box[2:] - box[:2], reach, side)
        levels[:] = as_ink(levels, inside > 0)
    return inputs


def _square(image: Image.Image, middle: np.ndarray, reach: float, side: int) -> np.ndarray:
    """The square of the page at `side` pixels; beyond the page its border is repeated."""
    low, high = np.maximum(middle - reach, 0), np.minimum(middle + reach, image.size)
    low = np.minimum(low, np.array(image.size) - 1)
    high = np.maximum(high, low + 1)
    scale = side / (2 * reach)
    first = np.clip(np.round((low - middle + reach) * scale), 0, side - 1).astype(int)
    last = np.clip(np.round((high - middle + reach) * scale), first + 1, side).astype(int)
    part = image.resize((last - first).tolist(), Image.Resampling.BILINEAR, (*low.tolist(), *high.tolist()))
    margins = [(int(before), int(side - after)) for before, after in zip(first[::-1], last[::-1], strict=True)]
    return np.pad(np.asarray(part), margins, mode="edge")


def _mask(size: np.ndarray, reach: float, side: int) -> np.ndarray:
    """1 in the middle `size` of a square that reaches `reach` to each side."""
    places = np.abs(np.arange(side) + 0.5 - side / 2) * 2 * reach / side
    across, down = places <= size[0] / 2, places <= size[1] / 2
    return np.outer(down, across).astype(np.float32)


def as_ink(levels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Differences from the median, in units of the contrast, ink positive."""
    low, ground, high = rank_quantiles(levels, SPREAD, 0.5, 1 - SPREAD)
    ink = (levels - ground) / max(high - low, MIN_CONTRAST)
    darkest, lightest = rank_quantiles(ink[inside] if inside.any() else ink, TAIL, 1 - TAIL)
    return np.clip(-ink if -darkest > lightest else ink, -1, 1)


def rank_quantiles(levels: np.ndarray, *shares: float) -> list[float]:
    """Quantiles as the nearest ranks: np.quantile takes five times as long, and pages have thousands of glyphs."""
    ordered = np.sort(levels, axis=None)
    return [float(ordered[round(share * (len(ordered) - 1))]) for share in shares]
