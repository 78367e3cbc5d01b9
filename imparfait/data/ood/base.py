"""The definition of an out-of-distribution (OOD) set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.rng import CounterRng
from imparfait.core.types import Pixels

Grey = UInt8[np.ndarray, "n height width"]
CHUNK = 2000  # images generated at once, to bound memory; the pixels do not depend on it


@dataclass(frozen=True)
class OodSet:
    """A generator of images of none of the classes, for fitting or for testing, never for both.

    `made_from` lists the files (fonts, photographs) the images are made from.
    """

    make: Callable[[CounterRng, int, int], Grey | None]
    purpose: Literal["fitting", "testing"]
    description: str
    made_from: tuple[str, ...] = ()
    data: str = ""
    """The name of the data set whose images these are: for a model of that data they are not OOD."""

    def draw(self, n: int, height: int, width: int, channels: int, seed: int) -> Pixels | None:
        """`n` ≥ 1 images, light on dark, equal in all channels; None if their source files are not installed.

        Image i depends on the seed and on i, not on n. Letters may differ by a grey level between FreeType versions.
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
    """Values clipped to 0..1, as pixels."""
    return (ink.clip(0, 1) * 255).round().astype(np.uint8)


def between(low: float, high: float, uniform: np.ndarray) -> np.ndarray:
    """Uniform numbers of shape [n], scaled to `low`..`high`, of shape [n, 1, 1]."""
    return (low + (high - low) * uniform.astype(np.float64))[:, None, None]
