"""Data sets as people have them: each format gives the same images, labels and splits."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import CLASSES
from helpers.data_formats import (
    COLOUR,
    GREY,
    check_same,
    class_folders,
    each_format,
    folders_that_are_links,
    images_of,
    save,
    zipped,
)
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.load import load_data


@each_format
def test_every_format_has_the_same_images(write: Callable[[Path], Path], tmp_path: Path) -> None:
    check_same(load_data(write(tmp_path / "data")), tmp_path / "ledger.csv")


def test_classes_may_end_in_a_splits_name(tmp_path: Path) -> None:
    for number, name in enumerate(["freight train", "crash test", "car"] * 2):
        save(tmp_path / name / f"{number}.png", GREY.pixels[number])
    assert load_data(tmp_path).train.classes == ("car", "crash test", "freight train")


def test_images_without_labels_are_a_user_error(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "photos" / f"{number}.png", GREY.pixels[number])
    for path in (tmp_path / "photos", zipped(tmp_path / "photos", tmp_path / "photos.zip")):
        with pytest.raises(UserError, match="4 images, but neither class folders nor a table of labels"):
            load_data(path)


@pytest.mark.parametrize(
    "name", ["labels.csv", "train-images-idx3-ubyte", "x_train.npy", "train_32x32.mat", "data.npz"]
)
def test_a_pipe_is_no_data_file(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=r"no regular file|nothing to learn|no training images|no file named"):
        load_data(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    dataset = load_data(folders_that_are_links(tmp_path))
    assert dataset.validation is not None
    assert len(dataset.validation) == 6
    assert set(dataset.train.classes) == set(CLASSES)


def test_names_in_other_scripts_are_kept(tmp_path: Path) -> None:
    for number, name in enumerate(["один", "二", "naïve", "الف"] * 2):
        save(tmp_path / name / f"фото {number} ü.png", GREY.pixels[number])
    assert set(load_data(tmp_path).train.classes) == {"один", "二", "naïve", "الف"}
    zipped(tmp_path, tmp_path.parent / "names.zip")
    assert set(load_data(tmp_path.parent / "names.zip").train.classes) == {"один", "二", "naïve", "الف"}


def test_unreadable_images_are_named_at_once_or_skipped(tmp_path: Path) -> None:
    home = class_folders(tmp_path / "data")
    broken = sorted((home / "train").rglob("*.png"))[:2] + sorted((home / "test").rglob("*.png"))[:1]
    for path in broken:
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"2 of 12 files cannot be read: .*; --skip-unreadable leaves them out"):
        load_data(home)
    dataset = load_data(home, skip_unreadable=True)
    assert len(dataset.train) == 10
    assert dataset.facts["train"].skipped == 2
    assert "2 unreadable skipped" in dataset.remark
    for data in (dataset.train, dataset.validation):
        assert data is not None
        for pixels, source in zip(data.pixels, data.sources, strict=True):
            with Image.open(dataset.files[source]) as image:
                assert np.array_equal(np.asarray(image), pixels[0])
    with dataset.test.open(tmp_path / "ledger.csv", "none") as access:
        assert len(access.images) == 5


def test_a_class_that_skipping_empties_is_a_user_error(tmp_path: Path) -> None:
    home = class_folders(tmp_path / "data")
    for path in (home / "train" / "flat").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match="'flat' with 0 images; expected two classes or more, of two images each"):
        load_data(home, skip_unreadable=True)


def test_a_model_of_grey_images_is_given_grey(tmp_path: Path) -> None:
    np.savez(tmp_path / "colour.npz", x=COLOUR.pixels.transpose(0, 2, 3, 1), y=COLOUR.labels)
    for pixels, label, source in zip(COLOUR.pixels, COLOUR.labels, COLOUR.sources, strict=True):
        save(tmp_path / "files" / COLOUR.classes[label] / f"{source:03d}.png", pixels)
    arrays, files = (load_data(tmp_path / name, channels=1) for name in ("colour.npz", "files"))
    assert arrays.train.channels == files.train.channels == 1
    assert images_of(arrays.train)[0][0] in {pixels for pixels, _ in images_of(files.train)}
    assert "colour turned to grey" in arrays.remark
    assert "12 in colour turned to grey" in files.remark
