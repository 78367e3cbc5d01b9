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
from imparfait.data.images.decode import SUFFIXES, Page, read_pages
from imparfait.data.images.normalize import InputFormat, Normalization, normalize

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}

DIGIT_SIDE = 28  # MNIST's, for `digit` where no size is given
MOST_BROKEN = 3  # files that cannot be read, that an error names

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


@dataclass(frozen=True)
class FolderFormat:
    """What was asked for images of class folders; the first image decides the rest."""

    size: int | None = None
    normalization: Normalization | None = None
    """Where none was asked for: `letterbox` with a size, else `none`."""

    def of(self, first: Page) -> InputFormat:
        """The format of all, by the first of them."""
        normalization = self.normalization or ("letterbox" if self.size else "none")
        channels = 1 if normalization == "digit" else first.pixels.shape[2]
        size = self.size or (DIGIT_SIDE if normalization == "digit" else None)
        height, width = (size, size) if size else first.pixels.shape[:2]
        return InputFormat(channels=channels, height=height, width=width, normalization=normalization)


def find_class_folders(path: Path) -> dict[str, ClassFolders]:
    """The splits in the folder `path`; only "train" where it holds the classes themselves; empty where none are.

    Raises UserError for two classes of one name, and for a class without images.
    """
    folders = {child.name.lower(): child for child in _folders_in(path)}
    splits = {split: folders[name] for split, names in SPLITS.items() for name in names if name in folders}
    found = {split: ClassFolders(folder, _files(folder)) for split, folder in (splits or {"train": path}).items()}
    return {split: folders for split, folders in found.items() if folders.files}


def read_class_folders(
    folders: ClassFolders, classes: Sequence[str], form: InputFormat | FolderFormat, watch: Watch
) -> tuple[Pixels, Labels, InputFormat, str]:
    """All images of a split, their labels as indices of `classes`, their format, and a sentence on how they were read.

    `form` is that of the training images, or for these what was asked for: then they are grey when none of them has a
    colour. Of a file with several pages the first is read. Memory: the pixels, and one file at a time.
    Raises UserError for files that are no images, all in one error, and where sizes differ and none was given.
    """
    unknown = set(folders.classes) - set(classes)
    if unknown:
        raise UserError(
            f"{folders.path}: a class {min(unknown)!r}, which the training images do not have; "
            f"theirs are {', '.join(classes)}"
        )
    total = len(folders)
    indices = [classes.index(name) for name in folders.classes]
    labels = np.repeat(indices, [len(paths) for paths in folders.files.values()])
    known = form if isinstance(form, InputFormat) else None
    pixels: np.ndarray | None = None
    changed: Counter[str] = Counter()
    broken: list[str] = []
    for row, path in enumerate(watch(chain.from_iterable(folders.files.values()), total)):
        try:
            page = next(read_pages(path))
        except UserError as error:
            broken.append(str(error))
            continue
        known = known or form.of(page)  # type: ignore[union-attr]  # the first image decides where nobody did
        height, width, channels = page.pixels.shape
        if known.normalization == "none" and (height, width) != (known.height, known.width):
            raise UserError(
                f"{path}: {height}×{width} pixels, expected {known.height}×{known.width} as of the first image; "
                f"write --size {max(known.height, known.width)} (or another side) to bring all to one size"
            )
        if known.channels == 1 < channels and not isinstance(form, InputFormat) and known.normalization != "digit":
            known = known.model_copy(update={"channels": 3})  # the first that has a colour
            pixels = None if pixels is None else pixels.repeat(3, 1)
        if pixels is None:
            pixels = np.zeros((total, known.channels, known.height, known.width), np.uint8)
        image = normalize(page, known)
        pixels[row] = image.pixels
        changed["unchanged"] += image.unchanged
        changed["enlarged"] += not image.unchanged and image.scale > 1
        changed["reduced"] += not image.unchanged and image.scale < 1
        changed["without a foreground"] += image.empty
    if broken:
        more = f" … and {len(broken) - MOST_BROKEN} more" if len(broken) > MOST_BROKEN else ""
        several = f"{len(broken)} of {total} files cannot be read: " if len(broken) > 1 else ""
        raise UserError(several + "; ".join(broken[:MOST_BROKEN]) + more)
    assert pixels is not None
    assert known is not None
    counts = ", ".join(f"{count:,} {what}" for what, count in changed.items() if count)
    said = f"normalization {known.normalization}: {total:,} images of {known.height}×{known.width} pixels ({counts})"
    return pixels, labels, known, said


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
