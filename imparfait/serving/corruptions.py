"""Corruptions of single images for the API; importing it imports PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.types import Pixels
from imparfait.corruptions import ALL_CORRUPTIONS, CORRUPTIONS, PHOTO_CORRUPTIONS, corruption_named
from imparfait.corruptions.base import SINGLE_LEVEL, Corruption
from imparfait.corruptions.photo.levels import LEVELS
from imparfait.data.corrupted import corrupt_pixels
from imparfait.data.images.input_format import InputFormat
from imparfait.serving.schemas import CorruptionInfo

SEVERITIES = tuple(round(0.1 * step, 1) for step in range(11))
PHOTO_SEVERITIES = tuple(step / LEVELS for step in range(LEVELS + 1))  # the published levels, and none
ImagePixels = UInt8[np.ndarray, "channels height width"]


@dataclass(frozen=True, eq=False)
class SeveritySweep:
    """An image under one corruption, at each severity."""

    corruption: CorruptionInfo
    severities: tuple[float, ...]
    pixels: Pixels


def suite_of(form: InputFormat) -> dict[str, Corruption]:
    """The corruptions that a model's input can have: those of digits, or of photographs without idle ones."""
    if form.normalization == "digit":
        return CORRUPTIONS
    return {name: known for name, known in PHOTO_CORRUPTIONS.items() if form.channels == 3 or not known.only_colour}


def severities_of(form: InputFormat) -> tuple[float, ...]:
    """The severities of a sweep: 0, 0.1, … 1, or for photographs 0, 0.2, … 1, the published levels."""
    return SEVERITIES if form.normalization == "digit" else PHOTO_SEVERITIES


def corruptions(form: InputFormat) -> list[CorruptionInfo]:
    """The corruptions of `suite_of`."""
    return [
        CorruptionInfo(
            name=name,
            family=corruption.family or "",
            summary=(corruption.function.__doc__ or "").strip().splitlines()[0].rstrip(".:"),
            graded=corruption.levels != SINGLE_LEVEL,
        )
        for name, corruption in suite_of(form).items()
    ]


def corrupt_image(image: ImagePixels, name: str, severity: float, seed: int = 0) -> ImagePixels:
    """The corrupted image, as `imparfait corrupt` makes it; raises UserError for an unknown corruption."""
    corruption_named(name)
    corrupted: ImagePixels = _at_severities(image, name, (severity,), seed)[0]
    return corrupted


def sweep(image: ImagePixels, form: InputFormat, corruption: CorruptionInfo) -> SeveritySweep:
    """The image under one corruption at `severities_of`, or only at 1 if the corruption is not graded."""
    severities = severities_of(form) if corruption.graded else SINGLE_LEVEL
    return SeveritySweep(corruption, severities, _at_severities(image, corruption.name, severities, 0))


def _at_severities(image: ImagePixels, name: str, severities: Sequence[float], seed: int) -> Pixels:
    """Copies of an image, corrupted with the same random numbers at different severities."""
    copies = np.repeat(image[None], len(severities), 0)
    source_ids = np.zeros(len(copies), np.int64)
    levels = torch.tensor(severities, dtype=torch.float64)
    return corrupt_pixels(copies, source_ids, name, ALL_CORRUPTIONS[name], levels, seed)
