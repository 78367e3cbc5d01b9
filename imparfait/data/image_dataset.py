"""Data sets of image files or of images in memory: their splits are read to one form, that of the training images."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.names import check_names
from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.group_names import NO_GROUPS, groups_by_path
from imparfait.data.image_files import FileFacts, ImageFiles, UnreadableError, Wanted, in_parts, read_images, shown
from imparfait.data.image_folder import SPLITS, in_order
from imparfait.data.sealed_test import SealedTest
from imparfait.data.split_dataset import Dataset
from imparfait.data.table_files import SUFFIXES

IMAGES_AT_A_TIME = 1000  # test images in memory at a time, for a data report


def from_images(path: str, name: str, splits: Mapping[Split, ImageFiles], wanted: Wanted, watch: Watch) -> Dataset:
    """The data set of these splits. The training and validation images are read, the test images when they are opened.

    Source ids count the images of all splits; those of images that were skipped are left out.
    """
    if "train" not in splits and not wanted.whole:
        raise UserError(
            f"{path}: {' and '.join(splits)} but no train in it",
            expected="train/<class>/… or <class>/…",
            hint="to evaluate a model on all its images, write --split all",
        )
    if wanted.group not in (None, NO_GROUPS):
        splits = {split: grouped(files, path, str(wanted.group)) for split, files in splits.items()}
    for added in wanted.added:
        splits = _joined(splits, added)
        name = f"{name}+{Path(next(iter(added.values())).path).stem}"
    opened = wanted.whole and "test" in splits
    others = sum(len(files) for split, files in splits.items() if split != "test")
    splits = _as_one(splits) if wanted.whole else splits  # those for the test come last
    train_files = splits["train"]
    classes = tuple(in_order(dict.fromkeys(train_files.labels)))
    _check_classes(splits, classes)
    groups = sorted({group for files in splits.values() for group in files.groups or ()})
    firsts: dict[Split, int] = {}
    for split in SPLITS:
        firsts[split] = sum(len(splits[before]) for before in firsts if before in splits)

    def read(
        split: Split, wanted: Wanted, watch: Watch, part: ImageFiles, first: int
    ) -> tuple[LabelledImages, FileFacts]:
        found = read_images(part, classes, groups, wanted, watch)
        remarks[split] = f"{split}: {found.remark}"
        sources = first + found.rows
        images = LabelledImages(
            found.pixels, found.labels, sources, classes, name, split, found.form.normalization, found.groups
        )
        return images, found.facts

    remarks: dict[Split, str] = {}
    facts: dict[Split, FileFacts] = {}
    train, facts["train"] = read("train", wanted, watch, train_files, 0)
    _check_counts(train_files.path, classes, train.labels)
    known = replace(wanted, known=train.input_format)
    validation = None
    if "validation" in splits:
        validation, facts["validation"] = read("validation", known, watch, splits["validation"], firsts["validation"])
    remark = "; ".join([f"normalization {train.normalization}", *remarks.values()])

    def read_parts(watch: Watch) -> Iterator[tuple[LabelledImages, FileFacts]]:
        first, parts = firsts["test"], list(in_parts(splits["test"], IMAGES_AT_A_TIME))
        broken: list[tuple[str, str]] = []
        for part in watch(parts, len(parts)):
            try:
                found = read("test", known, lambda items, total: items, part, first)
            except UnreadableError as error:
                broken += error.broken
            else:
                yield found
            first += len(part)
        if broken and not wanted.skip_unreadable:
            raise UnreadableError(splits["test"].path, broken, first - firsts["test"])

    sealed, parts, for_test = None, None, None
    if opened:
        for_test = train.sources >= others
        sealed = SealedTest(name, lambda: train)
        remark += ", those for the test included"
    if "test" in splits:
        sealed = SealedTest(name, lambda: read("test", known, watch, splits["test"], firsts["test"])[0])
        parts = read_parts
    files = tuple(shown(source) for split in SPLITS if split in splits for source in splits[split].sources)
    return Dataset(train, sealed, validation, remark, files, facts, for_test, parts)


def _as_one(splits: Mapping[Split, ImageFiles]) -> dict[Split, ImageFiles]:
    """The images of all splits as those of one."""
    first, *others = (splits[split] for split in SPLITS if split in splits)
    return {"train": first.joined(*others)}


def _joined(splits: Mapping[Split, ImageFiles], added: Mapping[Split, ImageFiles]) -> dict[Split, ImageFiles]:
    joined = dict(splits)
    for split, files in added.items():
        joined[split] = joined[split].joined(files) if split in joined else files
    return joined


def grouped(files: ImageFiles, path: str, group: str) -> ImageFiles:
    """The images with their groups; `path` is the data folder or a table in it."""
    if files.groups is not None:
        return files
    root = str(Path(path).parent) if Path(path).suffix.lower() in SUFFIXES else path
    return replace(files, groups=groups_by_path(files, root, group))


def _check_classes(splits: Mapping[Split, ImageFiles], classes: tuple[str, ...]) -> None:
    """Raises UserError for classes of one name but for case and spaces, and for those without training images."""
    path = splits["train"].path
    check_names(path, classes)
    for files in splits.values():
        unknown = set(files.labels) - set(classes)
        if unknown:
            raise UserError(
                f"{files.path}: a class {min(unknown)!r}, which the training images do not have; "
                f"theirs are {', '.join(classes)}"
            )
    counts = Counter(splits["train"].labels)
    _check_fewest(path, classes, min(counts.values()), counts)


def _check_counts(path: str, classes: tuple[str, ...], labels: np.ndarray) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    _check_fewest(path, classes, int(counts.min()), dict(zip(classes, counts.tolist(), strict=True)))


def _check_fewest(path: str, classes: tuple[str, ...], fewest: int, counts: Mapping[str, int]) -> None:
    if len(classes) < 2 or fewest < 2:
        least = min(classes, key=lambda name: counts[name])
        raise UserError(
            f"{path}: {counted(len(classes), 'class', 'classes')}, {least!r} with {counted(counts[least], 'image')}",
            expected="two classes or more, of two images each or more",
        )
