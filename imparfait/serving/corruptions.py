"""Corruptions of single images for the API; importing it imports PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.errors import lookup
from imparfait.core.types import Pixels
from imparfait.corruptions import CORRUPTIONS
from imparfait.corruptions.base import SINGLE_LEVEL
from imparfait.data.corrupted import corrupt_pixels
from imparfait.serving.schemas import CorruptionInfo

SEVERITIES = tuple(round(0.1 * step, 1) for step in range(11))
ImagePixels = UInt8[np.ndarray, "channels height width"]


@dataclass(frozen=True, eq=False)
class SeveritySweep:
    """An image under one corruption, at each severity."""

    corruption: CorruptionInfo
    severities: tuple[float, ...]
    pixels: Pixels


def corruptions() -> list[CorruptionInfo]:
    """All corruptions of the registry."""
    return [
        CorruptionInfo(
            name=name,
            family=corruption.family or "",
            summary=(corruption.function.__doc__ or "").strip().splitlines()[0].rstrip(".:"),
            graded=corruption.levels != SINGLE_LEVEL,
        )
        for name, corruption in CORRUPTIONS.items()
    ]


def corrupt_image(image: ImagePixels, name: str, severity: float, seed: int = 0) -> ImagePixels:
    """The corrupted image, as `imparfait corrupt` makes it; raises UserError for an unknown corruption."""
    lookup("corruption", name, CORRUPTIONS)
    corrupted: ImagePixels = _at_severities(image, name, (severity,), seed)[0]
    return corrupted


def sweep(image: ImagePixels) -> list[SeveritySweep]:
    """The image under every corruption, at severities 0, 0.1, … 1, or only at 1 if the corruption is not graded."""
    sweeps = []
    for corruption in corruptions():
        severities = SEVERITIES if corruption.graded else SINGLE_LEVEL
        sweeps.append(SeveritySweep(corruption, severities, _at_severities(image, corruption.name, severities, 0)))
    return sweeps


def _at_severities(image: ImagePixels, name: str, severities: Sequence[float], seed: int) -> Pixels:
    """Copies of an image, corrupted with the same random numbers at different severities."""
    copies = np.repeat(image[None], len(severities), 0)
    source_ids = np.zeros(len(copies), np.int64)
    levels = torch.tensor(severities, dtype=torch.float64)
    return corrupt_pixels(copies, source_ids, name, CORRUPTIONS[name], levels, seed)
