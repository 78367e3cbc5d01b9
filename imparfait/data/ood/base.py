"""What a set of images that show no digit is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.rng import CounterRng
from imparfait.core.types import Pixels

Grey = UInt8[np.ndarray, "n height width"]
CHUNK = 2000  # images drawn at once, for flat memory; the pixels do not depend on it


@dataclass(frozen=True)
class OodSet:
    """Images of no digit, to fit on or to test on: never one set for both.

    `made_from` are the files (fonts, photographs) the images are made from.
    """

    make: Callable[[CounterRng, int, int], Grey | None]
    purpose: Literal["fitting", "testing"]
    description: str
    made_from: tuple[str, ...] = ()

    def draw(self, n: int, height: int, width: int, channels: int, seed: int) -> Pixels | None:
        """`n` ≥ 1 images, light ink on dark ground, the same in all channels; None where their source is not here.

        Image i depends on the seed and on i, not on n. Letters may differ by a grey between versions of FreeType.
        """
        chunks = []
        for start in range(0, n, CHUNK):
            sources = torch.arange(start, min(start + CHUNK, n))
            grey = self.make(CounterRng(seed, f"nothing {self.make.__name__}", 0, sources), height, width)
            if grey is None:
                return None
            chunks.append(grey)
        return np.concatenate(chunks)[:, None].repeat(channels, 1)


def as_grey(ink: np.ndarray) -> Grey:
    """Ink of 0..1, cut to that, as pixels."""
    return (ink.clip(0, 1) * 255).round().astype(np.uint8)


def between(low: float, high: float, uniform: np.ndarray) -> np.ndarray:
    """Uniform numbers of shape [n] as numbers between `low` and `high`, of shape [n, 1, 1]."""
    return (low + (high - low) * uniform.astype(np.float64))[:, None, None]
