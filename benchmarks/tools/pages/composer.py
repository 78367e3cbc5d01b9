"""One training page of a digit detector: a scene, its boxes and its labels, as a function of a seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from build_digit_data import Split
from jaxtyping import Float, Int64, UInt8

from pages.camera import compressed, exposed, lit, photographed
from pages.canvas import OTHER, Canvas
from pages.clutter import ground, litter
from pages.displays import display
from pages.grids import grid
from pages.handwriting import handwritten, scattered
from pages.paper import covered, draw_rules, on_a_desk, random_look, texture
from pages.printed import printed
from pages.scene import Scene
from pages.sources import Sources
from pages.warp import random_warp

DESK_SHARE = 0.15  # of the pages: the edge of the paper is seen, where there is room
LITTER_SHARE = 0.25  # of the pages: dirt, stains and lines beside the text


class Kind(NamedTuple):
    """How often a kind of scene is drawn, and how."""

    share: float
    warp: float
    """Strength of perspective and bends."""
    solid: bool = False
    """Not drawn with a pen on paper: opaque, without grain or rules."""


KINDS: dict[Callable[[Scene], None], Kind] = {
    handwritten: Kind(0.30, 1.0),
    scattered: Kind(0.11, 1.0),
    printed: Kind(0.21, 1.0),
    grid: Kind(0.18, 1.5),
    display: Kind(0.11, 1.0, solid=True),
    ground: Kind(0.09, 1.0),
}


@dataclass(frozen=True, eq=False)
class Page:
    """A page and the glyphs on it."""

    image: UInt8[np.ndarray, "height width 3"]
    boxes: Float[np.ndarray, "n 4"]
    """Left, top, width and height of the ink, in pixels."""
    labels: UInt8[np.ndarray, " n"]
    """0..9: a digit; 10: a glyph that is not a digit; 11: a digit that is cut off or too small, to be ignored."""
    line: Int64[np.ndarray, " n"]
    """The line of text of each glyph, in reading order."""


def compose(
    split: Split, seed: int, sources: Sources, size: int = 320, scene_kind: Callable[[Scene], None] | None = None
) -> Page:
    """The page of this seed in a split, `size` pixels a side; of one kind of scene, where it is given."""
    rng = np.random.default_rng([("fit", "choose", "test").index(split), seed, 9])
    shares = np.array([kind.share for kind in KINDS.values()])
    draw = list(KINDS)[int(rng.choice(len(KINDS), p=shares / shares.sum()))]
    draw = scene_kind or draw
    kind, look = KINDS[draw], random_look(rng)
    if kind.solid:
        look = replace(look, clean=False, opacity=1.0, grain=0.0)
    canvas = Canvas(random_warp(rng, size, kind.warp * (0.3 if look.clean else 1.0)))
    scene = Scene(canvas, look, sources, split, rng)
    if not look.clean and not kind.solid:
        draw_rules(canvas, look, rng)
        if rng.random() < LITTER_SHARE:
            litter(scene)
    draw(scene)
    boxes, labels, lines = canvas.glyphs()
    levels = covered(texture(look, rng, size), canvas.seen(), look, rng)
    if not look.clean and rng.random() < DESK_SHARE:
        levels = on_a_desk(levels, boxes, rng)
    if look.clean:
        pixels = (np.clip(levels, 0, 1) * 255).astype(np.uint8)
        image = compressed(pixels, rng) if rng.random() < 0.3 else pixels
    else:
        heights = boxes[labels <= OTHER, 3]
        detail = float(np.quantile(heights, 0.2)) if len(heights) else 40.0
        image = photographed(exposed(lit(levels, rng), rng), rng, detail)
    return Page(image, boxes, labels, lines)
