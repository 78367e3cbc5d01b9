"""Letters in matplotlib's fonts, as large and as thick as handwritten digits."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from string import ascii_letters

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imparfait.core.rng import CounterRng
from imparfait.data.ood.base import Grey

LIKE_DIGITS = "BbDGgIilOoQqSsyZz"
"""Letters that look like 8, 6, 0, 6, 9, 1, 1, 1, 0, 0, 0, 9, 5, 5, 4, 2 and 2: no prediction is wrong."""
UNLIKE_DIGITS = "".join(letter for letter in ascii_letters if letter not in LIKE_DIGITS)

FINER = 4  # supersampling factor
FONT_SIZE_PX = 128  # a capital is as tall as a frame of four times MNIST's size
THICKER = (0, 1, 2, 3)  # pixels at that size added to each side of a stroke; 1 is 0.2 pixels of the image


def rendered(rng: CounterRng, height: int, width: int, alphabet: str, fonts: Sequence[str]) -> Grey:
    """One letter of `alphabet` per image, in one of `fonts` (files of matplotlib).

    The longer side takes 16/28 to 22/28 of the frame (20/28 in MNIST); rotated by up to 12 degrees, sheared by up to
    0.15, shifted by up to 2/28.
    """
    images = np.empty((len(rng.sources), height, width), np.uint8)
    for image, numbers in zip(images, rng.uniform("letter", 8).tolist(), strict=True):
        font, letter, thicker = (
            choices[int(len(choices) * number)]
            for choices, number in zip((fonts, alphabet, THICKER), numbers[:3], strict=True)
        )
        image[:] = _placed(_glyph(font, letter, thicker), height, width, *numbers[3:])
    return images


def _placed(
    glyph: Image.Image, height: int, width: int, size: float, turn: float, slant: float, down: float, right: float
) -> np.ndarray:
    """The glyph placed in its frame; the numbers are in 0..1."""
    side = FINER * min(height, width) / 28
    scale = side * (16 + 6 * size) / max(glyph.size)
    angle, lean = math.radians(12) * (2 * turn - 1), 0.15 * (2 * slant - 1)
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    across, along = cos + lean * sin, -sin + lean * cos  # a step right and a step down, in glyph coordinates
    x = FINER * width / 2 + side * 2 * (2 * right - 1)
    y = FINER * height / 2 + side * 2 * (2 * down - 1)
    to_glyph = (across, along, glyph.width / 2 - across * x - along * y, sin, cos, glyph.height / 2 - sin * x - cos * y)
    large = glyph.transform(
        (FINER * width, FINER * height), Image.Transform.AFFINE, to_glyph, Image.Resampling.BILINEAR
    )
    return np.asarray(large.reduce(FINER))


@lru_cache(maxsize=4096)
def _glyph(font: str, letter: str, thicker: int) -> Image.Image:
    """The letter, light on dark, with a margin of one pixel."""
    face = _face(font)
    left, top, right, bottom = (round(end) for end in face.getbbox(letter, stroke_width=thicker))
    image = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), letter, 255, font=face, stroke_width=thicker)
    return image


@lru_cache
def _face(font: str) -> ImageFont.FreeTypeFont:
    import matplotlib  # late: only its fonts are needed

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / font
    return ImageFont.truetype(str(path), FONT_SIZE_PX, layout_engine=ImageFont.Layout.BASIC)
