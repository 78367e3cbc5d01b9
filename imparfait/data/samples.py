"""Data sets in memory: arrays of images and labels, or sequences of an image and its label."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Watch
from imparfait.data.arrays import Arrays, from_arrays, in_channels, planes_of
from imparfait.data.dataset import Split
from imparfait.data.image_dataset import from_images
from imparfait.data.image_files import ImageFiles, ImageSource, Wanted, all_have_groups, page_at
from imparfait.data.image_folder import split_named
from imparfait.data.image_table import columns_of
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import normalize
from imparfait.data.split_dataset import Dataset
from imparfait.data.table_files import Encoded

NAME = "images"  # of a data set that has no path
EXPECTED = "arrays (images, labels), a sequence of (image, label), a table, or a dictionary of these by split"


def from_memory(data: Any, wanted: Wanted, watch: Watch) -> Dataset:
    """The data set in `data`: `(images, labels)` as arrays, a sequence of `(image, label)`, or these by split.

    An image is Pillow's, an array or a path. Rows may be dictionaries, as of Hugging Face's `datasets`, or those of a
    pandas table, whose column `split` may say where each belongs.
    """
    by_split: dict[Split, Any] = {}
    for key, value in (data if isinstance(data, Mapping) else _split_table(data) or {"train": data}).items():
        split = split_named(str(key))
        if split is None:
            raise UserError(f"a split called {key!r}", expected="train, validation or test")
        by_split[split] = value
    if "train" not in by_split:
        raise UserError(f"{' and '.join(by_split) or 'no splits'} but no train", expected=EXPECTED)
    if all(map(_are_arrays, by_split.values())):
        arrays = {split: _arrays(*value) for split, value in by_split.items()}
        return from_arrays("the data", NAME, lambda split: arrays[split], set(arrays), wanted)
    splits = {split: _listed(split, value, wanted.group) for split, value in by_split.items()}
    return from_images("the data", NAME, splits, wanted, watch)


def as_input(images: Any, form: InputFormat) -> Pixels:
    """Images in memory as the input of a model of this format: an array as in `from_memory`, or a sequence of images.

    Raises UserError for arrays of another size, and for what is no image.
    """
    if isinstance(images, str | bytes) or not hasattr(images, "__len__"):
        raise UserError(f"a {type(images).__name__} as images", expected="an array or a sequence of images")
    if isinstance(images, np.ndarray) and _is_single(images, form):
        raise UserError(
            f"one image, of shape {images.shape}",
            expected="a batch of images, [n, height, width] or [n, height, width, channels]",
            hint="write X[:1], not X[0]",
        )
    if len(images) == 0:
        return np.zeros((0, form.channels, form.height, form.width), np.uint8)
    if isinstance(images, np.ndarray) and images.ndim >= 3:
        if as_bytes(images).dtype != np.uint8:
            raise UserError(f"images of {images.dtype}", expected="uint8, or floats in 0..1 without NaN")
        pixels = in_channels(planes_of("the data", "input", as_bytes(images)), form.channels)
        if pixels.shape[2:] != (form.height, form.width):
            received = "×".join(map(str, pixels.shape[2:]))
            raise UserError(f"images of {received} pixels", expected=f"{form.height}×{form.width} as in training")
        return pixels
    return np.stack([normalize(page_at(_source("test", n, image)), form).pixels for n, image in enumerate(images)])


def _is_single(images: np.ndarray, form: InputFormat) -> bool:
    """Whether an array is one image of this form, not several."""
    size = (form.height, form.width)
    last = images.ndim == 3 and images.shape[2] in (1, 3) and images.shape[:2] == size
    return images.shape == size or (last and images.shape[1:] != size)


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Floats in 0..1 as uint8; others unchanged."""
    if images.dtype.kind == "f" and images.size and images.min() >= 0 and images.max() <= 1:
        levels: np.ndarray = np.rint(images * 255).astype(np.uint8)
        return levels
    return images


def _are_arrays(data: Any) -> bool:
    return (
        isinstance(data, tuple | list)
        and len(data) == 2
        and np.ndim(getattr(data[0], "shape", ())) == 1
        and (isinstance(data[0], np.ndarray) and data[0].ndim >= 3 and np.ndim(data[1]) in (1, 2))
    )


def _arrays(images: Any, labels: Any) -> Arrays:
    """Images as uint8, and labels in one dimension."""
    images, labels = as_bytes(np.asarray(images)), np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "uibU":
        raise UserError(f"labels of {labels.dtype}", expected="whole numbers or text, one per image")
    return images, labels


def _is_table(data: Any) -> bool:
    """Whether it is a pandas table, without importing pandas."""
    return hasattr(data, "columns") and hasattr(data, "to_dict")


def _split_table(data: Any) -> dict[str, Any] | None:
    """The rows of a table by its column `split`, if it has one."""
    if not _is_table(data) or (column := columns_of(list(map(str, data.columns))).get("split")) is None:
        return None
    return {str(name): rows for name, rows in data.groupby(column, sort=False)}


def _listed(split: Split, data: Any, group: str | None) -> ImageFiles:
    data = data.to_dict("records") if _is_table(data) else data
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__") or isinstance(data, str | bytes):
        raise UserError(f"a {type(data).__name__} as {split} images", expected=EXPECTED)
    if isinstance(data, np.ndarray):
        raise UserError(f"an array of shape {data.shape} without labels", expected=EXPECTED)
    sources: list[ImageSource] = []
    labels: list[str] = []
    groups: list[str | None] = []
    for number in range(len(data)):
        row = data[number]
        image, label = _pair(split, number, row)
        column = columns_of(list(map(str, row)), group).get("group") if isinstance(row, Mapping) else None
        groups.append(str(row[column]) if column else None)
        sources.append(_source(split, number, image))
        labels.append(_label(split, number, label))
    if not sources:
        raise UserError(f"no {split} images", expected=EXPECTED)
    grouped = all_have_groups([(f"{split} row {number}", own) for number, own in enumerate(groups)])
    return ImageFiles("the data", sources, labels, [own for own in groups if own is not None] if grouped else None)


def _pair(split: Split, number: int, row: Any) -> tuple[Any, Any]:
    if isinstance(row, Mapping):
        columns = columns_of([str(name) for name in row])
        if {"image", "label"} <= set(columns):
            return row[columns["image"]], row[columns["label"]]
        raise UserError(f"{split} row {number} has {', '.join(map(str, row))}", expected="image and label")
    if isinstance(row, Sequence) and not isinstance(row, str | bytes) and len(row) == 2:
        return row[0], row[1]
    raise UserError(f"{split} item {number} is a {type(row).__name__}", expected="(image, label)")


def _source(split: Split, number: int, image: Any) -> ImageSource:
    if isinstance(image, Image.Image | np.ndarray):
        return image
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    if isinstance(image, bytes):
        return Encoded(image, f"{split} image {number}")
    if hasattr(image, "__array__"):
        return np.asarray(image)
    raise UserError(
        f"the image of {split} item {number} is a {type(image).__name__}", expected="Pillow's image, an array or a path"
    )


def _label(split: Split, number: int, label: Any) -> str:
    if isinstance(label, str) and label.strip():
        return label.strip()
    if isinstance(label, int | np.integer) or (hasattr(label, "__array__") and np.ndim(label) == 0):
        return str(np.asarray(label).item())
    raise UserError(f"the label of {split} item {number} is {label!r}"[:200], expected="a whole number or text")
