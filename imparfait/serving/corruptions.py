"""An image corrupted by imparfait's own corruptions; importing this imports torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.errors import lookup
from imparfait.core.types import Pixels
from imparfait.corruptions import CORRUPTIONS
from imparfait.corruptions.base import ONCE
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import LabelledImages
from imparfait.serving.schemas import CorruptionInfo

LEVELS = tuple(round(0.1 * step, 1) for step in range(11))
ImagePixels = UInt8[np.ndarray, "channels height width"]


torch.set_num_threads(1)  # the other cores are for predictions, and small images gain nothing by more


@dataclass(frozen=True, eq=False)
class CorruptedLevels:
    """An image under one corruption, at each of its levels."""

    corruption: CorruptionInfo
    levels: tuple[float, ...]
    pixels: Pixels

    @property
    def told(self) -> dict[str, Any]:
        """What the API says of it, beside the models' answers."""
        return {**self.corruption.model_dump(), "levels": self.levels}


def corruptions() -> list[CorruptionInfo]:
    """The corruptions there are."""
    return [
        CorruptionInfo(
            name=name,
            family=each.family or "",
            summary=(each.alter.__doc__ or "").strip().splitlines()[0].rstrip(".:"),
            degrees=each.levels != ONCE,
        )
        for name, each in CORRUPTIONS.items()
    ]


def corrupt(image: ImagePixels, name: str, severity: float, seed: int = 0) -> ImagePixels:
    """The image corrupted once, as `imparfait alter` would; raises UserError for a name that is not in the table."""
    lookup("corruption", name, CORRUPTIONS)
    once: ImagePixels = _at(image, name, (severity,), seed)[0]
    return once


def corrupt_all(image: ImagePixels) -> list[CorruptedLevels]:
    """The image under every corruption: at severities 0 to 1 in steps of 0.1, or at 1 where it has no degrees."""
    rows = []
    for each in corruptions():
        levels = LEVELS if each.degrees else ONCE
        rows.append(CorruptedLevels(each, levels, _at(image, each.name, levels, 0)))
    return rows


def _at(image: ImagePixels, name: str, severities: tuple[float, ...], seed: int) -> Pixels:
    """The same numbers are drawn for each severity, so that only the severity differs."""
    n = len(severities)
    nothing = np.zeros(n, np.int64)
    copies = LabelledImages(np.repeat(image[None], n, 0), nothing, nothing, ("",), "asked", "test")
    return corrupt_with(copies, name, CORRUPTIONS[name], torch.tensor(severities, dtype=torch.float64), seed).pixels
