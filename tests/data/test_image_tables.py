"""Tables of image files: groups, Parquet, and what is wrong in one."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import CLASSES
from helpers.data_formats import SPLITS, a_csv, check_same, rows, save, write_csv

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.data.load import load_data


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
