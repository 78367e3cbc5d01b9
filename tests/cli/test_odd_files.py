"""Pipes, devices and sparse giants where a file is expected are refused in one sentence, and never waited for."""

import os
from pathlib import Path

import pytest
from helpers.bars import draw_bars
from helpers.commands import refused
from PIL import Image

COMMANDS = {
    "data.npz": ("check",),
    "data.csv": ("check",),
    "data.zip": ("check",),
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
    if (name, kind) == ("results.jsonl", "sparse giant"):
        pytest.skip("a results file may be of any size")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw_bars(1).pixels[0, 0]).save("seven.png")
    ODD[kind](tmp_path / name)
    said = refused(*COMMANDS[name], name)
    assert name in said


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
