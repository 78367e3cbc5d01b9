"""Files of pixels as other people name them: CSV, .npz, .mat and IDX."""

from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.data_formats import COLOUR, GREY, SPLITS, TEST, TRAIN, check_same, class_folders, write_csv, zipped
from scipy.io import savemat

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data


def kaggle_rows(data: LabelledImages, labels: bool = True, name: str = "pixel{}") -> list[dict[str, str]]:
    found = []
    for pixels, label in zip(data.pixels, data.labels, strict=True):
        values = {name.format(index): str(value) for index, value in enumerate(pixels.transpose(1, 2, 0).ravel())}
        found.append(({"label": str(label)} if labels else {}) | values)
    return found


@pytest.mark.parametrize("data", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("name", ["pixel{}", "{}x1", "pixel_{}", "pixel{:04d}"])
def test_a_csv_of_pixels_is_a_data_set(data: LabelledImages, name: str, tmp_path: Path) -> None:
    found = load_data(write_csv(tmp_path / "train.csv", kaggle_rows(data, name=name))).train
    assert np.array_equal(found.pixels, data.pixels)
    assert np.array_equal(found.labels, data.labels)


def test_a_csv_of_pixels_needs_no_names(tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "named.csv", kaggle_rows(GREY)).read_text().splitlines()[1:]
    for split in ("train", "test"):
        (tmp_path / "plain").mkdir(exist_ok=True)
        (tmp_path / "plain" / f"mnist_{split}.csv").write_text("\n".join(lines))
    dataset = load_data(tmp_path / "plain")
    assert np.array_equal(dataset.train.pixels, GREY.pixels)
    assert dataset.sealed


def test_kaggles_test_csv_has_no_labels_and_is_left_out(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", kaggle_rows(GREY))
    test = write_csv(tmp_path / "test.csv", kaggle_rows(GREY, labels=False))
    write_csv(tmp_path / "sample_submission.csv", [{"ImageId": "1", "Label": "0"}])
    dataset = load_data(tmp_path)
    assert len(dataset.train) == 12
    assert not dataset.sealed
    assert "test.csv: no labels, not used" in dataset.remark
    with pytest.raises(UserError, match=r"test\.csv: 256 pixels per row, but no labels; .* name its train\.csv"):
        load_data(test)


@pytest.mark.parametrize("names", [
    ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
    ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
    ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ("trainX", "trainy", "devX", "devy", "testX", "testy"),
    ("train_data", "train_targets", "validation_data", "validation_targets", "test_data", "test_targets"),
])  # fmt: skip
def test_npz_files_have_other_peoples_names(names: tuple[str, ...], tmp_path: Path) -> None:
    arrays = [array for data in SPLITS.values() for array in (data.pixels[:, 0], data.labels[:, None])]
    np.savez(tmp_path / "bars.npz", **dict(zip(names, arrays, strict=True)))
    (tmp_path / "bars.npz").rename(tmp_path / "BARS.NPZ")
    for path in (tmp_path / "BARS.NPZ", tmp_path):
        dataset = load_data(path)
        assert np.array_equal(dataset.train.pixels, TRAIN.pixels)
        assert dataset.validation is not None
        assert dataset.sealed


def test_svhns_files_are_read_and_10_is_0(tmp_path: Path) -> None:
    for split, images in (("train", draw_bars(40, 32, 3)), ("test", draw_bars(20, 32, 3))):
        labels = np.arange(len(images)) % 10
        content = {"X": images.pixels.transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels)[:, None]}
        savemat(tmp_path / f"{split}_32x32.mat", content, do_compression=True)
    for path in (tmp_path, tmp_path / "train_32x32.mat", zipped(tmp_path, tmp_path.parent / "svhn.zip")):
        dataset = load_data(path)
        assert np.array_equal(dataset.train.pixels, draw_bars(40, 32, 3).pixels)
        assert dataset.train.labels.tolist() == [number % 10 for number in range(40)]
        assert dataset.train.classes == tuple("0123456789")
        assert bool(dataset.sealed) == (path.suffix != ".mat")


@pytest.mark.parametrize("content", [
    b"", b"hello", b"MATLAB 5.0 MAT-file" + bytes(200), {"Y": np.zeros(3)},
    {"X": np.zeros((2, 2, 3, 4)), "y": np.ones(4)},
    {"X": np.zeros((2, 2, 3, 4), np.uint8), "y": np.array(["a", "b"], object)},
])  # fmt: skip
def test_other_mat_files_are_user_errors(content: bytes | dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "train_32x32.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(UserError, match=r"train_32x32\.mat: .*expected"):
        load_data(path)


def emnist(home: Path, name: str) -> None:
    for data, split in ((GREY, "train"), (TEST, "test")):
        write_idx(home / "plain", data, None)
        for kind in ("images", "labels"):
            content = (home / "plain" / f"train-{kind}-idx").read_bytes()
            if kind == "images":
                content = content[:16] + data.pixels[:, 0].swapaxes(1, 2).tobytes()
            (home / f"{name}-{split}-{kind}-idx{3 if kind == 'images' else 1}-ubyte").write_bytes(content)
            (home / "plain" / f"train-{kind}-idx").unlink()
        (home / "plain").rmdir()
    (home / f"{name}-mapping.txt").write_text("0 48\n1 65 97\n2 98\n")


def test_emnists_images_are_turned_upright_and_its_classes_named(tmp_path: Path) -> None:
    emnist(tmp_path, "emnist-letters")
    dataset = load_data(tmp_path)
    assert np.array_equal(dataset.train.pixels, GREY.pixels)
    assert dataset.train.classes == ("0", "A", "b")
    with dataset.test.open(tmp_path / "ledger.csv", "none") as access:
        assert np.array_equal(access.images.pixels, TEST.pixels)


def test_one_of_several_emnist_sets_is_named(tmp_path: Path) -> None:
    emnist(tmp_path, "emnist-letters")
    emnist(tmp_path, "emnist-digits")
    with pytest.raises(UserError, match=r"2 data sets, emnist-digits, emnist-letters; name one: .*emnist-digits"):
        load_data(tmp_path)
    named = load_data(tmp_path / "emnist-digits").train
    assert np.array_equal(named.pixels, GREY.pixels)
    assert named.classes == ("0", "A", "b")
    (tmp_path / "home" / "gzip").mkdir(parents=True)
    for file in tmp_path.glob("emnist*"):
        file.rename(tmp_path / "home" / "gzip" / file.name)
    archive = zipped(tmp_path / "home", tmp_path / "gzip.zip")
    with pytest.raises(UserError, match=r"name one: .*gzip\.zip/gzip/emnist-digits"):
        load_data(archive)
    named = load_data(archive / "gzip" / "emnist-digits").train
    assert np.array_equal(named.pixels, GREY.pixels)
    assert named.classes == ("0", "A", "b")
    for missing in ("gzip/emnist-none", "none/emnist-digits", "gzip"):
        with pytest.raises(UserError):
            load_data(archive / missing)


@pytest.mark.parametrize("name", ["latest-labels.csv", "train-labels.csv", "train-images.txt", "test-images-1.png"])
def test_files_with_similar_names_are_no_idx_files(name: str, tmp_path: Path) -> None:
    class_folders(tmp_path / "data")
    (tmp_path / "data" / name).write_text("hello")
    check_same(load_data(tmp_path / "data"), tmp_path / "ledger.csv")
