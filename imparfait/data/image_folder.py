"""Folders of images: one folder a class, and above them train, val and test where somebody has split them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Labels, Pixels, Watch
from imparfait.data.images.decode import SUFFIXES, Page, read_pages
from imparfait.data.images.input_format import InputFormat, Normalization, has_dark_border, is_like_mnist
from imparfait.data.images.normalize import normalize

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}

MNIST_SIDE = 28  # pixels, for `digit` where no size is given
MAX_NAMED = 3  # files that cannot be read, in one error


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
class Wanted:
    """What was asked for images of class folders, and of validation and test images, what the training images are."""

    size: int | None = None
    normalization: Normalization | None = None
    """None chooses: `digit` where all files are framed as MNIST's digits, else `letterbox` with a size, else `none`."""
    known: InputFormat | None = None
    """The format of the training images, once they are read."""

    def format_of(self, first: Page) -> InputFormat:
        """The format of all images, by the first of them."""
        if self.known:
            return self.known
        normalization = self.normalization or ("letterbox" if self.size else "none")
        channels = 1 if normalization == "digit" else first.pixels.shape[2]
        size = self.size or (MNIST_SIDE if normalization == "digit" else None)
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
    folders: ClassFolders, classes: Sequence[str], wanted: Wanted, watch: Watch
) -> tuple[Pixels, Labels, InputFormat, str]:
    """All images of a split, their labels as indices of `classes`, their format, and a sentence on how they were read.

    Training images are grey when none of them has a colour. Of a file with several pages the first is read. Memory:
    the pixels, and one file at a time. Raises UserError for files that are no images, all in one error, and where
    sizes differ and none was given.
    """
    unknown = set(folders.classes) - set(classes)
    if unknown:
        raise UserError(
            f"{folders.path}: a class {min(unknown)!r}, which the training images do not have; "
            f"theirs are {', '.join(classes)}"
        )
    paths = list(chain.from_iterable(folders.files.values()))
    indices = [classes.index(name) for name in folders.classes]
    labels = np.repeat(indices, [len(files) for files in folders.files.values()])
    form: InputFormat | None = None
    pixels: np.ndarray | None = None
    counts: Counter[str] = Counter()
    broken: list[str] = []
    for row, path in enumerate(watch(paths, len(paths))):
        try:
            page = next(read_pages(path))
        except UserError as error:
            broken.append(str(error))
            continue
        form = form or wanted.format_of(page)
        _check_size(path, page, form, wanted)
        if form.channels == 1 < page.pixels.shape[2] and form.normalization != "digit" and not wanted.known:
            form = form.model_copy(update={"channels": 3})  # the first that has a colour
            pixels = None if pixels is None else pixels.repeat(3, 1)
        if pixels is None:
            pixels = np.zeros((len(paths), form.channels, form.height, form.width), np.uint8)
        image = normalize(page, form)
        pixels[row] = image.pixels
        done = "unchanged" if image.unchanged else "enlarged" if image.scale > 1 else "reduced"
        counts["without a foreground" if image.empty else done] += 1
    if broken:
        more = f" … and {len(broken) - MAX_NAMED} more" if len(broken) > MAX_NAMED else ""
        several = f"{len(broken)} of {len(paths)} files cannot be read: " if len(broken) > 1 else ""
        raise UserError(several + "; ".join(broken[:MAX_NAMED]) + more)
    assert pixels is not None
    assert form is not None
    chosen_here = not wanted.known and not wanted.normalization
    if chosen_here and counts["unchanged"] == len(paths) and is_like_mnist(pixels):
        form = form.model_copy(update={"normalization": "digit"})
        for index in np.flatnonzero(~has_dark_border(pixels[:, 0])):  # the others are what `digit` makes of them
            pixels[index] = normalize(next(read_pages(paths[index])), form).pixels
    done = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return (
        pixels,
        labels,
        form,
        f"{len(paths):,} images of {form.height}×{form.width} pixels ({done})",
    )


def _check_size(path: str, page: Page, form: InputFormat, wanted: Wanted) -> None:
    """Raises UserError where pixels are to be kept as they are and are not as many as those of the other images."""
    height, width = page.pixels.shape[:2]
    if form.normalization == "none" and (height, width) != (form.height, form.width):
        side = max(form.height, form.width)
        raise UserError(
            f"{path}: {height}×{width} pixels",
            expected=f"{form.height}×{form.width} as of {'--size' if wanted.size else 'the first image'}",
            hint=f"to bring all to one size write --size {side} (or another side) without --normalize none",
        )


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
