"""No name of a class loses a training: it is refused when the data are read, or shown as it is everywhere."""

import csv
import html
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers.bars import draw_bars
from helpers.commands import refused, run
from matplotlib.figure import Figure
from PIL import Image

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.core.names import as_cell, as_markdown
from imparfait.reports import finished_run
from imparfait.reports import run as run_report
from imparfait.training import run_folder

REFUSED = {
    "line break": "a\nb", "carriage return": "a\rb", "escape": "\x1b[31mred\x1b[0m", "bell": "a\x07b",
    "C1 control": "a\x9bb", "not UTF-8": "caf\udce9", "300 letters": "x" * 300,
}  # fmt: skip
SHOWN = (
    r"$\foo$", "$x^{$", "accuracy", "macro avg", "mean", "=cmd()", "@SUM(1)", "<b>x", 'a": b', "שלום", "\u202eabc",
    "数" * 60, "a|b", "{x}", "_",
)  # fmt: skip
TRAINED = ("--size", "8", "--recipe", "quick", "--epochs", "1")


def class_folders(folder: Path, names: tuple[str, ...], images: int = 8) -> Path:
    """Bars as PNG files, in test/ and train/, of classes with these names."""
    drawn = draw_bars(images * len(names), 8)
    for number, pixels in enumerate(drawn.pixels):
        split = "test" if number // len(names) % 4 == 3 else "train"
        path = folder / split / names[number % len(names)] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("odd") / "data", SHOWN)


@pytest.fixture(scope="module")
def trained(data: Path) -> Path:
    """A run on classes of all the names, whose report could not be drawn at first."""
    out = data.parent / "runs"
    words = ("train", "--data", data, "--out", out, "--final", *TRAINED)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_report, "confusion", fail)
        said = refused(*words)
    assert "its report cannot be drawn: ValueError('no such font')" in said
    assert "the same command draws it again" in said
    [folder] = out.glob("quick-s0-??????")
    assert imparfait.predict(Image.new("L", (8, 8), 200), str(folder))[0].label in SHOWN  # usable
    assert not (folder / "report.html").exists()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finished_run, "score_on_test", only_kept)
        assert "test access 1 " in run(*words)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fail(*_: object) -> Figure:
    raise ValueError("no such font")


def only_kept(score, *rest):
    """`score_on_test`, which may not run the classifier: the scores of the first access are there."""
    from imparfait.evaluation.kept_scores import score_on_test

    return score_on_test(lambda images: pytest.fail("scored twice"), *rest)


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_a_name_that_no_run_can_hold_is_refused_before_the_images_are_read(name: str, tmp_path: Path) -> None:
    pixels, labels = draw_bars(12, 8).pixels, np.array([name, "flat"] * 6, object)
    with pytest.raises(UserError) as error:
        imparfait.load_data(list(zip(pixels, labels, strict=True)))
    try:
        folder = class_folders(tmp_path / "data", (name, "flat"))
    except OSError:  # longer than a file's name can be
        return
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")
    said = refused("train", "--data", folder, *TRAINED)
    for sentence in (said, str(error.value)):
        assert "a class is called" in sentence
        assert "expected names of 1 to 200 characters" in sentence
        assert "rename the class" in sentence
        assert sentence.isprintable()


def test_a_report_that_failed_is_drawn_again_without_another_test_access(trained: Path) -> None:
    assert (trained / "report.html").exists()
    rows = rows_of(trained.parent / "TEST_LEDGER.csv")
    assert len(rows) == 2
    assert rows[1]["result"].startswith("clean ")
    assert {path.name for path in trained.parent.iterdir()} == {trained.name, "TEST_LEDGER.csv"}


def test_what_a_kill_left_beside_finished_runs_is_removed_by_the_next_command(trained: Path, data: Path) -> None:
    other = shutil.copytree(trained, trained.with_name("other-s0-123456"))
    for folder in (trained, other):
        folder.with_name(f"{folder.name}.unfinished").mkdir()
    run("train", "--data", data, "--out", trained.parent, "--final", *TRAINED)
    shutil.rmtree(other)
    assert {path.name for path in trained.parent.iterdir()} == {trained.name, "TEST_LEDGER.csv"}


def test_an_equal_run_that_was_trained_by_other_code_is_named_as_such(
    trained: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--data", str(data), "--out", str(trained.parent), "--final", *TRAINED]
    assert "other code" not in CliRunner().invoke(commands, words, catch_exceptions=False).stderr
    monkeypatch.setattr(run_folder, "training_code", lambda: "c0de")
    again = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert "already trained" in again.stdout
    assert "was trained with other code of imparfait" in again.stderr
    monkeypatch.undo()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    again = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert "was trained with ATEN_CPU_CAPABILITY not set; " in again.stderr


@pytest.mark.parametrize("name", SHOWN)
def test_a_name_is_shown_as_it_is_by_report_card_and_predictions(name: str, trained: Path) -> None:
    report = (trained / "report.html").read_text(encoding="utf-8")
    assert f"<td>{html.escape(name).replace('&quot;', '&#34;')}</td>" in report
    card = (trained / "README.md").read_text(encoding="utf-8")
    assert as_markdown(name) in card
    rows = rows_of(trained / "predictions.csv")
    assert as_cell(name) in {row["truth"] for row in rows}
    assert name in json.loads((trained / "config.json").read_text(encoding="utf-8"))["classes"]


def test_the_card_is_valid_yaml_and_no_table_holds_a_formula(trained: Path) -> None:
    _, front, _ = (trained / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front)["model-index"][0]["name"] == trained.name
    for path in trained.glob("*.csv"):
        for row in rows_of(path):
            assert not any(cell.startswith(("=", "@", "+")) for cell in row.values())


def test_predict_and_evaluate_take_a_run_with_odd_names(trained: Path, data: Path) -> None:
    images = sorted((data / "test").rglob("*.png"))
    printed = run("predict", *images, "--model", trained)
    assert not any(ord(letter) < 32 and letter != "\n" for letter in printed)
    assert "\u202e" not in printed
    lines = run("predict", *images, "--model", trained, "--json").splitlines()
    labels = [json.loads(line)["predictions"][0]["label"] for line in lines]
    assert set(labels) <= set(SHOWN)
    rows = list(csv.DictReader(run("predict", *images, "--model", trained, "--csv").splitlines()))
    assert [row["label"] for row in rows] == list(map(as_cell, labels))
    out = data.parent / "evaluated"
    assert "report: " in run("evaluate", trained, "--data", data, "--split", "test", "--out", out)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("+cmd", "'+cmd"),
        ("-2.5", "-2.5"),
        ("-", "-"),
        ("+", "+"),
        ("7", "7"),
        ("1e-5", "1e-5"),
    ],
)
def test_cells_that_would_be_formulas_get_an_apostrophe(text: str, cell: str) -> None:
    assert as_cell(text) == cell
