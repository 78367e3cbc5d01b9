"""Corrupted images for evaluation: the same pixels for everyone, so computed on the CPU on every computer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from imparfait.core.compute import images_at_once
from imparfait.core.rng import CounterRng
from imparfait.core.types import Pixels, Sources
from imparfait.corruptions import PHOTO, CorruptionFunction, Severity, corruption_named
from imparfait.data.dataset import ConditionImages, LabelledImages

CORE_SUITE = (("clean", 0.0), ("geometric", 0.5), ("shrunk", 1.0))
"""The conditions of the core suite: corruption and severity."""

CLEAN_SUITE = (("clean", 0.0),)
"""For images that fill their frame, of which the core suite's corruptions would show little."""

CHUNK_IMAGES = 500  # corrupted at once, at most: 3 MB of MNIST in float64; the pixels do not depend on it
CHUNK_VALUES = 1 << 22  # and values in them: 32 MB, 27 colour images of 224 pixels a side
PHOTO_CHUNK_VALUES = 1 << 20  # of photographs, in float32: 8 of 224 pixels a side, the fastest of 1 to 27


HALF = torch.tensor(0.5)


def core_suite(data: LabelledImages) -> list[ConditionImages]:
    """`data` under the conditions of the core suite: clean, geometric and shrunk.

    >>> few = imparfait.load_data("mnist").train.select(range(60))
    >>> [(each.corruption, each.severity) for each in imparfait.core_suite(few)]
    [('clean', 0.0), ('geometric', 0.5), ('shrunk', 1.0)]
    """
    return conditions_of(data, CORE_SUITE)


def conditions_of(data: LabelledImages, suite: Iterable[tuple[str, float]]) -> list[ConditionImages]:
    """`data` under each condition, a corruption at a severity."""
    return [ConditionImages(name, severity, corrupt(data, name, severity)) for name, severity in suite]


def corrupt(data: LabelledImages, corruption: str, severity: float, seed: int = 0) -> LabelledImages:
    """`data` corrupted at `severity`, rounded to uint8; "clean" is unchanged.

    Corruptions of digits are computed in float64, those of photographs (photo.NAME) in float32.
    Seed 0 gives the published pixels of the evaluation suites. Raises UserError for an unknown corruption.

    >>> few = imparfait.load_data("mnist").train.select(range(60))
    >>> imparfait.corrupt(few, "rotate", 0.4).pixels.shape
    (60, 1, 28, 28)
    """
    if corruption == "clean":
        return data
    return corrupt_with(data, corruption, corruption_named(corruption), severity, seed)


def corrupt_with(
    data: LabelledImages, name: str, function: CorruptionFunction, severity: Severity, seed: int = 0
) -> LabelledImages:
    """`data` corrupted by any function, as `corrupt` does; its random numbers depend on `name`."""
    return replace(data, pixels=corrupt_pixels(data.pixels, data.sources, name, function, severity, seed))


def corrupt_pixels(
    pixels: Pixels, source_ids: Sources, name: str, function: CorruptionFunction, severity: Severity, seed: int = 0
) -> Pixels:
    """Pixels corrupted as `corrupt_with` does, with random numbers from their source ids."""
    chunks = []
    is_photo = name.startswith(PHOTO)
    size = images_at_once(pixels.shape[1:], CHUNK_IMAGES, PHOTO_CHUNK_VALUES if is_photo else CHUNK_VALUES)
    for start in range(0, len(pixels), size):
        images = (
            torch.from_numpy(pixels[start : start + size]).to(torch.float32 if is_photo else torch.float64).div_(255)
        )
        sources = torch.from_numpy(source_ids[start : start + size])
        level = severity if isinstance(severity, float) else severity[start : start + size]
        changed = function(images, level, CounterRng(seed, f"score {name}", 0, sources))
        if is_photo:  # speed counts; a value in 100,000 may be rounded the other way on another processor
            chunks.append(torch.add(HALF, changed, alpha=255, out=changed).to(torch.uint8).numpy())
            continue
        # First snapped to a grid finer than any rounding error: a tie, as averages of four pixels often give, then
        # rounds the same way on every processor.
        snapped = (changed * (255 * 2**20)).round() / 2**20
        chunks.append(snapped.round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(chunks)
