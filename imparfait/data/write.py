"""Corrupted images as data sets of their own, in files that `load_data` and anybody else can read."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field, NonNegativeInt

from imparfait.core.errors import UserError
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.idx import as_idx
from imparfait.data.image_folder import Watch
from imparfait.data.load import Dataset

IDX_NAMES = {
    "train": ("train-images-idx{}-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx{}-ubyte", "t10k-labels-idx1-ubyte"),
}
FOLDER_NAMES = {"train": "train", "validation": "val", "test": "test"}


class Order(BaseModel, frozen=True, extra="forbid"):
    """What to write: each of `corruptions` at each of `severities`, of the images of `splits`."""

    corruptions: tuple[str, ...]
    severities: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    splits: tuple[Split, ...] = ("train",)
    seed: NonNegativeInt = 0
    format: Literal["folders", "idx"] = "folders"

    def each(self) -> Iterator[tuple[str, str, float]]:
        """Every data set that is to be written: its name, the corruption, the severity."""
        for corruption in self.corruptions:
            for severity in self.severities:
                yield f"{corruption}-{severity:g}", corruption, severity


class Manifest(BaseModel, frozen=True):
    """What was written, so that it can be written again: `sha256` are LabelledImages' fingerprints."""

    order: Order
    data: str
    classes: tuple[str, ...]
    sha256_of_data: dict[Split, str]
    sha256: dict[str, str]
    imparfait: str


def write_corrupted(
    dataset: Dataset, order: Order, folder: Path, ledger: Path, watch: Callable[[str], Watch]
) -> Manifest:
    """Write what `order` says into `folder`, one folder a data set; `watch(what)` may show how far it is.

    Corrupted test images open the test, which is written into `ledger`.
    """
    of_data: dict[Split, str] = {}
    written: dict[str, str] = {}
    for split in order.splits:
        with _pictures(dataset, split, ledger) as data:
            of_data[split] = data.fingerprint()
            for name, corruption, severity in order.each():
                (folder / name).mkdir(exist_ok=True)
                changed = corrupt(data, corruption, severity, order.seed)
                written[f"{name} {split}"] = changed.fingerprint()
                WRITERS[order.format](folder / name, changed, watch(f"{name}, {split}"))
    train = dataset.train
    return Manifest(
        order=order,
        data=train.name,
        classes=train.classes,
        sha256_of_data=of_data,
        sha256=written,
        imparfait=version("imparfait"),
    )


@contextmanager
def _pictures(dataset: Dataset, split: Split, ledger: Path) -> Iterator[LabelledImages]:
    if split == "test":
        with dataset.test.open(ledger, "none: corrupted and written to files") as opening:
            opening.result = "no classifier"
            yield opening.images
    elif split == "validation":
        if dataset.validation is None:
            raise UserError(f"{dataset.train.name} has no validation images of its own; leave --split validation out")
        yield dataset.validation
    else:
        yield dataset.train


def _write_idx(folder: Path, data: LabelledImages, watch: Watch) -> None:
    """Two IDX files named as MNIST's are; a label is the class's name where all names are numbers, else its place."""
    if data.split not in IDX_NAMES:
        raise UserError(f"IDX files have no name for {data.split} images; write --dataset folders")
    planes = data.pixels[:, 0] if data.channels == 1 else data.pixels.transpose(0, 2, 3, 1)
    numbers = all(name.isdecimal() and int(name) < 256 for name in data.classes)
    values = np.array([int(name) if numbers else place for place, name in enumerate(data.classes)], np.uint8)
    images, labels = IDX_NAMES[data.split]
    files: Iterable[Any] = [(images.format(planes.ndim), planes), (labels, values[data.labels])]
    for name, array in watch(files, 2):
        (folder / name).write_bytes(as_idx(array))


def _write_folders(folder: Path, data: LabelledImages, watch: Watch) -> None:
    """Each image as a PNG named by its source's id: train/<class>/000042.png, and val and test likewise."""
    digits = len(str(data.sources.max()))
    homes = [folder / FOLDER_NAMES[data.split] / name for name in data.classes]
    for home in homes:
        home.mkdir(parents=True)
    rows = zip(data.pixels, data.labels.tolist(), data.sources.tolist(), strict=True)
    for image, label, source in watch(rows, len(data)):
        planes = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(planes)).save(homes[label] / f"{source:0{digits}d}.png")


WRITERS: dict[str, Callable[[Path, LabelledImages, Watch], None]] = {"folders": _write_folders, "idx": _write_idx}
