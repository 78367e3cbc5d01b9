"""Pipes, devices and sparse giants where a file is expected are refused in one sentence, and never waited for."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.commands import refused
from PIL import Image

from imparfait.models.pretrained import PRETRAINED

COMMANDS = {
    "data.npz": ("check",),
    "data.csv": ("check",),
    "data.tsv": ("check",),
    "data.jsonl": ("check",),
    "data.parquet": ("check",),
    "data.mat": ("check",),
    "data.zip": ("check",),
    "access.log": ("drift", "--reference", "digits"),
    "token.txt": ("serve", "--token-file"),
    "fields.json": ("read", "image.png", "--fields"),
    "settings.toml": ("train", "--settings"),
    "manifest.json": ("corrupt", "--out", "new", "--manifest"),
    "model.onnx": ("evaluate",),
    "image.png": ("predict",),
    "page.png": ("read",),
    "results.jsonl": ("predict", "seven.png", "--out"),
}


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(40 << 30)


ODD = {"pipe": os.mkfifo, "link to a device": lambda path: path.symlink_to("/dev/zero"), "sparse giant": sparse}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", COMMANDS)
def test_an_odd_file_is_refused(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (name, kind) in {("results.jsonl", "sparse giant"), ("access.log", "sparse giant")}:
        pytest.skip("such a file may be of any size")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw_bars(1).pixels[0, 0]).save("seven.png")
    ODD[kind](tmp_path / name)
    said = refused(*COMMANDS[name], name)
    assert name in said


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["train-images-idx", "train-labels-idx.gz", "x_train.npy", "y_train.npy"])
def test_an_odd_file_in_a_data_folder_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    data, folder = draw_bars(6), tmp_path / "data"
    if name.endswith(".npy"):
        folder.mkdir()
        np.save(folder / "x_train.npy", data.pixels[:, 0])
        np.save(folder / "y_train.npy", data.labels)
    else:
        write_idx(folder, data, None)
    (folder / name.removesuffix(".gz")).unlink()
    ODD[kind](folder / name)
    assert name in refused("check", folder)


def test_a_length_that_is_true_is_no_length(tmp_path: Path) -> None:
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (True, 2, 2), }\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4)
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x_train.npy", array)
        archive.writestr("y_train.npy", array)
    assert "the header says shape (True, 2, 2); expected lengths from 0" in refused("check", tmp_path / "data.npz")


def test_of_very_many_names_a_few_are_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        for number in range(1010):
            archive.writestr(f"a{number}.npy", b"")
    said = refused("check", tmp_path / "data.npz")
    assert "no training images in it (a0, a1, a10, " in said
    assert " … and 1,000 more)" in said
    assert len(said) < 300


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "settings.json"])
def test_an_odd_file_in_a_run_folder_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    run = shutil.copytree(PRETRAINED["digits"].folder, tmp_path / "run")
    (run / name).unlink()
    ODD[kind](run / name)
    assert name in refused("export", run, "--to", "onnx", "--out", tmp_path / "out.onnx")


def test_odd_files_in_class_folders_are_named(tmp_path: Path) -> None:
    for number, pixels in enumerate(draw_bars(12).pixels):
        path = tmp_path / "data" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    for kind, make in ODD.items():
        make(tmp_path / "data" / "0" / f"{kind}.png")
    said = refused("train", "--data", tmp_path / "data", "--size", "16", "--epochs", "1")
    assert "3 of 15 files cannot be read" in said
    for kind in ODD:
        assert f"{kind}.png" in said
