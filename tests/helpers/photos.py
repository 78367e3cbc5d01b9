"""Synthetic photos and scans of glyphs: on paper, on a desk, on a board."""

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy import ndimage

Random = np.random.Generator
Scene = Callable[[np.ndarray, Random], np.ndarray]
"""From a sign (0 on the ground, 255 in ink) to an RGB image of it."""
BLACK, WHITE = (20, 20, 25), (250, 250, 245)


def a_seven(side: int = 28, width: float = 2.4) -> np.ndarray:
    """A 7 in a square as MNIST's lie, 255 in ink: 20 of 28 tall, its centre of mass in the middle."""
    y, x = np.mgrid[:side, :side] + 0.5
    unit = side / 28
    points = [(8.2, 8.8), (18.2, 8.8), (12.2, 26.4)]
    ink = np.zeros((side, side))
    for (x0, y0), (x1, y1) in pairwise(points):
        along = np.clip(
            ((x / unit - x0) * (x1 - x0) + (y / unit - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1
        )
        away = np.hypot(x / unit - x0 - along * (x1 - x0), y / unit - y0 - along * (y1 - y0))
        ink = np.maximum(ink, np.clip((width / 2 - away) * unit + 0.5, 0, 1))
    return np.rint(255 * ink).astype(np.uint8)


def page(
    sign: np.ndarray,
    height: int,
    width: int,
    ink: tuple[int, ...],
    ground: tuple[int, ...],
    *,
    at: tuple[int, int],
    side: int,
    thinner: float = 1,
) -> np.ndarray:
    """An RGB image with a sign in a square of `side` pixels, whose upper left corner is `at` (row, column).

    With `thinner` above 1 its strokes are that many times thinner.
    """
    cover = np.asarray(Image.fromarray(sign).resize((side, side), Image.Resampling.BICUBIC), float) / 255
    if thinner > 1:
        deep = ndimage.distance_transform_edt(cover > 0.5)
        ridge = deep >= ndimage.maximum_filter(deep, 5) * 0.9
        away = ndimage.distance_transform_edt(~(ridge & (deep > deep.max() / 3)))
        cover = np.clip(deep.max() / thinner - away + 0.5, 0, 1)
    whole = np.zeros((height, width, 1))
    whole[at[0] : at[0] + side, at[1] : at[1] + side, 0] = cover
    return whole * np.array(ink, float) + (1 - whole) * np.array(ground, float)


def lit(image: np.ndarray, less: float, random: Random, noise: float = 3.0) -> np.ndarray:
    """In light that falls off to the right and to the corners by `less`, with a sensor's noise."""
    y, x = (np.linspace(-1, 1, side) for side in image.shape[:2])
    light = 1 - less * ((1 + x) / 4 + (x**2 + y[:, None] ** 2) / 4)
    return np.clip(image * light[..., None] + random.normal(0, noise, image.shape), 0, 255)


def on_desk(
    sheet: np.ndarray, height: int, width: int, at: tuple[int, int], angle: float, random: Random
) -> np.ndarray:
    """A sheet, turned by `angle` degrees, on a desk of wood."""
    y, x = np.mgrid[:height, :width]
    grain = np.sin(y / 7 + 2 * np.sin(x / 90)) * 0.12 + ndimage.uniform_filter(
        random.normal(0, 0.2, (height, width)), 5
    )
    wood = np.array([150, 100, 60]) * (1 + grain)[..., None]
    image = Image.fromarray(np.clip(wood, 0, 255).astype(np.uint8)).convert("RGBA")
    turned = (
        Image.fromarray(sheet.astype(np.uint8)).convert("RGBA").rotate(angle, Image.Resampling.BICUBIC, expand=True)
    )
    image.paste(turned, (at[1], at[0]), turned)
    return np.asarray(image.convert("RGB"), float)


def in_shadow(image: np.ndarray, column: int, less: float = 0.4) -> np.ndarray:
    """With a hard shadow on all that lies right of a column."""
    dark = ndimage.gaussian_filter((np.arange(image.shape[1]) > column).astype(float), 6)
    return image * (1 - less * dark)[None, :, None]


def ruled(image: np.ndarray, apart: int) -> np.ndarray:
    """With pale blue lines."""
    image = image.copy()
    image[::apart] = image[::apart] * np.array([0.8, 0.85, 0.95])
    return image


def file(image: np.ndarray, kind: str = "JPEG") -> bytes:
    """An image's file."""
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def specks(image: np.ndarray, random: Random) -> np.ndarray:
    """With specks of dirt in two corners."""
    for row, column in random.integers(0, 60, (12, 2)):
        image[row : row + 3, column : column + 3] = 0
        image[-row - 3 :, -column - 3 :][:2, :2] = 0
    return image


SCENES: dict[str, Scene] = {
    "a canvas": lambda sign, random: page(sign, 300, 400, (0, 0, 0), (255, 255, 255), at=(20, 170), side=200),
    "a dark canvas": lambda sign, random: page(sign, 300, 400, (255, 255, 255), (0, 0, 0), at=(90, 10), side=200),
    "pencil in uneven light": lambda sign, random: lit(
        page(sign, 400, 500, (150, 150, 150), WHITE, at=(100, 50), side=220), 0.5, random
    ),
    "blue on yellow": lambda sign, random: lit(
        page(sign, 400, 500, (30, 50, 150), (245, 225, 110), at=(100, 50), side=220), 0.4, random
    ),
    "yellow on white": lambda sign, random: page(
        sign, 300, 300, (250, 230, 60), (255, 255, 255), at=(50, 50), side=200
    ),
    "red on a green as light": lambda sign, random: page(
        sign, 300, 300, (200, 60, 60), (60, 131, 60), at=(50, 50), side=200
    ),
    "chalk": lambda sign, random: lit(
        page(sign, 400, 500, (190, 190, 180), (40, 70, 55), at=(100, 50), side=260), 0.9, random, noise=6
    ),
    "a thin pen": lambda sign, random: page(sign, 900, 900, BLACK, WHITE, at=(100, 100), side=700, thinner=4),
    "ruled paper": lambda sign, random: lit(
        ruled(page(sign, 500, 600, BLACK, WHITE, at=(90, 200), side=240), 24), 0.4, random
    ),
    "a hard shadow": lambda sign, random: in_shadow(
        lit(page(sign, 500, 600, BLACK, WHITE, at=(90, 300), side=240), 0.3, random), column=200
    ),
    "specks": lambda sign, random: specks(page(sign, 400, 400, BLACK, WHITE, at=(60, 60), side=220), random),
    "a sheet on a desk": lambda sign, random: lit(
        on_desk(page(sign, 300, 400, BLACK, WHITE, at=(30, 90), side=220), 600, 700, (90, 120), 0, random), 0.4, random
    ),
    "a turned sheet that reaches out": lambda sign, random: lit(
        on_desk(page(sign, 400, 500, BLACK, WHITE, at=(90, 60), side=220), 500, 600, (160, 250), 4, random), 0.3, random
    ),
    "a red pen in a corner": lambda sign, random: lit(
        page(sign, 400, 500, (200, 30, 40), WHITE, at=(10, 10), side=150), 0.4, random
    ),
    "faint pencil": lambda sign, random: lit(
        page(sign, 600, 800, (190, 190, 190), (235, 235, 230), at=(100, 300), side=300), 0.4, random
    ),
    "squared paper": lambda sign, random: lit(
        ruled(ruled(page(sign, 500, 600, BLACK, WHITE, at=(90, 200), side=240), 24).swapaxes(0, 1), 24).swapaxes(0, 1),
        0.4,
        random,
    ),
    "a board in bad light": lambda sign, random: lit(
        page(sign, 900, 1200, (200, 200, 190), (40, 70, 55), at=(300, 100), side=500), 1.1, random, noise=8
    ),
    "a dark desk": lambda sign, random: np.pad(
        page(sign, 400, 500, BLACK, WHITE, at=(100, 120), side=200), ((60, 90), (150, 40), (0, 0)), constant_values=35
    ),
    "tiny": lambda sign, random: page(sign, 14, 12, (0, 0, 0), (255, 255, 255), at=(1, 0), side=12),
}
"""What a sign can be written on and with."""
