"""What the commands say of own data: no wrong plural, no advice about what was not typed, a next step that works."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import backbones as tiny
from helpers.bars import draw_bars
from helpers.commands import SHORT, refused, run
from PIL import Image

from imparfait.cli.main import commands
from imparfait.core.counts import counted


def write(folder: Path, images: int, sizes: tuple[int, ...] = (16,)) -> Path:
    """Class folders of drawn bars, their files in turn of these sizes."""
    data = draw_bars(images, 16)
    for row, (pixels, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
        path = folder / data.classes[label] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).resize((sizes[row % len(sizes)],) * 2).save(path)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_count_of_one_is_singular() -> None:
    assert [counted(count, "image") for count in (0, 1, 2, 2000)] == ["0 images", "1 image", "2 images", "2,000 images"]
    assert counted(2, "class", "classes") == "2 classes"


def test_one_validation_image_is_one_image_and_without_test_images_the_model_can_be_tried(home: Path) -> None:
    write(Path("few"), 6)
    result = CliRunner().invoke(commands, ["train", "--data", "few", *SHORT], catch_exceptions=False)
    assert "on 1 validation image\n" in result.stdout  # no word of test images, as there are none
    assert "1 validation images" not in result.output
    step = re.search(r"^next: imparfait serve (\S+) ", result.stderr, re.M)
    assert step
    assert (home / step[1] / "model.safetensors").exists()


def test_run_folders_are_no_class_folders(home: Path) -> None:
    write(Path("few"), 12)
    run("train", "--data", "few", *SHORT)
    shutil.copytree(next(Path("runs").glob("*-s0-*")), Path("runs", "another-s1-000000"))
    message = refused("train", "--data", "runs")
    assert message.startswith("runs: has run folders, such as ")
    assert message.endswith(
        "; expected a folder of images in class folders; name the folder that the run was trained on"
    )
    assert "is a run folder; expected a folder of images" in refused("train", "--data", "runs/another-s1-000000")


def test_normalize_none_is_named_only_where_it_was_typed(home: Path) -> None:
    write(Path("mixed"), 12, (16, 20))
    assert refused("train", "--data", "mixed").endswith("write --size 20 (or another side)")
    assert refused("train", "--data", "mixed", "--normalize", "none").endswith("without --normalize none")


def test_too_few_images_for_a_learning_curve_are_refused_without_a_bar(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("few"), 30)
    assert "at least 40 training images" in refused("learning-curve", "--data", "few", "--recipe", "quick")
    assert "a quarter" not in capsys.readouterr().err


def test_fine_tuning_on_few_images_is_warned_of(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.install(monkeypatch, home)
    for images, warned in ((24, True), (90, False)):
        data = str(write(Path(str(images)), images))
        words = ["train", "--data", data, "--backbone", tiny.NAME, "--fine-tune", "--epochs", "1", "--size", "16"]
        result = CliRunner().invoke(commands, words, catch_exceptions=False)
        sentence = "warning: fewer than 20 training images per class: --fine-tune may be less accurate than the linear"
        assert (sentence in result.stderr) == warned


def test_tables_and_folders_are_added_to_each_other(home: Path) -> None:
    write(Path("old"), 30)
    write(Path("new"), 12)
    rows = [f"{path},{path.parent.name}" for path in sorted(Path("new").rglob("*.png"))]
    Path("new.csv").write_text("\n".join(["image_path,label", *rows]))
    assert run("check", "old+new.csv").count("old+new: 42 training images") == 1
    assert "old+new+new: 54 training images" in run("check", "old+new+new.csv")
    assert "report:" in run("train", *shlex.split("--data old+new.csv"), *SHORT)
    assert "mnist" in refused("train", "--data", "mnist+new.csv")
    assert "no such file or folder as 'nwe.csv'" in refused("train", "--data", "old+nwe.csv")
    assert "no such file or folder as ''" in refused("train", "--data", "old+")
    assert "new+old: 42 training images" in run("check", "new.csv+old")


def test_what_is_added_has_groups_as_well_or_none_are_used(home: Path) -> None:
    write(Path("old"), 30)
    table = [
        "image_path,label,group",
        *(f"{path},{path.parent.name},{path.stem}" for path in Path("old").rglob("*.png")),
    ]
    Path("old.csv").write_text("\n".join(table))
    write(Path("new"), 12)
    message = refused("check", "old.csv+new")
    assert "new: no groups, unlike old.csv; expected a column called group in all of them" in message
    assert "old+new: 42 training images" in run("check", "old.csv+new", "--group", "none")
    assert "groups: 30" in run("check", "old.csv+new", "--group", r"(\d+)\.png")
