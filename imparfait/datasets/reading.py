"""Data sets by name or by folder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imparfait.datasets.idx import PARTS, find_idx, read_idx
from imparfait.datasets.labelled import LabelledImages, Split
from imparfait.datasets.sealed import SealedTest
from imparfait.errors import UserError, lookup

MNIST = Path(__file__).parents[1] / "data" / "mnist"
MNIST_SHA256 = {
    "train-images-idx3-ubyte.xz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.xz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.xz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.xz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}  # of the whole IDX file, uncompressed: the files as published


@dataclass(frozen=True)
class Dataset:
    """Pictures to learn from, and test pictures under seal, where there are any."""

    train: LabelledImages
    sealed: SealedTest | None

    @property
    def test(self) -> SealedTest:
        """The sealed test pictures; raises UserError where the data set has none."""
        if self.sealed is None:
            raise UserError(
                f"{self.train.name} has no test pictures ({' and '.join(PARTS['test'])} are wanted in its folder)"
            )
        return self.sealed


def load_data(data: str | Path = "mnist") -> Dataset:
    """The data set called `data`, or the one in the folder of IDX files `data`.

    A folder holds `train-images…`, `train-labels…`, `t10k-images…` and `t10k-labels…`, each plain, .gz or .xz.
    The training pictures are read now, the test pictures when they are opened.
    """
    folder = Path(data)
    if str(data) in DATASETS or not folder.is_dir():
        if folder.suffix or len(folder.parts) > 1:
            raise UserError(
                f"{data}: no such folder; --data wants a folder of IDX files or one of {', '.join(DATASETS)}"
            )
        return lookup("data set", str(data), DATASETS)()
    return _from_folder(folder, folder.resolve().name)


def mnist() -> Dataset:
    """MNIST as published: 60,000 pictures to learn from and 10,000 under seal; it comes with the package."""
    return _from_folder(MNIST, "mnist", MNIST_SHA256)


DATASETS: dict[str, Callable[[], Dataset]] = {"mnist": mnist}


def _from_folder(folder: Path, name: str, sha256: dict[str, str] | None = None) -> Dataset:
    train = _read_split(folder, name, "train", 0, sha256)
    classes = train.classes

    def read_test() -> LabelledImages:
        return _read_split(folder, name, "test", len(train), sha256, classes)

    there = all(find_idx(folder, part) for part in PARTS["test"])
    return Dataset(train, SealedTest(name, read_test) if there else None)


def _read_split(
    folder: Path,
    name: str,
    split: Split,
    first_source: int,
    sha256: dict[str, str] | None,
    classes: tuple[str, ...] | None = None,
) -> LabelledImages:
    arrays = []
    for part in PARTS[split]:
        path = find_idx(folder, part)
        if path is None:
            raise UserError(f"{folder}: no file named {part}… in it; wanted are {', '.join(PARTS[split])}")
        arrays.append(read_idx(path))
        if sha256 and hashlib.sha256(_as_idx(arrays[-1])).hexdigest() != sha256[path.name]:
            raise UserError(f"{path}: not the file as published (its sha256 differs); install imparfait again")
    images, labels = arrays
    if images.ndim not in (3, 4) or labels.ndim != 1 or len(images) != len(labels) or not len(labels):
        raise UserError(
            f"{folder}: {split} pictures of shape {images.shape} with labels of shape {labels.shape}; "
            "wanted are [n, height, width] or [n, height, width, channels] with [n], n above 0"
        )
    classes = classes or tuple(str(label) for label in range(int(labels.max()) + 1))
    if int(labels.max()) >= len(classes):
        raise UserError(
            f"{folder}: a {split} label is {labels.max()}, but the training labels end at {len(classes) - 1}"
        )
    pixels = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    sources = np.arange(first_source, first_source + len(labels))
    return LabelledImages(pixels, labels.astype(np.int64), sources, classes, name, split)


def _as_idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()
