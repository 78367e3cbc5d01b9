"""`imparfait corrupt`: contact sheets, and corrupted data sets that can be reproduced."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.commands import refused, run

from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS
from imparfait.data.corrupted import corrupt
from imparfait.data.images.decode import read_pages
from imparfait.data.load import load_data
from imparfait.models.registry import MODELS


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "bars", draw_bars(12), draw_bars(6, first_source=12))


def test_a_sheet_has_a_row_for_each_corruption_and_severity(bars: Path, tmp_path: Path) -> None:
    heights = []
    for words, rows in (
        (("shrunk", "--severity", 1), "a row for each of clean, shrunk 1"),
        (("geometric", "shrunk", "--severity", 1), "a row for each of clean, geometric 1, shrunk 1"),
        (("--suite", "digits"), f"{len(CORRUPTIONS)} corruptions, a row each: 2 images at severities 0.2, 0.4, 0.6"),
    ):
        assert rows in run("corrupt", *words, "--data", bars, "--out", tmp_path / "new" / "sheet.png")
        heights.append(next(read_pages(tmp_path / "new" / "sheet.png")).size[0])
    assert heights[0] < heights[1] < heights[2]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]


def test_images_that_are_no_digits_get_the_corruptions_of_photographs(tmp_path: Path) -> None:
    colour = write_idx(tmp_path / "colour", draw_bars(12, 32, channels=3), None)
    words = ("--data", colour, "--out", tmp_path / "sheet.png")
    assert run("corrupt", *words).startswith(f"{len(PHOTO_CORRUPTIONS)} corruptions, a row each")
    assert "a row for each of clean, photo.fog 0.6: " in run("corrupt", "photo.fog", "--severity", 0.6, *words)


@pytest.mark.parametrize("files", ["idx", "folders"])
def test_a_corrupted_data_set_is_a_data_set(bars: Path, tmp_path: Path, files: str) -> None:
    out = tmp_path / "corrupted"
    words = ["--severity", "0.5", "--severity", "1", "--dataset", files, "--split", "train", "--split", "test"]
    run("corrupt", "geometric", "shrunk", *words, "--data", bars, "--out", out)
    assert {path.name for path in out.iterdir()} == {
        "geometric-0.5", "geometric-1", "shrunk-0.5", "shrunk-1", "manifest.json"
    }  # fmt: skip
    source = load_data(bars)
    read = load_data(out / "shrunk-1")
    assert read.train.classes == ("0", "1", "2")
    order = np.argsort(source.train.labels, kind="stable") if files == "folders" else np.arange(12)
    assert np.array_equal(read.train.pixels, corrupt(source.train, "shrunk", 1.0).pixels[order])
    assert np.array_equal(read.train.labels, source.train.labels[order])
    with read.test.open(tmp_path / "other.csv", "x") as access:
        assert len(access.images) == 6
    with (tmp_path / "TEST_LEDGER.csv").open(newline="") as ledger:
        assert [line["result"] for line in csv.DictReader(ledger)][1:] == ["no classifier"]


def test_colour_images_are_written_in_colour(tmp_path: Path) -> None:
    colour = write_idx(tmp_path / "colour", draw_bars(12, channels=3), None)
    for files in ("idx", "folders"):
        out = tmp_path / files
        run("corrupt", "shrunk", "--severity", "1", "--dataset", files, "--data", colour, "--out", out)
        assert load_data(out / "shrunk-1").train.pixels.shape == (12, 3, 16, 16)


def test_a_manifest_reproduces_the_same_pixels(bars: Path, tmp_path: Path) -> None:
    words = ["geometric", "--severity", "0.3", "--seed", "5", "--dataset", "folders"]
    run("corrupt", *words, "--data", bars, "--out", tmp_path / "a")
    run("corrupt", "--manifest", tmp_path / "a" / "manifest.json", "--data", bars, "--out", tmp_path / "b")
    first, again = (load_data(tmp_path / name / "geometric-0.3").train for name in "ab")
    assert first.fingerprint() == again.fingerprint()
    assert not np.array_equal(first.pixels, corrupt(load_data(bars).train, "geometric", 0.3).pixels)  # another seed
    manifest = (tmp_path / "a" / "manifest.json").read_text()
    assert (tmp_path / "b" / "manifest.json").read_text() == manifest
    changed = json.loads(manifest) | {"sha256": {"geometric-0.3 train": "0" * 64}}
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    said = refused("corrupt", "--manifest", tmp_path / "changed.json", "--data", bars, "--out", tmp_path / "c")
    assert said.startswith("geometric-0.3 train: its pixels differ from the manifest's")
    assert not (tmp_path / "c").exists()


def test_corrupted_images_can_be_trained_on(bars: Path, tmp_path: Path) -> None:
    run("corrupt", "shrunk", "--severity", "1", "--dataset", "folders", "--data", bars, "--out", tmp_path / "a")
    words = ["--augmentation", "clean", "--epochs", "1", "--out", tmp_path / "runs"]
    run("train", "--data", tmp_path / "a" / "shrunk-1", *words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gemetric"], "no corruption is called 'gemetric'; did you mean 'geometric'?"),
        (["--dataset", "idx"], "--dataset without --severity; write --severity, from 0 (unchanged) to 1"),
        (["--out", "sheet.jpg"], "--out sheet.jpg: a contact sheet is a PNG; write a name that ends in .png"),
        (
            ["--dataset", "idx", "--severity", "1", "--out", "{bars}"],
            "exists already; name a folder",
        ),
        (
            ["--dataset", "idx", "--severity", "1", "--split", "validation", "--out", "{new}"],
            "bars has no validation images of its own; leave --split validation out",
        ),
        (["--manifest", "{labels}"], "train-labels-idx: its text: Invalid JSON"),
        (["shrunk", "--manifest", "{labels}"], "--manifest describes all there is to write"),
    ],
)
def test_a_mistake_is_a_user_error_and_writes_no_file(
    bars: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    paths = {"{bars}": bars, "{new}": tmp_path / "new", "{labels}": bars / "train-labels-idx"}
    before = sorted(tmp_path.rglob("*"))
    assert sentence in refused("corrupt", *(paths.get(word, word) for word in words), "--data", bars)
    assert sorted(tmp_path.rglob("*")) == before


def test_every_model_is_named_by_list() -> None:
    said = run("list")
    for name in MODELS:
        assert f"\n{name} " in said
