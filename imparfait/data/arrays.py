"""Data sets from arrays of images and labels: checked, in channels first, their labels as indices of classes."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.names import check_names
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.group_names import NO_GROUPS
from imparfait.data.image_files import FileFacts, Wanted
from imparfait.data.image_folder import in_order
from imparfait.data.images.input_format import InputFormat, Normalization, is_like_mnist
from imparfait.data.sealed_test import SealedTest
from imparfait.data.split_dataset import Dataset

Arrays = tuple[np.ndarray, np.ndarray]
"""Images [n, height, width], [n, height, width, channels] or [n, channels, height, width], and labels [n]."""


def from_arrays(
    path: str,
    name: str,
    read: Callable[[Split], Arrays],
    has: Collection[Split],
    wanted: Wanted,
    names: Mapping[int, str] | None = None,
) -> Dataset:
    """A data set from arrays: `read` gives those of one split; `names` are names of classes by their labels.

    Arrays keep their pixels, whatever normalization is to be recorded; only to `digit` they are brought where they are
    not framed like that.
    """
    if wanted.group not in (None, NO_GROUPS):
        raise UserError(
            f"--group {wanted.group}: {path} has arrays of images, without paths and columns",
            expected="image files in folders or in a table",
        )
    if wanted.added:
        raise UserError(
            f"{path}: has arrays of images, to which no files can be added",
            expected="image files in folders or in a table",
        )
    images, labels = read("train")
    _check_pair(path, "train", images, labels)
    values, counts = np.unique(labels, return_counts=True)
    classes = tuple((names or {}).get(value, str(value)) for value in values.tolist())
    index = np.arange(len(values))
    if labels.dtype.kind == "U":  # numbers in names by their value, as in tables
        classes = tuple(in_order(dict.fromkeys(classes)))
        index = np.array([classes.index(value) for value in values.tolist()])
    check_names(path, classes)
    if len(values) < 2 or counts.min() < 2:
        few = values[counts.argmin()]
        raise UserError(
            f"{path}: the train labels have {counted(len(values), 'class', 'classes')}, {few} with "
            f"{counted(int(counts.min()), 'image')}; "
            "expected two classes or more, of two images each or more"
        )
    planes = planes_of(path, "train", images)
    was = planes.shape[1]
    planes = in_channels(planes, wanted.channels)
    as_digits = is_like_mnist(planes)
    chosen: Normalization = wanted.normalization or ("digit" if as_digits else "none")
    if chosen == "digit" and planes.shape[1] == 3:
        raise UserError(f"{path}: normalization digit for images in colour", expected="none, resize or letterbox")

    def labelled(split: Split, planes: np.ndarray, labels: np.ndarray, first: int) -> LabelledImages:
        if (labels.dtype.kind == "U") != (values.dtype.kind == "U"):
            raise UserError(f"{path}: {split} labels of {labels.dtype}", expected=f"{values.dtype}, as in training")
        places = np.searchsorted(values, labels).clip(max=len(values) - 1)
        if (wrong := values[places] != labels).any():
            raise UserError(
                f"{path}: a {split} label is {labels[wrong][0]}; expected one of the train labels, {_listed(classes)}"
            )
        sources = np.arange(first, first + len(labels))
        if chosen == "digit" and not as_digits:
            planes = _as_digits(planes)
        return LabelledImages(planes, index[places].astype(np.int64), sources, classes, name, split, chosen)

    def read_other(split: Split, first: int) -> LabelledImages:
        images, labels = read(split)
        _check_pair(path, split, images, labels)
        planes = in_channels(planes_of(path, split, images), wanted.channels)
        return _like(train, labelled(split, planes, labels, first), path)

    train = labelled("train", planes, labels, 0)
    validation = read_other("validation", len(train)) if "validation" in has else None
    first_test = len(train) + (len(validation) if validation else 0)
    sealed = SealedTest(name, lambda: read_other("test", first_test)) if "test" in has else None
    height, width = train.pixels.shape[2:]
    done = " (every image brought to it)" if chosen == "digit" and not as_digits else ""
    remark = f"normalization {chosen}: arrays of {height}×{width} pixels{done}"
    if train.channels != was:
        remark += ", colour turned to grey" if train.channels == 1 else ", grey repeated in 3 channels"
    parts = (lambda watch: iter([(read_other("test", first_test), FileFacts())])) if "test" in has else None
    return Dataset(train, sealed, validation, remark, read_parts=parts)


def _as_digits(planes: np.ndarray) -> np.ndarray:
    from imparfait.data.images.decode import page_of
    from imparfait.data.images.normalize import normalize

    form = InputFormat(channels=1, height=planes.shape[2], width=planes.shape[3], normalization="digit")
    return np.stack([normalize(page_of(image), form).pixels for image in planes[:, 0]])


def in_channels(planes: np.ndarray, channels: int | None) -> np.ndarray:
    """Images in so many channels, as `predict` brings them: their lightness in one, grey repeated in three."""
    if channels in (None, planes.shape[1]):
        return planes
    if channels == 3:
        return planes.repeat(3, 1)
    from imparfait.data.images.foreground import lightness

    grey = np.empty((len(planes), 1, *planes.shape[2:]), np.uint8)
    for plane, image in zip(grey[:, 0], planes, strict=True):
        levels = np.ascontiguousarray(np.moveaxis(image / np.float32(255), 0, 2), np.float32)
        plane[:] = np.rint(lightness(levels) * 255)
    return grey


def _check_pair(path: str, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.ndim not in (3, 4) or labels.ndim != 1 or len(images) != len(labels) or not images.size:
        raise UserError(
            f"{path}: {split} images of shape {images.shape} with labels of shape {labels.shape}; "
            "expected [n, height, width] or [n, height, width, channels] with [n], none of them 0"
        )
    if images.dtype != np.uint8:
        raise UserError(f"{path}: {split} images of {images.dtype}; expected uint8, 0 to 255")


def planes_of(path: str, split: str, images: np.ndarray) -> np.ndarray:
    """Images as `[n, channels, height, width]`; raises UserError for other numbers of channels than 1 and 3."""
    if images.ndim == 3:
        return np.ascontiguousarray(images)[:, None]
    if images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        return np.ascontiguousarray(images)  # channels first
    if images.shape[3] not in (1, 3):
        raise UserError(f"{path}: {split} images of {images.shape[3]} channels; expected 1 (grey) or 3 (colour)")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _like(train: LabelledImages, other: LabelledImages, path: str) -> LabelledImages:
    if other.pixels.shape[1:] != train.pixels.shape[1:]:
        shapes = ["×".join(map(str, data.pixels.shape[1:])) for data in (other, train)]
        raise UserError(f"{path}: {other.split} images of {shapes[0]} (channels×height×width), train of {shapes[1]}")
    return other


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes if len(classes) <= 12 else (*classes[:5], "…", *classes[-2:]))
