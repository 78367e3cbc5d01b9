"""Folders of images: one folder a class, and above them train, val and test where somebody has split them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Labels, Pixels
from imparfait.data.images.pictures import SUFFIXES, read_picture, to_size

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""What goes over `total` things one by one and may show how far it is: `watch(things, total)`."""


@dataclass(frozen=True)
class ClassFolders:
    """The image files of one split, by class; as strings, since 100,000 Paths take 40 MB more."""

    path: Path
    files: dict[str, list[str]]

    @property
    def classes(self) -> tuple[str, ...]:
        """The folders' names, numbers by their value."""
        return tuple(self.files)

    def __len__(self) -> int:
        return sum(map(len, self.files.values()))


def find_class_folders(path: Path) -> dict[str, ClassFolders]:
    """The splits in the folder `path`; only "train" where it holds the classes themselves; empty where none are.

    Raises UserError for two classes of one name, and for a class without images.
    """
    folders = {child.name.lower(): child for child in _folders_in(path)}
    splits = {split: folders[name] for split, names in SPLITS.items() for name in names if name in folders}
    found = {split: ClassFolders(folder, _files(folder)) for split, folder in (splits or {"train": path}).items()}
    return {split: folders for split, folders in found.items() if folders.files}


def read_class_folders(
    folders: ClassFolders, classes: Sequence[str], size: int | None, channels: int | None, watch: Watch
) -> tuple[Pixels, Labels, str]:
    """All images, their labels as places in `classes`, and a sentence on what was done to bring them to one size.

    With `channels` None they are grey when none of them has a colour. Memory: the pixels, and one file at a time.
    Raises UserError when a file is no image, and when sizes differ and no `size` was given.
    """
    unknown = set(folders.classes) - set(classes)
    if unknown:
        raise UserError(
            f"{folders.path}: a class {min(unknown)!r}, which the training images do not have; "
            f"theirs are {', '.join(classes)}"
        )
    total = len(folders)
    places = [classes.index(name) for name in folders.classes]
    labels = np.repeat(places, [len(paths) for paths in folders.files.values()])
    pixels: np.ndarray | None = None
    changed: Counter[str] = Counter()
    for row, path in enumerate(watch(chain.from_iterable(folders.files.values()), total)):
        image = read_picture(path)
        if size and image.shape[1:] != (size, size):
            longest = max(image.shape[1:])
            changed["reduced"] += longest > size
            changed["enlarged"] += longest < size
            changed["padded to a square"] += image.shape[1] != image.shape[2]
            image = to_size(image, size)
        if pixels is None:
            pixels = np.empty((total, channels or len(image), *image.shape[1:]), np.uint8)
        if image.shape[1:] != pixels.shape[2:]:
            height, width = image.shape[1:]
            raise UserError(
                f"{path}: {height}×{width} pixels, the first image has {pixels.shape[2]}×{pixels.shape[3]}; "
                f"write --size {max(pixels.shape[2:])} (or another side) to bring all to one size"
            )
        if len(image) > pixels.shape[1] and channels is None:
            pixels = pixels.repeat(3, 1)  # the first that has a colour
        pixels[row] = _grey(image) if pixels.shape[1] == 1 else image
    assert pixels is not None
    counts = ", ".join(f"{count:,} {what}" for what, count in changed.items() if count)
    return pixels, labels, f"{total:,} images brought to {size}×{size}: {counts}" if counts else ""


def _grey(image: np.ndarray) -> np.ndarray:
    """An image's lightness (ITU-R 601, as Pillow's "L") where it has a colour."""
    if len(image) == 1:
        return image
    weighted = np.tensordot([299, 587, 114], image.astype(np.int64), 1)[None]
    return np.asarray((weighted + 500) // 1000)


def _folders_in(path: Path) -> Iterator[Path]:
    return (child for child in sorted(path.iterdir()) if child.is_dir() and not child.name.startswith((".", "__")))


def _files(folder: Path) -> dict[str, list[str]]:
    found = {child.name: _pictures_in(child) for child in sorted(_folders_in(folder), key=_by_value)}
    if not any(found.values()):
        return {}
    by_name: dict[str, str] = {}
    for name, paths in found.items():
        same = unicodedata.normalize("NFC", name).strip().casefold()
        if same in by_name:
            raise UserError(f"{folder}: two classes of one name, {by_name[same]!r} and {name!r}; rename or join them")
        by_name[same] = name
        if not paths:
            raise UserError(f"{folder / name}: a class without an image ({', '.join(sorted(SUFFIXES))}); remove it")
    return found


def _pictures_in(folder: Path) -> list[str]:
    return sorted(
        os.path.join(parent, name)  # noqa: PTH118
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122
    )


def _by_value(path: Path) -> tuple[tuple[int, int | str], ...]:
    """10 after 9, not after 1."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", path.name) if part)
