"""Labelled images, with the source id of each; in memory, or mapped into it where they are many."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from imparfait.core.counts import counted
from imparfait.core.large_arrays import rows_of
from imparfait.core.types import Groups, Labels, Pixels, Sources
from imparfait.data.images.input_format import InputFormat, Normalization, is_like_mnist

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images as uint8, their labels, and the id of the source image of each.

    Source ids are unique within a data set, test images included. A corrupted copy keeps its source's id, so that
    copies stay on the same side of a split as their original.
    """

    pixels: Pixels
    labels: Labels
    sources: Sources
    classes: tuple[str, ...]
    name: str
    split: Split
    normalization: Normalization = "none"
    """How image files become such pixels: `digit` for MNIST's, whose background is 0."""
    groups: Groups | None = None
    """What each image belongs to, such as a person or a part, where the data set says so."""

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        _, channels, height, width = self.pixels.shape
        size = f"{height}×{width}, {counted(channels, 'channel')}, {counted(len(self.classes), 'class', 'classes')}"
        return f"<{len(self):,} {self.split} images of {self.name}: {size}>"

    @property
    def channels(self) -> int:
        """Channels per image: 1 for grey, 3 for colour."""
        return int(self.pixels.shape[1])

    @property
    def is_of_digits(self) -> bool:
        """Whether they were cropped and drawn as digits, or are framed as MNIST's: light on a background of 0."""
        return self.normalization == "digit" or is_like_mnist(self.pixels)

    @property
    def input_format(self) -> InputFormat:
        """What a model trained on these images takes."""
        _, channels, height, width = self.pixels.shape
        return InputFormat(channels=channels, height=height, width=width, normalization=self.normalization)

    def select(self, rows: np.ndarray | Sequence[int] | slice, split: Split | None = None) -> LabelledImages:
        """The images at `rows`: indices, a range, a slice, or a mask."""
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        return replace(
            self,
            pixels=rows_of(self.pixels, rows),
            labels=self.labels[rows],
            sources=self.sources[rows],
            groups=None if self.groups is None else self.groups[rows],
            split=split or self.split,
        )

    def fingerprint(self) -> str:
        """sha256 of the pixels, their shape, the labels, the sources and the class names."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.classes)).encode())
        for array in (self.pixels, self.labels, self.sources):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def grouping(self) -> str:
        """sha256 of which images belong together, which decides splits; empty without groups.

        Not a part of the fingerprint, by which the same images are recognised whatever their groups.
        """
        if self.groups is None:
            return ""
        return hashlib.sha256(np.ascontiguousarray(self.groups).data).hexdigest()


@dataclass(frozen=True)
class ConditionImages:
    """Labelled images under one condition: a corruption at a severity."""

    corruption: str
    severity: float
    data: LabelledImages
