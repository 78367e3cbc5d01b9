"""What a scene is drawn with and on."""

from dataclasses import dataclass

import numpy as np
from build_digit_data import Split

from pages.canvas import Canvas
from pages.paper import Look
from pages.sources import Sources


@dataclass(frozen=True, eq=False)
class Scene:
    """What a scene is drawn with."""

    canvas: Canvas
    look: Look
    sources: Sources
    split: Split
    rng: np.random.Generator
