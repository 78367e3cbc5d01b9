"""OOD images for testing: nothing is fitted or chosen with them."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.data.idx import read_idx
from imparfait.data.ood.base import Grey, as_grey, between
from imparfait.data.ood.glyphs import LIKE_DIGITS, UNLIKE_DIGITS, rendered
from imparfait.data.ood.photos import pieces

FONTS = (
    "STIXGeneral.ttf",
    "STIXGeneralItalic.ttf",
    "STIXGeneralBol.ttf",
    "STIXGeneralBolIta.ttf",
    "cmr10.ttf",
    "cmb10.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
    "cmti10.ttf",
    "cmmi10.ttf",
)
PHOTOGRAPHS = ("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg")
FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
"""Where Debian's package dataset-fashion-mnist installs it."""


def blank(rng: CounterRng, height: int, width: int) -> Grey:
    """Black (1 in 8), black with sensor noise (3 in 8), or any grey level with it (4 in 8).

    The noise has a standard deviation of up to 6 of 255.
    """
    kind, level, spread = rng.uniform("kind, level, spread", 3).numpy().T
    level = between(0, 1, np.where(kind < 0.5, 0, level))
    spread = between(0, 6 / 255, spread) * between(0, 1, kind >= 0.125)
    return as_grey(level + spread * _normal(rng, height, width))


def noise(rng: CounterRng, height: int, width: int) -> Grey:
    """A third each of uniform noise, Gaussian noise and a smooth random field, at several contrasts."""
    kind, level, spread, scale = rng.uniform("kind, level, spread, scale", 4).numpy().T
    uniform = rng.uniform("uniform", height, width).numpy() * between(0.3, 1, level)
    normal = _normal(rng, height, width)
    gaussian = between(0, 0.6, level) + between(0.1, 0.4, spread) * normal
    # Smoothed in the frequency domain, by a Gaussian of 0.7 to 4 pixels; the field is periodic.
    sigma = between(0.7, 4, scale)
    squares = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2
    field = np.fft.irfft2(np.fft.rfft2(normal) * np.exp(-2 * (np.pi * sigma) ** 2 * squares), (height, width))
    field /= field.std((1, 2), keepdims=True)
    smooth = between(0.2, 0.6, level) + between(0.2, 0.4, spread) * field
    which = np.floor(3 * kind)[:, None, None]
    return as_grey(np.select([which == 0, which == 1], [uniform, gaussian], smooth))


def letters(rng: CounterRng, height: int, width: int) -> Grey:
    """Capital and small letters that cannot be read as a digit."""
    return rendered(rng, height, width, UNLIKE_DIGITS, FONTS)


def letters_like_digits(rng: CounterRng, height: int, width: int) -> Grey:
    """Letters with a digit's shape: a digit is no wrong answer to them, nor is "no digit"."""
    return rendered(rng, height, width, LIKE_DIGITS, FONTS)


def fashion(rng: CounterRng, height: int, width: int) -> Grey | None:
    """Clothes: test images of Fashion-MNIST, each once, in an order of the seed; None where it is not installed.

    Source: Xiao, Rasul & Vollgraf, "Fashion-MNIST" (2017).
    """
    if not FASHION.exists():
        return None
    clothes = _clothes()
    if len(rng.sources) and int(rng.sources.max()) >= len(clothes):
        raise UserError(f"Fashion-MNIST has {len(clothes)} test images, expected {int(rng.sources.max()) + 1}")
    order = CounterRng(rng.seed, rng.purpose, 0, torch.arange(len(clothes))).bits("order").argsort()
    chosen: Grey = clothes[order[rng.sources].numpy()]
    if chosen.shape[1:] == (height, width):
        return chosen
    method = Image.Resampling.BOX if height < chosen.shape[1] else Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(each).resize((width, height), method)) for each in chosen])


def photographs(rng: CounterRng, height: int, width: int) -> Grey:
    """Pieces of photographs of a Chinese temple and of a flower."""
    return pieces(rng, height, width, PHOTOGRAPHS)


@lru_cache
def _clothes() -> Grey:
    return read_idx(FASHION)


def _normal(rng: CounterRng, height: int, width: int) -> np.ndarray:
    """Gaussian numbers [n, height, width] of mean 0 and standard deviation 1."""
    return np.asarray(rng.normal("normal", height, width).numpy())
