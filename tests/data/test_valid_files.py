"""Data files of every format and type that is accepted are loaded unchanged."""

from pathlib import Path

import numpy as np
import pytest
from helpers.data_files import (
    CLASSES,
    PACK,
    ImageArrays,
    named_arrays,
    npy,
    write_folders,
    write_idx,
    write_npy,
    write_npz,
)
from helpers.opened_files import open_all


def all_idx(random: np.random.Generator, folder: Path) -> tuple[Path, ImageArrays]:
    images = ImageArrays.drawn(random, ("train", "test") if random.integers(2) else ("train",))
    return write_idx(folder, images, str(random.choice(list(PACK)))), images


def all_npz(random: np.random.Generator, folder: Path) -> tuple[Path, ImageArrays]:
    splits = ("train", "val", "test") if random.integers(2) else ("train", "test")
    images = ImageArrays.drawn(random, splits)
    names = [("x_{}", "y_{}"), ("{}_images", "{}_labels")][random.integers(2)]
    arrays = named_arrays(images, names)
    for name, array in arrays.items():
        if array.ndim == 1:  # labels, in any type of whole numbers, also as a column (MedMNIST)
            kind = random.choice(["uint8", "int8", "int32", "int64", ">i2"])
            arrays[name] = array.astype(kind) if random.integers(2) else array.astype(kind)[:, None]
        elif random.integers(2):
            arrays[name] = np.asfortranarray(array)
    return write_npz(folder, {n: npy(a) for n, a in arrays.items()}, bool(random.integers(2))), images


def all_npy(random: np.random.Generator, folder: Path) -> tuple[Path, ImageArrays]:
    images = ImageArrays.drawn(random)
    return write_npy(folder, images), images


def all_folders(random: np.random.Generator, folder: Path) -> tuple[Path, ImageArrays]:
    images = ImageArrays.drawn(random, ("train", "val", "test"))
    write_folders(folder, images, str(random.choice([".png", ".bmp", ".tif", ".ppm"])))
    return folder, images


@pytest.mark.parametrize("write", [all_idx, all_npz, all_npy, all_folders], ids=lambda write: write.__name__)
def test_a_valid_file_is_read_as_it_is(tmp_path: Path, write, fuzz_count: int) -> None:
    for seed in range(-(-fuzz_count // 10)):
        home, images = write(np.random.default_rng(seed), tmp_path / str(seed))
        dataset, found = open_all(home)
        assert set(found) == set(images.splits)
        for split, (pixels, labels) in images.splits.items():
            read_pixels, read_labels = found[split]
            order = np.argsort(labels, kind="stable") if write is all_folders else slice(None)
            assert np.array_equal(read_pixels, pixels[order])
            assert np.array_equal(read_labels, labels[order])
        names = CLASSES if write is all_folders else tuple("0123")
        assert dataset.train.classes == names[: len(dataset.train.classes)]
