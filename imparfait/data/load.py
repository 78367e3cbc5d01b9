"""Data sets by name, by file or by folder."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError, lookup
from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.idx import PARTS, as_idx, find_idx, read_idx
from imparfait.data.images.input_format import InputFormat, Normalization, is_like_mnist
from imparfait.data.sealed_test import SealedTest
from imparfait.data.splits import split

MNIST = Path(__file__).parent / "mnist"
MNIST_SHA256 = {
    "train-images-idx3-ubyte.xz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.xz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.xz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.xz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}  # of the whole IDX file, uncompressed: the files as published
KINDS = "IDX files, .npy files or class folders, an .npz file"


@dataclass(frozen=True)
class Dataset:
    """Images to learn from, and where there are any, images to validate on and test images under seal."""

    train: LabelledImages
    sealed: SealedTest | None = None
    validation: LabelledImages | None = None
    remark: str = ""
    """Which normalization was chosen and how many images it changed, as a sentence."""
    files: tuple[str, ...] = ()
    """Of class folders, the file of each source id, those of the test images included."""

    @property
    def test(self) -> SealedTest:
        """The sealed test images; raises UserError where the data set has none."""
        if self.sealed is None:
            raise UserError(f"{self.train.name} has no test images (such as {' and '.join(PARTS['test'])}, or test/)")
        return self.sealed

    @property
    def input_format(self) -> InputFormat:
        """What a model trained on these images takes, and how image files are brought to it."""
        return self.train.input_format

    def train_val(self) -> tuple[LabelledImages, LabelledImages]:
        """Images to fit on and images to validate on: as the data set has them, else split by us."""
        return (self.train, self.validation) if self.validation else split(self.train)

    def train_and_val(self) -> LabelledImages:
        """All images that are not for the test."""
        if not self.validation:
            return self.train
        both = (self.train, self.validation)
        joined = [np.concatenate([getattr(part, name) for part in both]) for name in ("pixels", "labels", "sources")]
        return replace(self.train, pixels=joined[0], labels=joined[1], sources=joined[2])


def plainly(things: Iterable[Any], total: int) -> Iterable[Any]:
    """The `Watch` that shows nothing."""
    return things


def load_data(
    data: str | Path = "mnist",
    size: int | None = None,
    normalize: Normalization | InputFormat | None = None,
    watch: Watch = plainly,
) -> Dataset:
    """The data set called `data`, or the one at the path `data`.

    A path is a folder of IDX files (`train-images…`, `train-labels…`, `t10k-…`; plain, .gz or .xz), an .npz file or a
    folder of .npy files (`x_train`, `y_train`, … or `train_images`, `train_labels`, …), or a folder of images:
    `train|val|test/<class>/…`, or `<class>/…`. The test images are read when they are opened.

    `size` brings images of class folders to size × size pixels. `normalize` names the normalization of image files, in
    training and in `predict` (see `imparfait.data.images.normalize`); a model's InputFormat brings them to exactly
    that. The default is `digit` where all training images are framed as MNIST's digits; else, for class folders with a
    size, `letterbox`; else `none`. Raises UserError when a file is not what it says.
    """
    path, declared = Path(data), None if isinstance(normalize, InputFormat) else normalize
    if str(data) in DATASETS or not path.exists():
        is_path = path.suffix or len(path.parts) > 1 or not get_close_matches(str(data), DATASETS)
        if is_path and str(data) not in DATASETS:
            raise UserError(f"{data}: no such file or folder; --data wants {KINDS}, or one of {', '.join(DATASETS)}")
        found = lookup("data set", str(data), DATASETS)(declared)
    elif path.is_dir() and any(find_idx(path, part) for parts in PARTS.values() for part in parts):
        found = _from_idx(path, path.resolve().name, declared)
    elif path.suffix == ".npz" or (path.is_dir() and any(file.is_file() for file in path.glob("*.npy"))):
        found = _from_arrays(path, declared)
    elif path.is_dir() and (found_in_folders := _from_folders(path, size, normalize, watch)):
        return found_in_folders
    else:
        raise UserError(f"{data}: nothing to learn from in it; --data wants {KINDS}, or one of {', '.join(DATASETS)}")
    if size and found.train.pixels.shape[2:] != (size, size):
        height, width = found.train.pixels.shape[2:]
        raise UserError(f"--size is for folders of images; those of {found.train.name} are {height}×{width}")
    return found


def mnist(normalization: Normalization | None = None) -> Dataset:
    """MNIST as published: 60,000 images to learn from and 10,000 under seal; it comes with the package."""
    found = _from_idx(MNIST, "mnist", normalization, MNIST_SHA256)
    return found if normalization else replace(found, remark="")


DATASETS: dict[str, Callable[[Normalization | None], Dataset]] = {"mnist": mnist}


def _from_idx(
    folder: Path, name: str, normalization: Normalization | None, sha256: dict[str, str] | None = None
) -> Dataset:
    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        pair = []
        for part in PARTS[split]:
            path = find_idx(folder, part)
            if path is None:
                raise UserError(f"{folder}: no file named {part}… in it; expected {', '.join(PARTS[split])}")
            pair.append(read_idx(path))
            if sha256 and hashlib.sha256(as_idx(pair[-1])).hexdigest() != sha256[path.name]:
                raise UserError(f"{path}: not the file as published (its sha256 differs); install imparfait again")
        return pair[0], pair[1]

    there = all(find_idx(folder, part) for part in PARTS["test"])
    return _from_pairs(folder, name, read, {"train"} | ({"test"} if there else set()), normalization)


def _from_arrays(path: Path, normalization: Normalization | None) -> Dataset:
    from imparfait.data import npz

    names = npz.names_in(path)
    pairs = {split: pair for split in npz.NAMES if (pair := npz.find_arrays(names, split))}
    if "train" not in pairs:
        expected = " or ".join(" and ".join(pair) for pair in npz.NAMES["train"])
        raise UserError(
            f"{path}: no training images in it ({', '.join(sorted(names)) or 'nothing'}); expected {expected}"
        )

    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        images, labels = (npz.read_array(path, name) for name in pairs[split])
        return images, labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels

    return _from_pairs(path, path.resolve().stem, read, set(pairs), normalization)


def _from_pairs(
    path: Path,
    name: str,
    read: Callable[[str], tuple[np.ndarray, np.ndarray]],
    has: set[str],
    normalization: Normalization | None,
) -> Dataset:
    """A data set from arrays of images and labels: `read` gives those of one split.

    Arrays keep their pixels, whatever `normalization` is to be recorded; only to `digit` they are brought where they
    are not framed like that.
    """
    images, numbers = read("train")
    _check_pair(path, "train", images, numbers)
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) < 2 or counts.min() < 2:
        few = values[counts.argmin()]
        raise UserError(
            f"{path}: the train labels have {len(values)} classes, {few} with {counts.min()} image(s); "
            "expected two classes or more, of two images each or more"
        )
    classes = tuple(map(str, values.tolist()))
    as_digits = is_like_mnist(_planes(path, "train", images))
    chosen: Normalization = normalization or ("digit" if as_digits else "none")
    if chosen == "digit" and images.ndim == 4 and images.shape[3] == 3:
        raise UserError(f"{path}: normalization digit for images in colour", expected="none, resize or letterbox")

    def labelled(split: Split, images: np.ndarray, numbers: np.ndarray, first: int) -> LabelledImages:
        places = np.searchsorted(values, numbers).clip(max=len(values) - 1)
        if (wrong := values[places] != numbers).any():
            raise UserError(
                f"{path}: a {split} label is {numbers[wrong][0]}; expected one of the train labels, {_listed(classes)}"
            )
        sources = np.arange(first, first + len(numbers))
        planes = _planes(path, split, images)
        if chosen == "digit" and not as_digits:
            planes = _as_digits(planes)
        return LabelledImages(planes, places.astype(np.int64), sources, classes, name, split, chosen)

    def read_other(split: Split, first: int) -> LabelledImages:
        pair = read(split)
        _check_pair(path, split, *pair)
        other = labelled(split, *pair, first)
        return _like(train, other, path)

    train = labelled("train", images, numbers, 0)
    validation = read_other("validation", len(train)) if "validation" in has else None
    first_test = len(train) + (len(validation) if validation else 0)
    sealed = SealedTest(name, lambda: read_other("test", first_test)) if "test" in has else None
    height, width = train.pixels.shape[2:]
    done = " (every image brought to it)" if chosen == "digit" and not as_digits else ""
    return Dataset(train, sealed, validation, f"normalization {chosen}: arrays of {height}×{width} pixels{done}")


def _as_digits(planes: np.ndarray) -> np.ndarray:
    from imparfait.data.images.decode import page_of
    from imparfait.data.images.normalize import normalize

    form = InputFormat(channels=1, height=planes.shape[2], width=planes.shape[3], normalization="digit")
    return np.stack([normalize(page_of(image), form).pixels for image in planes[:, 0]])


def _from_folders(
    path: Path, size: int | None, normalize: Normalization | InputFormat | None, watch: Watch
) -> Dataset | None:
    """The data set in class folders; None where there are none."""
    from imparfait.data import image_folder

    splits = image_folder.find_class_folders(path)
    if not splits:
        return None
    model_input = normalize if isinstance(normalize, InputFormat) else None
    wanted = image_folder.Wanted(size, None if isinstance(normalize, InputFormat) else normalize, model_input)
    if "train" not in splits:
        raise UserError(f"{path}: {' and '.join(splits)} but no train in it; expected train/<class>/… or <class>/…")
    name, classes = path.resolve().name, splits["train"].classes
    if len(classes) < 2 or min(map(len, splits["train"].files.values())) < 2:
        raise UserError(f"{splits['train'].path}: expected two class folders or more, of two images each or more")
    remarks = []

    def read(split: Split, first: int, wanted: image_folder.Wanted) -> LabelledImages:
        pixels, labels, form, remark = image_folder.read_class_folders(splits[split], classes, wanted, watch)
        remarks.append(f"{split}: {remark}")
        sources = np.arange(first, first + len(labels))
        return LabelledImages(pixels, labels, sources, classes, name, split, form.normalization)

    train = read("train", 0, wanted)
    known = replace(wanted, known=train.input_format)
    validation = read("validation", len(train), known) if "validation" in splits else None
    first_test = len(train) + (len(validation) if validation else 0)
    sealed = SealedTest(name, lambda: read("test", first_test, known)) if "test" in splits else None
    in_order = (splits[split] for split in image_folder.SPLITS if split in splits)
    files = tuple(file for folders in in_order for paths in folders.files.values() for file in paths)
    return Dataset(train, sealed, validation, "; ".join([f"normalization {train.normalization}", *remarks]), files)


def _check_pair(path: Path, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.ndim not in (3, 4) or labels.ndim != 1 or len(images) != len(labels) or not images.size:
        raise UserError(
            f"{path}: {split} images of shape {images.shape} with labels of shape {labels.shape}; "
            "expected [n, height, width] or [n, height, width, channels] with [n], none of them 0"
        )
    if images.dtype != np.uint8:
        raise UserError(f"{path}: {split} images of {images.dtype}; expected uint8, 0 to 255")


def _planes(path: Path, split: str, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        return np.ascontiguousarray(images)[:, None]
    if images.shape[3] not in (1, 3):
        raise UserError(f"{path}: {split} images of {images.shape[3]} channels; expected 1 (grey) or 3 (colour)")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _like(train: LabelledImages, other: LabelledImages, path: Path) -> LabelledImages:
    if other.pixels.shape[1:] != train.pixels.shape[1:]:
        shapes = ["×".join(map(str, data.pixels.shape[1:])) for data in (other, train)]
        raise UserError(f"{path}: {other.split} images of {shapes[0]} (channels×height×width), train of {shapes[1]}")
    return other


def _listed(classes: tuple[str, ...]) -> str:
    return ", ".join(classes if len(classes) <= 12 else (*classes[:5], "…", *classes[-2:]))
