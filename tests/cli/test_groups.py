"""Commands on images with groups: what `--group` and `--folds groups` do and say."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.bars import draw_bars
from helpers.commands import SHORT, refused, run
from helpers.fake_jobs import write_settings
from PIL import Image

from imparfait.cli.main import commands
from imparfait.selection import profiling


def draw_meters(folder: Path, meters: int = 6, images: int = 108) -> None:
    """folder/<class>/meter-<n>/<n>.png."""
    data = draw_bars(images)
    for number, (image, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
        path = folder / data.classes[label] / f"meter-{number // 3 % meters}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    draw_meters(home / "bars")
    draw_meters(home / "split" / "train")
    draw_meters(home / "split" / "test", images=30)
    draw_meters(home / "one", meters=1)
    write_settings(home, slow=0.002, fast=0.02)
    return home


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(profiling, "TURN_SECONDS", 0.02)  # the measured throughput does not matter here


def command(*words: str) -> Result:
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def trained(home: Path) -> Path:
    """A run whose validation images are of other meters."""
    out = home / "runs"
    run("train", "--data", home / "bars", "--group", "parent", "--out", out, *SHORT)
    [folder] = out.glob("default-s0-*")
    return folder


def test_training_keeps_groups_apart_and_says_what_to_expect_of_new_ones(trained: Path) -> None:
    assert json.loads((trained / "settings.json").read_text())["data"]["groups"] == 5
    scores = json.loads((trained / "scores.json").read_text())
    assert scores["mean_group_interval"] is None, "one meter is held out"
    sources = {line.split(",")[2] for line in (trained / "predictions.csv").read_text().splitlines()[1:]}
    assert len(sources) == 18


def test_the_interval_over_groups_is_printed_and_reported(home: Path) -> None:
    draw_meters(home / "many", meters=12, images=144)
    result = command("train", "--data", "many", "--group", r"(meter-\d+)/", "--out", "of-many", *SHORT)
    assert "\n95 %: " in result.stdout
    assert " over images, " in result.stdout
    assert " over 2 groups" in result.stdout
    assert "groups: 12" in result.stderr
    [folder] = Path("of-many").glob("default-s0-*")
    found = json.loads((folder / "scores.json").read_text())["mean_group_interval"]
    assert found["groups"] == 2
    for page in ("report.html", "README.md"):
        assert "over 2 groups" in (folder / page).read_text()


def test_another_grouping_is_another_run(trained: Path) -> None:
    run("train", "--data", "bars", "--out", "runs", *SHORT)
    run("train", "--data", "bars", "--group", r"meter-(\d)", "--out", "runs", *SHORT)
    assert len(list(Path("runs").glob("default-s0-*"))) == 2, "equal groups by other means are the same run"


def test_evaluation_takes_the_same_groups_and_refuses_others(trained: Path) -> None:
    shown = run("evaluate", trained, "--data", "bars", "--group", "parent", "--out", "runs")
    assert "18 validation images" in shown
    for other in ([], ["--group", r"/(\d)"]):
        sentence = refused("evaluate", trained, "--data", "bars", *other, "--out", "runs")
        assert "was trained on another split of bars, perhaps on some of the validation images" in sentence
        assert "write the same --group, or train it again" in sentence


def test_a_teacher_of_another_split_is_refused(trained: Path) -> None:
    assert "was trained on another split of bars" in refused("train", "--data", "bars", "--teacher", trained, *SHORT)


def test_test_images_of_trained_groups_are_said_to_be_so(home: Path) -> None:
    result = command("train", "--data", "split", "--group", "parent", "--final", "--out", "final", *SHORT)
    assert "warning: 6 groups with test images have training images too" in result.stderr
    assert "over 6 groups; 6 of them have training images too: expect less on new groups" in result.stdout
    [folder] = Path("final").glob("default-s0-*")
    evaluate = ("evaluate", str(folder), "--data", "split", "--group", "parent", "--split", "test", "--out", "final")
    assert "6 of them have training images too: expect less on new groups" in command(*evaluate).stdout


def test_compare_leaves_one_group_out(home: Path) -> None:
    names = ("compare", "slow.toml", "fast.toml", "--data", "bars", "--group", "parent")
    result = command(*names, "--folds", "groups", "--seeds", "1", "--executor", "serial", "--out", "compared", "--json")
    found = json.loads(result.stdout)
    assert [candidate["jobs"] for candidate in found["candidates"]] == [6, 6]
    assert found["candidates"][0]["all_images"]["group_interval"]["groups"] == 6
    assert any("no group is on both sides of a split" in remark for remark in found["remarks"])


def test_search_holds_out_groups_and_names_them_in_the_next_command() -> None:
    words = ("search", "slow.toml", "--data", "bars", "--group", "parent", "--folds", "2", "--trials", "1")
    result = command(*words, "--executor", "serial", "--out", "searched")
    assert "the settings found: " in result.stdout
    assert "over 6 groups" in result.stdout
    assert "--group parent" in result.stderr.splitlines()[-1]


MISTAKES = {
    "one group": (["train", "--data", "one", "--group", "parent"], "one: 1 group; expected at least 2"),
    "fewer groups than folds": (
        ["compare", "slow.toml", "fast.toml", "--data", "bars", "--group", "parent", "--folds", "9"],
        "bars: 6 groups; expected one for each of 9; write --folds 6, or --folds groups",
    ),
    "no groups": (
        ["compare", "slow.toml", "fast.toml", "--data", "bars", "--folds", "groups"],
        "--folds groups: bars has no groups; write --group with a column of the table, parent or a regular expression",
    ),
    "no such column": (
        ["train", "--data", "bars", "--group", "meter"],
        "--group meter; expected a column of the table",
    ),
    "arrays": (["train", "--group", "parent"], "has arrays of images, without paths and columns"),
}


@pytest.mark.parametrize(("words", "sentence"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(words: list[str], sentence: str) -> None:
    assert sentence in refused(*words)


@pytest.mark.parametrize("folds", ["1", "many"])
def test_folds_are_a_number_or_groups(folds: str) -> None:
    result = CliRunner().invoke(commands, ["compare", "slow.toml", "fast.toml", "--folds", folds])
    assert result.exit_code == 2
    assert "--folds" in result.stderr


def test_a_random_split_of_the_same_images_can_be_asked_for(home: Path) -> None:
    rows = [f"bars/{path.relative_to('bars')},{path.parts[1]},{path.parts[2]}" for path in Path("bars").rglob("*.png")]
    Path("labels.csv").write_text("\n".join(["image_path,label,group", *rows]))
    assert "groups: 6" in command("check", "labels.csv").stdout
    assert "groups" not in command("check", "labels.csv", "--group", "none").stdout
    assert np.char.endswith(rows, "meter-5").sum() == 18


def test_a_run_of_a_random_split_is_refused_where_groups_are_given(trained: Path) -> None:
    run("train", "--data", "bars", "--out", "random", *SHORT)
    [other] = Path("random").glob("default-s0-*")
    sentence = refused("evaluate", other, "--data", "bars", "--group", "parent", "--out", "random")
    assert "was trained on another split of bars" in sentence
    assert "18 validation images of bars" in run("evaluate", other, "--data", "bars", "--out", "random")


def test_a_model_of_other_images_is_evaluated_on_images_with_groups(trained: Path, home: Path) -> None:
    draw_meters(home / "others" / "bars", images=72)
    shown = run("evaluate", trained, "--data", home / "others" / "bars", "--group", "parent", "--out", "elsewhere")
    assert "validation images of bars" in shown
