"""Small data sets in the formats that people have: class folders, tables, and archives of these."""

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.bars import CLASSES, draw_bars
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import Dataset

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
