"""Data sets as people have them: each format gives the same images, labels and splits."""

import csv
import json
import os
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import CLASSES, draw_bars, write_idx
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import Dataset, load_data

TRAIN, VALIDATION, TEST = draw_bars(12), draw_bars(6, first_source=12), draw_bars(6, first_source=18)
SPLITS = {"train": TRAIN, "val": VALIDATION, "test": TEST}
GREY, COLOUR = draw_bars(12), draw_bars(12, channels=3)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(path)
    return path


def class_folders(home: Path, names: dict[str, str] | None = None, suffix: str = ".png") -> Path:
    for split, data in SPLITS.items():
        for pixels, label, source in zip(data.pixels, data.labels, data.sources, strict=True):
            folder = home / (names or {}).get(split, split)
            save(folder / data.classes[label] / f"{source:03d}{suffix}", pixels)
    return home


def rows(home: Path, inside: str = "images") -> list[dict[str, str]]:
    """A file per image in one folder, and a row for each."""
    found = []
    for split, data in SPLITS.items():
        for pixels, label, source in zip(data.pixels, data.labels, data.sources, strict=True):
            save(home / inside / f"{source:03d}.png", pixels)
            found.append({"image_path": f"{inside}/{source:03d}.png", "label": data.classes[label], "split": split})
    return found


def write_csv(path: Path, rows: list[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def renamed(rows: list[dict[str, str]], names: dict[str, str]) -> list[dict[str, str]]:
    return [{names.get(key, key): value for key, value in row.items()} for row in rows]


def zipped(home: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as archive:
        for path in sorted(home.rglob("*")):
            archive.write(path, path.relative_to(home))
    return to


def a_csv(home: Path) -> Path:
    return write_csv(home / "labels.csv", rows(home))


def a_csv_with_other_names(home: Path) -> Path:
    others = renamed(rows(home), {"image_path": "File Name", "label": "Class", "split": "Subset"})
    values = {"train": "TRAIN", "val": "Validation", "test": "testing"}
    others = [{"id": str(number), **row, "Subset": values[row["Subset"]]} for number, row in enumerate(others)]
    return write_csv(home / "Labels.CSV", others, ";", "utf-8-sig")


def a_csv_of_absolute_paths(home: Path) -> Path:
    found = [row | {"image_path": str(home / row["image_path"])} for row in rows(home)]
    return write_csv(home / "elsewhere" / "labels.csv", found)


def a_csv_of_file_names_without_folder_and_suffix(home: Path) -> Path:
    return write_csv(home / "labels.csv", [row | {"image_path": Path(row["image_path"]).stem} for row in rows(home)])


def a_tsv_with_windows_paths(home: Path) -> Path:
    found = [row | {"image_path": row["image_path"].replace("/", "\\")} for row in rows(home)]
    return write_csv(home / "labels.tsv", found, "\t")


def a_csv_without_splits_whose_paths_tell(home: Path) -> Path:
    found = []
    for split in SPLITS:
        for row in rows(home, f"{split}"):
            if row.pop("split") == split:
                found.append(row)
    return write_csv(home / "labels.csv", found)


def a_csv_per_split(home: Path) -> Path:
    found = rows(home)
    for split in SPLITS:
        own = [{"image": row["image_path"], "target": row["label"]} for row in found if row["split"] == split]
        write_csv(home / f"{split}.csv", own)
    return home


def a_folder_with_a_table(home: Path) -> Path:
    (home / "docs").mkdir(parents=True)
    (home / "docs" / "read me.txt").write_text("hello")
    return a_csv(home).parent


def an_image_folder_of_hugging_face(home: Path) -> Path:
    found = rows(home)
    for split in SPLITS:
        own = [row for row in found if row["split"] == split]
        for row in own:
            source = home / row["image_path"]
            (home / split).mkdir(exist_ok=True)
            source.rename(home / split / source.name)
        lines = [{"file_name": Path(row["image_path"]).name, "label": row["label"]} for row in own]
        if split == "val":
            write_csv(home / split / "metadata.csv", lines)
        else:
            (home / split / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "images").rmdir()
    return home


def one_metadata_file_for_all_splits(home: Path) -> Path:
    home = an_image_folder_of_hugging_face(home)
    lines = []
    for split in SPLITS:
        for table in (home / split).glob("metadata.*"):
            table.unlink()
    for split, data in SPLITS.items():
        for label, source in zip(data.labels, data.sources, strict=True):
            lines.append({"file_name": f"{split}/{source:03d}.png", "label": data.classes[label]})
    (home / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return home


def folders_in_upper_case(home: Path) -> Path:
    return class_folders(home, {"train": "TRAIN", "val": "Valid", "test": "Test"}, ".PNG")


def folders_called_dev(home: Path) -> Path:
    return class_folders(home, {"train": "training", "val": "dev", "test": "testing"})


def folders_called_sets(home: Path) -> Path:
    return class_folders(home, {"train": "training_set", "val": "val-data", "test": "TestSet"})


def folders_with_a_prefix(home: Path) -> Path:
    return class_folders(home, {"train": "seg_train/seg_train", "val": "seg_val", "test": "seg_test"})


def a_folder_too_much(home: Path) -> Path:
    class_folders(home / "bars-main" / "data")
    return home


def a_split_folder_twice(home: Path) -> Path:
    class_folders(home / "train", {"train": "train/train"}).rename(home / "other")
    (home / "other" / "train").rename(home / "train")
    for split in ("val", "test"):
        (home / "other" / split).rename(home / split)
    (home / "other").rmdir()
    return home


def folders_with_system_files(home: Path) -> Path:
    class_folders(home)
    for folder in [home, *home.glob("*"), *home.glob("*/*")]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png", "Icon\r"):
            (folder / name).write_bytes(b"\0\1")
    for folder in ("__MACOSX/train/flat", "train/.ipynb_checkpoints", "train/@eaDir", "train/flat/__MACOSX"):
        (home / folder).mkdir(parents=True)
        (home / folder / "000.png").write_bytes(b"\0\1")
    return home


def folders_that_are_links(home: Path) -> Path:
    class_folders(home / "real")
    (home / "links" / "train").mkdir(parents=True)
    for split in ("val", "test"):
        (home / "links" / split).symlink_to(home / "real" / split)
    for name in CLASSES:
        (home / "links" / "train" / name).symlink_to(home / "real" / "train" / name)
    (home / "real" / "train" / "flat" / "loop").symlink_to(home / "real" / "train")
    (home / "real" / "train" / "flat" / "itself").symlink_to(".")
    return home / "links"


WRITERS: tuple[Callable[[Path], Path], ...] = (
    class_folders, a_csv, a_csv_with_other_names, a_csv_of_absolute_paths,
    a_csv_of_file_names_without_folder_and_suffix, a_tsv_with_windows_paths, a_csv_without_splits_whose_paths_tell,
    a_csv_per_split, a_folder_with_a_table, an_image_folder_of_hugging_face, one_metadata_file_for_all_splits,
    folders_in_upper_case, folders_called_dev, folders_called_sets, folders_with_a_prefix,
    a_folder_too_much, a_split_folder_twice, folders_with_system_files,
)  # fmt: skip
each_format = pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)


def check_same(dataset: Dataset, ledger: Path) -> None:
    """A data set has the images of SPLITS, whatever their order."""
    assert dataset.validation is not None
    with dataset.test.open(ledger, "none") as access:
        found = {"train": dataset.train, "val": dataset.validation, "test": access.images}
    for split, data in found.items():
        expected = SPLITS[split]
        assert data.classes == ("cross", "flat", "steep")
        assert images_of(data) == images_of(expected)
    ids = np.concatenate([data.sources for data in found.values()])
    assert len(np.unique(ids)) == len(ids) == 24


def images_of(data: LabelledImages) -> list[tuple[bytes, str]]:
    return sorted(
        (pixels.tobytes(), data.classes[label]) for pixels, label in zip(data.pixels, data.labels, strict=True)
    )


@each_format
def test_every_format_has_the_same_images(write: Callable[[Path], Path], tmp_path: Path) -> None:
    check_same(load_data(write(tmp_path / "data")), tmp_path / "ledger.csv")


@each_format
def test_every_format_can_be_in_a_zip_archive(write: Callable[[Path], Path], tmp_path: Path) -> None:
    found = write(tmp_path / "data")
    if write is a_csv_of_absolute_paths:
        return  # which are of this machine, not of the archive
    dataset = load_data(zipped(tmp_path / "data", tmp_path / "data.ZIP"))
    check_same(dataset, tmp_path / "ledger.csv")
    assert all(str(tmp_path / "data.ZIP") in file for file in dataset.files)
    assert found.exists()


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


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_an_archive_with_other_bytes_is_read_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int, changes: int
) -> None:
    random = np.random.default_rng(seed)
    home = tmp_path_factory.mktemp("fuzz")
    writer = WRITERS[random.integers(len(WRITERS))]
    writer(home / "data")
    content = bytearray(zipped(home / "data", home / "whole.zip").read_bytes())
    for _ in range(changes):
        content[random.integers(len(content))] = random.integers(256)
    (home / "changed.zip").write_bytes(content)
    with suppress(UserError):
        load_data(home / "changed.zip")


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


def test_a_group_column_is_kept_through_subsets_and_splits(tmp_path: Path) -> None:
    found = [row | {"group": f"person {number % 5}"} for number, row in enumerate(rows(tmp_path))]
    dataset = load_data(write_csv(tmp_path / "labels.csv", found))
    assert dataset.train.groups is not None
    assert dataset.validation is not None
    assert dataset.train.groups.tolist() == [number % 5 for number in range(12)]
    assert dataset.validation.groups is not None
    assert dataset.validation.groups.tolist() == [number % 5 for number in range(12, 18)]  # the same ids
    some = dataset.train.select(np.array([3, 7, 0]))
    assert some.groups is not None
    assert some.groups.tolist() == [3, 2, 0]
    both = dataset.train_and_val()
    assert both.groups is not None
    assert len(both.groups) == 18
    assert load_data(a_csv(tmp_path / "other")).train.groups is None


def parquet_of(path: Path, rows: list[dict[str, object]], metadata: dict[str, str] | None = None) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_a_parquet_table_is_read_as_a_csv_is(tmp_path: Path) -> None:
    check_same(
        load_data(parquet_of(tmp_path / "labels.parquet", [dict(row) for row in rows(tmp_path)])), tmp_path / "l.csv"
    )
    labels = [dict(row) | {"label": number % 3} for number, row in enumerate(rows(tmp_path))]
    assert load_data(parquet_of(tmp_path / "labels.parquet", labels)).train.classes == ("0", "1", "2")


def test_hugging_faces_parquet_files_hold_images_and_class_names(tmp_path: Path) -> None:
    for split, data in SPLITS.items():
        files = [save(tmp_path / "one.png", pixels).read_bytes() for pixels in data.pixels]
        found = [
            {"image": {"bytes": file, "path": None}, "label": int(label)}
            for file, label in zip(files, data.labels, strict=True)
        ]
        (tmp_path / "one.png").unlink()
        names = json.dumps({"info": {"features": {"label": {"names": list(CLASSES), "_type": "ClassLabel"}}}})
        name = {"val": "validation"}.get(split, split)
        half = len(found) // 2
        for part, own in enumerate((found[:half], found[half:])):
            parquet_of(tmp_path / "hub" / "data" / f"{name}-0000{part}-of-00002.parquet", own, {"huggingface": names})
    check_same(load_data(tmp_path / "hub"), tmp_path / "ledger.csv")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=f"needs pyarrow, which is not installed; {re.escape(install_hint('parquet'))}"):
        load_data(tmp_path / "labels.parquet")


def broken_table(change: Callable[[list[dict[str, str]]], object]) -> Callable[[Path], Path]:
    def write(home: Path) -> Path:
        found = rows(home)
        change(found)
        return write_csv(home / "labels.csv", found)

    return write


def raw(content: bytes, name: str = "labels.csv") -> Callable[[Path], Path]:
    def write(home: Path) -> Path:
        home.mkdir()
        (home / name).write_bytes(content)
        return home / name

    return write


def pixels_of(values: int, *lines: bytes) -> bytes:
    """A CSV of pixels with a header for `values` of them."""
    return b"\n".join([b"label," + b",".join(b"pixel%d" % number for number in range(values)), *lines])


@pytest.mark.parametrize(("write", "sentence"), [
    (broken_table(lambda rows: [row.pop("label") for row in rows]), "a table with columns image_path, split; expected"),
    (broken_table(lambda rows: rows[3].update(label="")), "no label in column 'label' of 1 rows (row 5)"),
    (broken_table(lambda rows: rows[0].update(image_path="no.png")), "1 of 24 images do not exist: no.png; expected"),
    (broken_table(lambda rows: [row.update(image_path=f"no{n}") for n, row in enumerate(rows)]), " … and 14 more"),
    (broken_table(lambda rows: rows[1].update(split="holdout")), "'holdout' as split in column 'split' of 1 rows"),
    (broken_table(lambda rows: rows[1].update(split="")), "no split in column 'split' of 1 rows"),
    (broken_table(lambda rows: rows[-1].update(label="zebra")), "a class 'zebra', which the training images"),
    (broken_table(lambda rows: rows[0].update(label="zebra")), "'zebra' with 1 image; expected two classes or more"),
    (broken_table(lambda rows: rows[0].update(label="Cross")), "two classes of one name"),
    (raw(b""), "a table with columns of no name"),
    (raw(b"\xff\xfe\0i\0m"), "not text in UTF-8"),
    (raw(b"path,label\na.png\n"), "row 2 has 1 values; expected 2 as in the first row"),
    (raw(b'path,label\n"a' + b"x" * 200_000 + b'",b\n'), "not a CSV file: field larger than"),
    (raw(b"{'a': 1}\n", "labels.jsonl"), "line 1 is not JSON"),
    (raw(b"[1]\n", "labels.jsonl"), "a list, not an object"),
    (raw(pixels_of(16, b",".join([b"300"] * 17))), "pixels from 300 to 300"),
    (raw(pixels_of(17)), "17 pixels per row"),
    (raw(pixels_of(16, b"1,2")), "cannot be read"),
    (raw(pixels_of(16)), "no rows"),
])  # fmt: skip
def test_a_broken_table_is_a_user_error(write: Callable[[Path], Path], sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "data")
    with pytest.raises(UserError) as error:
        load_data(path)
    assert sentence in str(error.value)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_an_archive_can_write_nowhere_and_hides_nothing_outside(tmp_path: Path) -> None:
    class_folders(tmp_path / "data")
    path = zipped(tmp_path / "data", tmp_path / "data.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../outside.png", b"no")
        archive.writestr("/etc/outside.png", b"no")
        archive.writestr("train/flat/../../../outside.png", b"no")
    before = sorted(tmp_path.rglob("*"))
    check_same(load_data(path), tmp_path.parent / "ledger.csv")
    assert sorted(tmp_path.rglob("*")) == before
    rows(tmp_path / "table")
    table = write_csv(tmp_path / "table" / "labels.csv", [{"path": "../data.zip", "label": "a"}] * 4)
    assert table.exists()
    with pytest.raises(UserError, match="4 of 4 images do not exist"):
        load_data(zipped(tmp_path / "table", tmp_path / "table.zip"))


@pytest.mark.parametrize(("write", "sentence"), [
    (lambda path: path.write_bytes(b"PK\3\4 nothing"), "cannot be unpacked"),
    (lambda path: path.write_bytes(zipped_bytes()[:-30]), "cannot be unpacked"),
    (os.mkfifo, "is no regular file"),
], ids=["no archive", "torn", "pipe"])  # fmt: skip
def test_a_broken_archive_is_a_user_error(write: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    write(tmp_path / "data.zip")
    with pytest.raises(UserError, match=sentence) as error:
        load_data(tmp_path / "data.zip")
    assert "data.zip" in str(error.value)


def zipped_bytes() -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"b" * 100)
    return buffer.getvalue()


def test_an_image_in_an_archive_is_as_small_as_elsewhere(tmp_path: Path) -> None:
    class_folders(tmp_path / "data")
    (tmp_path / "data" / "train" / "flat" / "000.png").unlink()
    path = zipped(tmp_path / "data", tmp_path / "data.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("train/flat/0.png", "w") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    with pytest.raises(UserError, match=r"data\.zip/train/flat/0\.png: has 209,715,200 bytes; expected at most"):
        load_data(path)


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
