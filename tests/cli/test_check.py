"""`imparfait check`, and what the other commands say and do with own data."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars
from helpers.commands import SHORT, refused, run
from PIL import Image

from imparfait.cli.main import commands

BARS, TEST = draw_bars(60), draw_bars(12, first_source=60)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with bars/train and bars/test, where one test image is a copy."""
    monkeypatch.chdir(tmp_path)
    copied = TEST.pixels.copy()
    copied[0] = BARS.pixels[0]
    for split, data, pixels in (("train", BARS, BARS.pixels), ("test", TEST, copied)):
        for number, (image, label) in enumerate(zip(pixels, data.labels, strict=True)):
            path = tmp_path / "bars" / split / data.classes[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(path)
    return tmp_path


def stderr(*words: str) -> str:
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


COPY = "1 of 12 test images is a copy of training images, such as bars/test/flat/0.png and bars/train/flat/0.png"


def test_check_prints_counts_and_warnings(home: Path) -> None:
    shown = run("check", "bars")
    assert next(line.split() for line in shown.splitlines() if "flat" in line) == ["flat", "20", "4"]
    assert f"warning: {COPY}: the test accuracy will be too high" in shown
    assert sorted(path.name for path in home.iterdir()) == ["bars"]


def test_check_prints_json(home: Path) -> None:
    found = json.loads(run("check", "bars", "--json"))
    assert found["splits"]["train"]["per_class"] == {"cross": 20, "flat": 20, "steep": 20}
    assert found["overlaps"][0]["copies"] == 1
    assert any(COPY in warning for warning in found["warnings"])


def test_check_compares_images_of_several_sizes(home: Path) -> None:
    Image.new("L", (40, 50), 9).save(home / "bars" / "train" / "flat" / "large.png")
    result = CliRunner().invoke(commands, ["check", "bars"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "images of several sizes are compared at 64×64 pixels; training needs a --size" in result.stderr
    assert "sizes: 16×16 (72), 50×40 (1); grey; read as 64×64, grey" in result.stdout
    assert "expected 16×16" in refused("check", "bars", "--normalize", "none")


def test_training_reports_own_data_first(home: Path) -> None:
    said = stderr("train", "--data", "bars", *SHORT)
    assert said.index("bars: 60 training, 12 test images") < said.index(COPY) < said.index("epoch")
    assert not (home / "runs" / "TEST_LEDGER.csv").exists()


def test_unreadable_images_are_skipped_by_every_command_that_is_asked_to(home: Path) -> None:
    for name in ("flat/3.png", "steep/1.png"):
        (home / "bars" / "train" / name).write_bytes(b"no image")
    few = ["--folds", "2", "--seeds", "1", "--images", "40", "--epochs", "1", "--executor", "serial"]
    for words in (
        ["train", "--data", "bars", *SHORT],
        ["compare", "quick", "default", "--data", "bars", *few],
        ["corrupt", "rotate", "--data", "bars", "--severity", "0.5", "--dataset", "folders", "--out", "written"],
    ):
        assert "2 of 60 files cannot be read" in refused(*words)
        assert "2 unreadable skipped" in stderr(*words, "--skip-unreadable")
    assert "2 training images cannot be read and are left out" in run("check", "bars", "--skip-unreadable")


def colour_copy(home: Path) -> None:
    for path in sorted((home / "bars").rglob("*.png")):
        grey = np.asarray(Image.open(path))
        to = home / "colour" / path.relative_to(home / "bars")
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.stack([grey, grey // 2, grey], 2)).save(to)
    np.savez(home / "colour.npz", x=BARS.pixels.repeat(3, 1).transpose(0, 2, 3, 1), y=BARS.labels)


@pytest.mark.parametrize(("data", "more", "said"), [
    ("colour", [], "60 in colour turned to grey"),
    ("colour", ["--size", "16"], "60 in colour turned to grey"),
    ("colour.npz", [], "colour turned to grey"),
])  # fmt: skip
def test_initial_weights_of_a_grey_model_turn_colour_images_to_grey(
    home: Path, data: str, more: list[str], said: str
) -> None:
    colour_copy(home)
    words = ["train", "--data", data, *more, "--init-from", "digits", *SHORT]
    assert said in stderr(*words)
    config = next(Path("runs").glob("*/config.json"))
    assert json.loads(config.read_text())["input"]["channels"] == 1
