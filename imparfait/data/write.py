"""Corrupted data sets written to files: class folders of PNGs, or IDX."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, NonNegativeInt, ValidationError, field_validator

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_directory, read_regular, write_json
from imparfait.core.types import Watch
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.idx import as_idx
from imparfait.data.images.encode import image_of_planes
from imparfait.data.load import Dataset, plainly
from imparfait.data.test_ledger import ledger_for

IDX_NAMES = {
    "train": ("train-images-idx{}-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx{}-ubyte", "t10k-labels-idx1-ubyte"),
}
MANIFEST = "manifest.json"
FOLDER_NAMES = {"train": "train", "validation": "val", "test": "test"}


class Order(BaseModel, frozen=True, extra="forbid"):
    """What to write: each of `corruptions` at each of `severities`, for the images of `splits`.

    Without `splits`, the training images, and the validation images if the data set has some.
    """

    corruptions: tuple[str, ...]
    severities: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    splits: tuple[Split, ...] = ()
    seed: NonNegativeInt = 0
    format: Literal["folders", "idx"] = "folders"

    @field_validator("severities")
    @classmethod
    def _not_empty(cls, severities: tuple[float, ...]) -> tuple[float, ...]:
        if not severities:
            raise UserError("--dataset without --severity", hint="write --severity, from 0 (unchanged) to 1")
        return severities

    def data_sets(self) -> Iterator[tuple[str, str, float]]:
        """The data sets to write: name, corruption, severity."""
        for corruption in self.corruptions:
            for severity in self.severities:
                yield f"{corruption}-{severity:g}", corruption, severity


class Manifest(BaseModel, frozen=True):
    """What was written, so that it can be reproduced; `sha256` are fingerprints of LabelledImages."""

    order: Order
    data: str
    classes: tuple[str, ...]
    sha256_of_data: dict[Split, str]
    sha256: dict[str, str]
    imparfait: str


MAX_MANIFEST_BYTES = 1 << 24


def read_manifest(path: Path) -> Manifest:
    """The manifest.json that `write_corrupted` left; raises UserError when it is none."""
    try:
        return Manifest.model_validate_json(
            read_regular(path, MAX_MANIFEST_BYTES, "a manifest.json that corrupt wrote")
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise UserError(f"{path}: {where}: {first['msg']}", expected="what `imparfait corrupt` wrote") from error


def write_corrupted(
    dataset: Dataset, order: Order | Manifest, out: Path, watch: Callable[[str], Watch] = lambda title: plainly
) -> Manifest:
    """Write the data sets of `order` into the new folder `out`, with a manifest.json; `watch(title)` shows progress.

    A manifest is reproduced: nothing is written unless the pixels are the same. Corrupting the test set is a test
    access, recorded in the ledger beside `out`. Raises UserError when `out` exists or the pixels differ.
    """
    expected, order = (order, order.order) if isinstance(order, Manifest) else (None, order)
    if out.exists():
        raise UserError(f"--out {out}: exists already", hint="name a folder that does not exist, or remove it")
    sources = expected.sha256_of_data if expected else {}
    if expected and sources.get("train", dataset.train.fingerprint()) != dataset.train.fingerprint():
        raise UserError(
            f"--data {dataset.train.name}: has other training images", expected=f"{expected.data}, as in the manifest"
        )
    if not order.splits:
        own: tuple[Split, ...] = ("train", "validation") if dataset.validation else ("train",)
        order = order.model_copy(update={"splits": own})
    of_data: dict[Split, str] = {}
    written: dict[str, str] = {}
    with atomic_directory(out) as folder:
        for split in order.splits:
            with _images_of(dataset, split, ledger_for(out.parent)) as data:
                of_data[split] = data.fingerprint()
                for name, corruption, severity in order.data_sets():
                    (folder / name).mkdir(exist_ok=True)
                    corrupted = corrupt(data, corruption, severity, order.seed)
                    written[f"{name} {split}"] = corrupted.fingerprint()
                    WRITERS[order.format](folder / name, corrupted, watch(f"{name}, {split}"))
        for name, sha256 in (expected.sha256 if expected else {}).items():
            if written.get(name) != sha256:
                raise UserError(f"{name}: its pixels differ from the manifest's (sha256)", hint="nothing was written")
        train = dataset.train
        manifest = Manifest(
            order=order,
            data=train.name,
            classes=train.classes,
            sha256_of_data=of_data,
            sha256=written,
            imparfait=version("imparfait"),
        )
        write_json(folder / MANIFEST, manifest.model_dump())
    return manifest


@contextmanager
def _images_of(dataset: Dataset, split: Split, ledger: Path) -> Iterator[LabelledImages]:
    if split == "test":
        with dataset.test.open(ledger, "none: corrupted and written to files") as access:
            access.result = "no classifier"
            yield access.images
    elif split == "validation":
        if dataset.validation is None:
            raise UserError(
                f"{dataset.train.name} has no validation images of its own", hint="leave --split validation out"
            )
        yield dataset.validation
    else:
        yield dataset.train


def _write_idx(folder: Path, data: LabelledImages, watch: Watch) -> None:
    """Two IDX files named as MNIST's; labels are the class names where all are numbers, else their indices."""
    if data.split not in IDX_NAMES:
        raise UserError(f"IDX files have no name for {data.split} images", hint="write --dataset folders")
    planes = data.pixels[:, 0] if data.channels == 1 else data.pixels.transpose(0, 2, 3, 1)
    numbers = all(name.isdecimal() and int(name) < 256 for name in data.classes)
    values = np.array([int(name) if numbers else index for index, name in enumerate(data.classes)], np.uint8)
    images, labels = IDX_NAMES[data.split]
    files: Iterable[Any] = [(images.format(planes.ndim), planes), (labels, values[data.labels])]
    for name, array in watch(files, 2):
        (folder / name).write_bytes(as_idx(array))


def _write_folders(folder: Path, data: LabelledImages, watch: Watch) -> None:
    """A PNG per image, named by its source id: train/<class>/000042.png, and likewise val and test."""
    digits = len(str(data.sources.max()))
    folders = [folder / FOLDER_NAMES[data.split] / name for name in data.classes]
    for class_folder in folders:
        class_folder.mkdir(parents=True)
    rows = zip(data.pixels, data.labels.tolist(), data.sources.tolist(), strict=True)
    for image, label, source in watch(rows, len(data)):
        image_of_planes(image).save(folders[label] / f"{source:0{digits}d}.png")


WRITERS: dict[str, Callable[[Path, LabelledImages, Watch], None]] = {"folders": _write_folders, "idx": _write_idx}
