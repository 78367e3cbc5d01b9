"""Pages that were photographed turned: the turn in which their glyphs are clearest."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from imparfait.inference.ocr.detector import DIGITS, Glyphs, detect
from imparfait.inference.ocr.layout import slope_of

Grey = Float32[np.ndarray, "height width"]

UNCLEAR = 0.45  # mean of the glyphs' squared digit scores, below which quarter turns are tried
MIN_GLYPHS = 3  # of a page that may be turned
CLEARER = 1.8  # sum of the digits' scores that a turned page needs, compared with the page as it is
MAX_SLOPE = 0.2  # 11 degrees: of lines that are read as they are; steeper ones are turned
TRIED_PIXELS = 300_000  # of the copy on which turns are compared: enough to tell, in a quarter of the time


@dataclass(frozen=True, eq=False)
class Upright:
    """A page as it is read, its glyphs, and where they are on the page."""

    grey: Grey
    glyphs: Glyphs
    to_page: Float[np.ndarray, "2 3"]
    """Affine map from (column, row) of `grey` to those of the page."""


def upright(grey: Grey) -> Upright:
    """The glyphs of a page, turned by quarters or along its lines if they are clearer so."""
    found = Upright(grey, detect(grey), np.eye(2, 3))
    if len(found.glyphs) < MIN_GLYPHS:
        return found
    if _digits(found.glyphs) < UNCLEAR * len(found.glyphs):
        found = _quarter_turned(found)
    slope = slope_of(found.glyphs.boxes[found.glyphs.scores.argmax(1) < DIGITS])
    if abs(slope) > MAX_SLOPE:
        turned = _turned(found, float(np.arctan(slope)))
        return turned if _digits(turned.glyphs) > _digits(found.glyphs) else found
    return found


def _digits(glyphs: Glyphs) -> float:
    return float(np.square(glyphs.scores[:, :DIGITS].max(1, initial=0)).sum())


def _reduced(grey: Grey) -> Float32[np.ndarray, "rows columns"]:
    """The page, or a copy of it with TRIED_PIXELS."""
    share = (TRIED_PIXELS / grey.size) ** 0.5
    if share >= 1:
        return grey
    size = round(grey.shape[1] * share), round(grey.shape[0] * share)
    return np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BILINEAR))


def _quarter_turned(found: Upright) -> Upright:
    grey, small = found.grey, _reduced(found.grey)
    clear = [_digits(detect(np.ascontiguousarray(np.rot90(small, quarters)))) for quarters in range(4)]
    best = int(np.argmax(clear))
    if clear[best] <= CLEARER * clear[0]:
        return found
    turned = np.ascontiguousarray(np.rot90(grey, best))
    to_page = np.eye(3)
    height, width = turned.shape
    for _ in range(best):
        to_page = np.array([[0, -1, height], [1, 0, 0], [0, 0, 1]], float) @ to_page
        height, width = width, height
    return Upright(turned, detect(turned), to_page[:2])


def _turned(found: Upright, angle: float) -> Upright:
    """The page turned so that lines that fall by `angle` are level; its corners stay on it."""
    height, width = found.grey.shape
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    wide, tall = np.ceil(np.abs(turn) @ [width, height])
    shift = np.array([width, height]) / 2 - turn @ [wide / 2, tall / 2]
    to_found = np.column_stack([turn, shift])
    ground = float(np.median(found.grey))
    image = Image.fromarray(found.grey)
    size, coefficients = (int(wide), int(tall)), tuple(to_found.ravel())
    level = image.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC, fillcolor=ground)
    pixels = np.clip(np.asarray(level), 0, 1)
    to_page = found.to_page @ np.vstack([to_found, [0, 0, 1]])
    return Upright(pixels, detect(pixels), to_page)


def boxes_on_page(boxes: Float[np.ndarray, "n 4"], to_page: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "n 4"]:
    """Boxes around the boxes' corners on the page."""
    left, top, right, bottom = boxes.T
    corners = np.stack([[left, top], [right, top], [right, bottom], [left, bottom]])  # [4, 2, n]
    mapped = np.einsum("ij,kjn->kin", to_page[:, :2], corners) + to_page[None, :, 2:]
    return np.concatenate([mapped.min(0), mapped.max(0)]).T
