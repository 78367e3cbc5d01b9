"""Folders of images: one folder a class, and above them train, val and test where somebody has split them."""

import re
import unicodedata
from collections.abc import Mapping

from imparfait.core.errors import UserError
from imparfait.data.dataset import Split
from imparfait.data.directory import Directory, FileSource
from imparfait.data.image_files import ImageFiles
from imparfait.data.images.decode import SUFFIXES

SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Names of folders, files and values of a split, in any case."""
SUFFIX = re.compile(r"[ _-]?(set|data|images|imgs)$")  # of a split's name, as in training_set
RUN_FILES = {"config.json", "settings.json", "report.html"}  # which a training writes
MAX_WRAPPERS = 3  # folders around a data set, as archives add


def split_named(name: str) -> Split | None:
    """The split of this name; None where it is no split's."""
    word = SUFFIX.sub("", name.strip().casefold())
    return next((split for split, names in SPLITS.items() if word in names), None)


def find_class_folders(directory: Directory) -> dict[Split, ImageFiles]:
    """The splits in a directory; only "train" where it holds the classes themselves; empty where none are.

    Raises UserError for two classes of one name, for a class without images, and for two folders of one split.
    """
    _check_no_runs(directory)
    folders = _split_folders(directory)
    found: dict[Split, ImageFiles] = {}
    for split in SPLITS:
        inner = _unwrapped(folders[split]) if split in folders else directory
        classes = _classes(inner) if split in (folders or {"train"}) else {}
        if classes:
            path = folders[split].path if folders else directory.path
            names = [name for name, files in classes.items() for _ in files]
            found[split] = ImageFiles(path, [file for files in classes.values() for file in files], names)
    return found


def images_in(directory: Directory) -> list[FileSource]:
    """The image files of a directory and of its folders, by their paths."""
    return sorted((source for name, source in directory.all_files() if is_image(name)), key=str)


def is_image(name: str) -> bool:
    """Whether a file of this name is an image, by its suffix."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and f"{dot}{suffix}".lower() in SUFFIXES


def in_order(names: Mapping[str, object]) -> list[str]:
    """Class names, numbers by their value: 10 after 9, not after 1."""
    return sorted(sorted(names), key=_by_value)


def _check_no_runs(directory: Directory) -> None:
    """Raises UserError for a run folder and a folder of run folders, whose figures are no images to train on."""
    inside = [name for name, folder in directory.folders.items() if set(folder.files) >= RUN_FILES]
    if inside or set(directory.files) >= RUN_FILES:
        raise UserError(
            f"{directory.path}: {f'has run folders, such as {inside[0]}' if inside else 'is a run folder'}",
            expected="a folder of images in class folders",
            hint="name the folder that the run was trained on",
        )


def _split_folders(directory: Directory) -> dict[Split, Directory]:
    """The folders of splits; also seg_train and seg_test, where there are no others."""
    named = {name: split_named(name) for name in directory.folders}
    last = {name: split_named(re.split(r"[ _-]", name)[-1]) for name in named}
    if not any(named.values()) and len(set(last.values()) - {None}) == len(last) > 1:
        named = last
    folders: dict[Split, Directory] = {}
    for name, split in named.items():
        if split and split in folders:
            raise UserError(
                f"{directory.path}: two folders of {split} images, {folders[split].name} and {name}; remove one"
            )
        if split:
            folders[split] = directory.folders[name]
    return folders


def _unwrapped(folder: Directory) -> Directory:
    """The folder of the classes, where a split's folder has one folder more: train/train/<class>."""
    for _ in range(MAX_WRAPPERS):
        inner = list(folder.folders.values())
        if len(inner) != 1 or len(inner[0].folders) < 2 or any(map(is_image, (*folder.files, *inner[0].files))):
            break
        folder = inner[0]
    return folder


def _classes(folder: Directory) -> dict[str, list[FileSource]]:
    found = {name: images_in(folder.folders[name]) for name in in_order(folder.folders)}
    if not any(found.values()):
        return {}
    by_name: dict[str, str] = {}
    for name, paths in found.items():
        same = unicodedata.normalize("NFC", name).strip().casefold()
        if same in by_name:
            raise UserError(
                f"{folder.path}: two classes of one name, {by_name[same]!r} and {name!r}; rename or join them"
            )
        by_name[same] = name
        if not paths:
            kinds = ", ".join(sorted(SUFFIXES))
            raise UserError(f"{folder.path}/{name}: a class without an image ({kinds}); remove it")
    return found


def _by_value(name: str) -> tuple[tuple[int, int | str], ...]:
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part)
