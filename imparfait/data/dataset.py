"""Images with their labels, and where each comes from."""

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from imparfait.core.types import Labels, Pixels, Sources

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images held as uint8, their labels, and the id of the source each one comes from.

    Source ids are unique within a data set, its test images included; a corrupted copy keeps its source's id,
    so copies can always be kept on the same side of a split as their original.
    """

    pixels: Pixels
    labels: Labels
    sources: Sources
    classes: tuple[str, ...]
    name: str
    split: Split

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        _, channels, height, width = self.pixels.shape
        size = f"{height}×{width}, {channels} channel{'s' * (channels > 1)}, {len(self.classes)} classes"
        return f"<{len(self):,} {self.split} images of {self.name}: {size}>"

    @property
    def channels(self) -> int:
        """How many channels an image has: 1 is grey, 3 is colour."""
        return int(self.pixels.shape[1])

    def select(self, rows: np.ndarray, split: Split | None = None) -> "LabelledImages":
        """Some of the images, by index or mask."""
        return replace(
            self,
            pixels=self.pixels[rows],
            labels=self.labels[rows],
            sources=self.sources[rows],
            split=split or self.split,
        )

    def fingerprint(self) -> str:
        """sha256 of the pixels, their shape, the labels, the sources and the class names."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.classes)).encode())
        for array in (self.pixels, self.labels, self.sources):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class ConditionImages:
    """Labelled images to be scored on, and what was done to them."""

    corruption: str
    severity: float
    data: LabelledImages
