"""Data sets by name, by file or by folder, or from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.progress import ShowProgress, watch_with
from imparfait.core.types import Watch
from imparfait.data.arrays import from_arrays
from imparfait.data.dataset import Split
from imparfait.data.idx import as_idx, read_idx
from imparfait.data.image_files import Wanted
from imparfait.data.images.centre_crop import CentreCrop
from imparfait.data.images.input_format import InputFormat, Normalization
from imparfait.data.locate import KINDS, no_data
from imparfait.data.locate import parts_of as parts_of
from imparfait.data.split_dataset import Dataset as Dataset  # where others look for it

MNIST = Path(__file__).parent / "mnist"
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte.xz", "train-labels-idx1-ubyte.xz"),
    "test": ("t10k-images-idx3-ubyte.xz", "t10k-labels-idx1-ubyte.xz"),
}
MNIST_SHA256 = {
    "train-images-idx3-ubyte.xz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.xz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.xz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.xz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}  # of the whole IDX file, uncompressed: the files as published


def plainly(things: Any, total: int) -> Any:
    """The `Watch` that shows nothing."""
    return things


def load_data(
    data: Any = "mnist",
    size: int | None = None,
    normalize: Normalization | InputFormat | None = None,
    watch: Watch | None = None,
    *,
    channels: int | None = None,
    skip_unreadable: bool = False,
    group: str | None = None,
    file_size: int | None = None,
    centre: CentreCrop | None = None,
    whole: bool = False,
    progress: ShowProgress = False,
) -> Dataset:
    """The data set called `data`, the one at the path `data`, or the images and labels that `data` holds.

    A path is a folder of images (`train|val|test/<class>/…`, or `<class>/…`), a CSV or Parquet table (`image_path`,
    `label`, and perhaps `split` and `group`), a CSV file with pixels in its rows, IDX files, an .npz file, a folder of
    .npy files, SVHN's .mat files, or a zip archive of any of these. Folders and tables of image files can be added to
    each other: my_images+labels.csv. In memory: `(images, labels)` as arrays, a sequence of `(image, label)`, a pandas
    table, or a dictionary of these by split. The test images are read when they are opened.

    `size` brings images of files to size × size pixels, `file_size` too where no `size` is given; other formats are of
    the size they are. `normalize` names the normalization of image files, in
    training and in `predict` (see `imparfait.data.images.normalize`); a model's InputFormat brings them to exactly
    that. The default is `digit` where all training images are framed as MNIST's digits; else, for image files with a
    size, `resize` where nearly all have one orientation and `letterbox` where not; else `none`. `channels` 1 turns
    colours to grey, 3 grey to colour. `skip_unreadable` leaves out image files that cannot be read, and counts them.
    `group` tells which images stay on one side of every split: a column of the table, "parent" for the folder that an
    image is in, or a regular expression with one group, searched in its path; "none" for no groups. By default it is a
    column called group. `centre` resizes and crops image files before anything else. `whole` makes one split of all
    images, those for the test included, to evaluate a model that was trained on none of them. `progress` True draws a
    bar over image files; a function is called with how many are read and the total. `watch` may show it otherwise.
    Raises UserError when a file is not what it says.

    >>> data = imparfait.load_data("mnist")
    >>> data.train
    <60,000 train images of mnist: 28×28, 1 channel, 10 classes>
    >>> import numpy as np
    >>> imparfait.load_data((np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2)).train.classes
    ('0', '1')
    """
    watch = watch or watch_with(progress, "reading images")
    known = normalize if isinstance(normalize, InputFormat) else None
    declared = None if isinstance(normalize, InputFormat) else normalize
    channels = known.channels if known else channels
    side = size or (None if declared == "none" else file_size)
    wanted = Wanted(side, declared, channels, known, skip_unreadable, group, centre, whole)
    if isinstance(data, str | Path):
        found = _at(data, wanted, watch)
    else:
        from imparfait.data.samples import from_memory

        found = from_memory(data, wanted, watch)
    if size and not found.files and found.train.pixels.shape[2:] != (size, size):
        height, width = found.train.pixels.shape[2:]
        raise UserError(f"--size is for folders of images; those of {found.train.name} are {height}×{width}")
    return found.whole() if whole and not found.files else found


def _at(data: str | Path, wanted: Wanted, watch: Watch) -> Dataset:
    from imparfait.data import formats

    path = Path(data)
    first, *others = parts_of(str(data))
    if others:
        added = [formats.read_files(Path(other), wanted.group) for other in others]
        return _at(first, replace(wanted, added=added), watch)
    if str(data) in DATASETS or not path.exists():
        if str(data) not in DATASETS and (inside := formats.read_inside(path, wanted, watch)):
            return inside
        if str(data) not in DATASETS:
            raise no_data(str(data))
        return DATASETS[str(data)](wanted)
    found = formats.read_path(path, wanted, watch)
    if found is None and (images := formats.count_images(path)):
        raise UserError(
            f"{data}: {counted(images, 'image')}, but neither class folders nor a table of labels",
            expected="two classes or more",
            hint=f"put them into {path / '<class>'}/, or add a .csv file with columns image_path and label",
        )
    if found is None:
        raise UserError(f"{data}: nothing to learn from in it; --data wants {KINDS}, or one of {', '.join(DATASETS)}")
    return found


def mnist(wanted: Wanted) -> Dataset:
    """MNIST as published: 60,000 images to learn from and 10,000 under seal; it comes with the package."""

    def read(split: Split) -> tuple[np.ndarray, np.ndarray]:
        pair = []
        for name in MNIST_FILES[split]:
            pair.append(read_idx(MNIST / name))
            if hashlib.sha256(as_idx(pair[-1])).hexdigest() != MNIST_SHA256[name]:
                raise UserError(
                    f"{MNIST / name}: not the file as published (its sha256 differs); install imparfait again"
                )
        return pair[0], pair[1]

    found = from_arrays(str(MNIST), "mnist", read, ("train", "test"), wanted)
    return found if wanted.normalization else replace(found, remark="")


DATASETS: dict[str, Callable[[Wanted], Dataset]] = {"mnist": mnist}
