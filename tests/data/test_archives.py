"""Data sets in .zip archives: read as folders are, and nothing in one harms or hides."""

import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.data_formats import (
    WRITERS,
    a_csv_of_absolute_paths,
    check_same,
    class_folders,
    each_format,
    rows,
    write_csv,
    zipped,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.errors import UserError
from imparfait.data.load import load_data


@each_format
def test_every_format_can_be_in_a_zip_archive(write: Callable[[Path], Path], tmp_path: Path) -> None:
    found = write(tmp_path / "data")
    if write is a_csv_of_absolute_paths:
        return  # which are of this machine, not of the archive
    dataset = load_data(zipped(tmp_path / "data", tmp_path / "data.ZIP"))
    check_same(dataset, tmp_path / "ledger.csv")
    assert all(str(tmp_path / "data.ZIP") in file for file in dataset.files)
    assert found.exists()


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
