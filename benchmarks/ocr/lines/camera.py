"""What light, lens, sensor and file do to a page."""

import io

import numpy as np
from ocr.lines.paper import Colours
from PIL import Image
from scipy import ndimage

SMALL_PX = 24  # digits lower than this are spared strong damage: a person could not read them either


def lit(page: Colours, rng: np.random.Generator) -> Colours:
    """The page under uneven light, sometimes with the edge of a shadow across it."""
    height, width = page.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    turn = rng.uniform(0, 2 * np.pi)
    across = (columns / width - 0.5) * np.cos(turn) + (rows / height - 0.5) * np.sin(turn)
    light = 1 + rng.uniform(0, 0.35) * across
    if rng.random() < 0.4:  # of a hand or a phone
        edge = across - rng.uniform(-0.3, 0.3) + 0.05 * np.sin(rng.uniform(3, 9) * (rows / height) + turn)
        light *= 1 - rng.uniform(0.15, 0.45) / (1 + np.exp(-edge / rng.uniform(0.01, 0.1)))
    colour = 1 + rng.normal(0, 0.04, 3)
    return np.clip(page * light[..., None] * colour, 0, 1)


def blurred(page: Colours, height_px: float, rng: np.random.Generator) -> Colours:
    """Out of focus, or moved while exposed."""
    strength = 0.25 + rng.uniform(0, 0.03) * height_px
    if height_px > SMALL_PX and rng.random() < 0.3:
        reach = round(rng.uniform(0.03, 0.09) * height_px)
        axis = int(rng.integers(2))
        page = ndimage.uniform_filter1d(page, max(1, reach), axis=axis, mode="nearest")
    return ndimage.gaussian_filter(page, (min(strength, 3.5), min(strength, 3.5), 0), mode="nearest")


def noisy(page: Colours, height_px: float, rng: np.random.Generator) -> Colours:
    """With the noise of a sensor: partly grey, partly coloured."""
    strength = rng.uniform(0, 0.03 if height_px < SMALL_PX else 0.07)
    grey = rng.normal(0, strength, page.shape[:2])[..., None]
    return np.clip(page + grey + rng.normal(0, strength / 2, page.shape), 0, 1)


def file_of(page: Colours, height_px: float, rng: np.random.Generator) -> bytes:
    """A PNG file, or a JPEG file of any quality."""
    image = Image.fromarray(np.rint(np.clip(page, 0, 1) * 255).astype(np.uint8))
    buffer = io.BytesIO()
    if rng.random() < 0.3:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=int(rng.integers(70 if height_px < SMALL_PX else 35, 96)))
    return buffer.getvalue()
