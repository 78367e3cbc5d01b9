"""A data report: what is in a data set, and which of its images are copies."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from pydantic import BaseModel

from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.duplicates import Fingerprints, copies_of, fingerprints, joined, near_copies_of, repeated
from imparfait.data.image_files import FileFacts
from imparfait.data.images.input_format import InputFormat
from imparfait.data.split_dataset import Dataset

MAX_EXAMPLES = 5  # pairs of copies that are named
MAX_SIZES = 5  # sizes of image files that are named, the most frequent first


class SplitReport(BaseModel, frozen=True):
    """What is in one split."""

    images: int
    per_class: dict[str, int]
    skipped: int
    """Image files that could not be read."""
    sizes: dict[str, int]
    """Images of the most frequent sizes, by "height×width" in pixels."""
    other_sizes: int
    """How many more sizes there are."""
    modes: dict[str, int]
    """Images by colour mode, in Pillow's names; "L" is grey, "RGB" colour."""
    copies: int
    """Images with the same pixels as an earlier one of this split."""


class Overlap(BaseModel, frozen=True):
    """Images of one split that are copies of images of another."""

    split: Split
    other: Split
    copies: int
    """Images of `split` with the same pixels as one of `other`."""
    near_copies: int
    """Images of `split` that are nearly the same as one of `other`: enlarged, recompressed, brighter."""
    shared_groups: int
    """Groups with images in both."""
    examples: list[tuple[str, str]]
    """Some of the copies: an image of `split`, and one of `other`."""
    near_examples: list[tuple[str, str]]


class DataReport(BaseModel, frozen=True):
    """What is in a data set; its test images are counted and compared, but no model sees them."""

    name: str
    classes: list[str]
    input: InputFormat
    splits: dict[Split, SplitReport]
    overlaps: list[Overlap]
    other_labels: int
    """Images whose pixels are also there with another label."""
    groups: int | None
    """How many groups there are; None without groups."""


@dataclass
class _Part:
    """What is kept of a split, of which the pixels need not stay in memory."""

    prints: list[Fingerprints] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    sources: list[np.ndarray] = field(default_factory=list)
    groups: list[np.ndarray] = field(default_factory=list)
    facts: FileFacts = field(default_factory=FileFacts)

    def add(self, images: LabelledImages, facts: FileFacts) -> None:
        self.prints.append(fingerprints(images.pixels))
        self.labels.append(images.labels)
        self.sources.append(images.sources)
        self.groups += [images.groups] if images.groups is not None else []
        self.facts.skipped += facts.skipped
        self.facts.sizes += facts.sizes or Counter({(images.pixels.shape[2], images.pixels.shape[3]): len(images)})
        self.facts.modes += facts.modes or Counter({"L" if images.channels == 1 else "RGB": len(images)})


def report_data(dataset: Dataset, watch: Watch = lambda parts, total: parts) -> DataReport:
    """The report of a data set; `watch` shows how its test images are read.

    Memory: about 300 bytes an image, and 1,000 test images at a time where they are files.
    """
    parts: dict[Split, _Part] = {"train": _Part()}
    parts["train"].add(dataset.train, dataset.facts.get("train", FileFacts()))
    if dataset.validation:
        parts["validation"] = _Part()
        parts["validation"].add(dataset.validation, dataset.facts.get("validation", FileFacts()))
    if dataset.read_parts:
        parts["test"] = _Part()
        for images, facts in dataset.read_parts(watch):
            parts["test"].add(images, facts)
    prints = {split: joined(part.prints) for split, part in parts.items()}
    groups = {split: np.unique(np.concatenate(part.groups)) for split, part in parts.items() if part.groups}
    classes = dataset.train.classes
    return DataReport(
        name=dataset.train.name,
        classes=list(classes),
        input=dataset.input_format,
        splits={split: _split_report(part, prints[split], classes) for split, part in parts.items()},
        overlaps=[
            _overlap(dataset, later, earlier, parts, prints, groups) for earlier, later in combinations(parts, 2)
        ],
        other_labels=_other_labels(list(prints.values()), [np.concatenate(part.labels) for part in parts.values()]),
        groups=len(np.unique(np.concatenate(list(groups.values())))) if groups else None,
    )


def _split_report(part: _Part, prints: Fingerprints, classes: Sequence[str]) -> SplitReport:
    counts = np.bincount(np.concatenate(part.labels), minlength=len(classes)).tolist()
    sizes = part.facts.sizes.most_common(MAX_SIZES)
    return SplitReport(
        images=len(prints),
        per_class=dict(zip(classes, counts, strict=True)),
        skipped=part.facts.skipped,
        sizes={f"{height}×{width}": count for (height, width), count in sizes},
        other_sizes=len(part.facts.sizes) - len(sizes),
        modes=dict(part.facts.modes.most_common()),
        copies=int(repeated(prints).sum()),
    )


def _overlap(
    dataset: Dataset,
    split: Split,
    other: Split,
    parts: dict[Split, _Part],
    prints: dict[Split, Fingerprints],
    groups: dict[Split, np.ndarray],
) -> Overlap:
    copies = copies_of(prints[split], prints[other])
    near = np.where(copies < 0, near_copies_of(prints[split], prints[other]), -1)
    sources = {name: np.concatenate(parts[name].sources) for name in (split, other)}

    def name(split: Split, row: int) -> str:
        return dataset.files[sources[split][row]] if dataset.files else f"{split} image {row}"

    def examples(found: np.ndarray) -> list[tuple[str, str]]:
        return [
            (name(split, row), name(other, int(found[row])))
            for row in np.flatnonzero(found >= 0)[:MAX_EXAMPLES].tolist()
        ]

    shared = len(np.intersect1d(groups[split], groups[other])) if {split, other} <= set(groups) else 0
    return Overlap(
        split=split,
        other=other,
        copies=int((copies >= 0).sum()),
        near_copies=int((near >= 0).sum()),
        shared_groups=shared,
        examples=examples(copies),
        near_examples=examples(near),
    )


def _other_labels(prints: Sequence[Fingerprints], labels: Sequence[np.ndarray]) -> int:
    """How many images have pixels that are there with several labels."""
    exact, every = np.concatenate([each.exact for each in prints]), np.concatenate(labels)
    _, places, counts = np.unique(exact, return_inverse=True, return_counts=True)
    order = np.argsort(places, kind="stable")
    starts = np.concatenate([[0], counts.cumsum()[:-1]])
    differ = np.maximum.reduceat(every[order], starts) != np.minimum.reduceat(every[order], starts)
    return int(counts[differ].sum())
