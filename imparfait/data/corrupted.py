"""Images corrupted once and for all, to be scored on: the same pixels for everybody."""

from dataclasses import replace

import numpy as np
import torch

from imparfait.core.errors import lookup
from imparfait.core.rng import CounterRng
from imparfait.corruptions import CORRUPTIONS, CorruptionFunction, Severity
from imparfait.data.dataset import ConditionImages, LabelledImages

CORE_SUITE = (("clean", 0.0), ("geometric", 0.5), ("shrunk", 1.0))
"""The protocol's parts, with their severities."""

CHUNK = 500  # images corrupted at once: 3 MB of MNIST in float64; the pixels do not depend on it


def core_suite(data: LabelledImages) -> list[ConditionImages]:
    """`data` as the protocol scores it: clean, geometric and shrunk."""
    return [ConditionImages(name, severity, corrupt(data, name, severity)) for name, severity in CORE_SUITE]


def corrupt(data: LabelledImages, corruption: str, severity: float, seed: int = 0) -> LabelledImages:
    """`data` corrupted once and for all: drawn in float64, rounded to uint8; "clean" is as it is.

    With seed 0 these are the published pixels that everything is scored on.
    """
    if corruption == "clean":
        return data
    return corrupt_with(data, corruption, lookup("corruption", corruption, CORRUPTIONS), severity, seed)


def corrupt_with(
    data: LabelledImages, name: str, alter: CorruptionFunction, severity: Severity, seed: int = 0
) -> LabelledImages:
    """`data` corrupted by any function, as `corrupted` does; its numbers are drawn by its `name`."""
    chunks = []
    for start in range(0, len(data), CHUNK):
        images = torch.from_numpy(data.pixels[start : start + CHUNK]).double() / 255
        sources = torch.from_numpy(data.sources[start : start + CHUNK])
        level = severity if isinstance(severity, float) else severity[start : start + CHUNK]
        changed = alter(images, level, CounterRng(seed, f"score {name}", 0, sources))
        # Snapped to a grid finer than any noise first: a tie, which averaging four pixels often gives, then rounds
        # the same way on every processor.
        snapped = (changed * (255 * 2**20)).round() / 2**20
        chunks.append(snapped.round().clamp(0, 255).to(torch.uint8).numpy())
    return replace(data, pixels=np.concatenate(chunks))
