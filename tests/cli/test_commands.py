"""The commands on small images in a folder, as a user runs them."""

import csv
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars, write_idx
from helpers.commands import SHORT, refused, run

from imparfait.cli.cite import WORKS
from imparfait.cli.list import TOPICS
from imparfait.cli.main import commands, main
from imparfait.core.errors import UserError
from imparfait.evaluation.suite import full_suite
from imparfait.models.loading import load_classifier
from imparfait.reports import robustness_summary
from imparfait.training.recipes import RECIPES

IN_A_RUN = {
    "settings.json", "environment.json", "epochs.csv", "model.safetensors", "config.json", "README.md", "scores.json",
    "predictions.csv", "accuracy_loss.png", "confusion_clean.png", "confusion_geometric.png", "confusion_shrunk.png",
    "mistakes.png", "corruptions.png", "report.html",
}  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    return write_idx(home / "bars", draw_bars(120), draw_bars(30, first_source=120))


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """A run evaluated on the validation set."""
    out = folder.parent / "runs"
    run("train", "--data", folder, "--out", out, *SHORT)
    return next(out.glob("default-s0-*"))


@pytest.fixture(scope="module")
def final(folder: Path) -> Path:
    """A run on all training images, evaluated on the test set once."""
    out = folder.parent / "final"
    run("train", "--data", folder, "--out", out, "--final", *SHORT)
    return next(out.glob("default-s0-*"))


def test_a_run_folder_has_all_files(trained: Path, final: Path) -> None:
    for path in (trained, final):
        reference = {"reference.json"} if path == trained else set()  # all images of a final run were trained on
        assert {file.name for file in path.iterdir()} == IN_A_RUN | reference
        settings = json.loads((path / "settings.json").read_text())
        assert path.name.endswith(settings["hash"][:6])
        assert settings["settings"]["epochs"] == 2
        environment = json.loads((path / "environment.json").read_text())
        assert {"torch", "processor", "threads", "precision", "commit"} <= set(environment)
        assert len(rows_of(path / "epochs.csv")) == 2
        assert json.loads((path / "config.json").read_text())["classes"] == ["0", "1", "2"]


def test_training_evaluates_on_validation_and_keeps_the_test_sealed(trained: Path) -> None:
    assert not (trained.parent / "TEST_LEDGER.csv").exists()
    assert [part["total"] for part in json.loads((trained / "scores.json").read_text())["conditions"]] == [20, 20, 20]


def test_final_trains_on_everything_and_accesses_the_test_once(final: Path) -> None:
    lines = rows_of(final.parent / "TEST_LEDGER.csv")
    settings = json.loads((final / "settings.json").read_text())
    assert [line["settings"] for line in lines] == [settings["hash"]] * 2  # begun, and its result
    assert settings["data"]["images"] == 120
    assert [part["total"] for part in json.loads((final / "scores.json").read_text())["conditions"]] == [30, 30, 30]
    assert "test access 1" in (final / "report.html").read_text()


def test_the_same_command_again_neither_trains_nor_accesses_the_test_set(final: Path, folder: Path) -> None:
    ledger = (final.parent / "TEST_LEDGER.csv").read_text()
    said = run("train", "--data", folder, "--out", final.parent, "--final", *SHORT)
    assert "already trained" in said
    assert (final.parent / "TEST_LEDGER.csv").read_text() == ledger


def test_the_full_suite_is_summarised_at_the_end_and_again_when_the_run_is_found_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = full_suite(("stripe", "invert", "contrast", "translate"))
    monkeypatch.setattr(robustness_summary, "conditions_for", lambda suite, data: four)
    words = ("train", "--data", folder, "--out", folder.parent / "suite", "--suite", "digits", *SHORT)
    [said] = [line for line in run(*words).splitlines() if line.startswith("suite mean ")]
    [run_folder] = (folder.parent / "suite").glob("default-s0-*")
    summary = json.loads((run_folder / "robustness.json").read_text())
    assert (summary["images"], summary["corruptions"], len(summary["worst"])) == (20, 4, 3)
    assert sorted(summary["worst"].values()) == list(summary["worst"].values())
    assert f"{100 * summary['mean']:.2f} %" in said
    assert said in run(*words)
    assert json.loads(run(*words, "--json"))["robustness"] == summary
    assert said[1:] in (run_folder / "report.html").read_text().replace("\N{NO-BREAK SPACE}", " ")


def test_a_finished_run_without_the_full_suite_names_the_command_for_it(folder: Path, trained: Path) -> None:
    words = ["train", "--data", str(folder), "--out", str(trained.parent), "--suite", "digits", *SHORT]
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert f"imparfait evaluate {trained} --suite digits --data {folder}" in result.stderr


def test_the_full_suite_of_a_final_run_is_refused(folder: Path) -> None:
    assert "--suite digits with --final" in refused("train", "--data", folder, "--final", "--suite", "digits")


def test_predictions_are_all_written(final: Path) -> None:
    rows = rows_of(final / "predictions.csv")
    counts = {
        part["corruption"]: part["correct"] for part in json.loads((final / "scores.json").read_text())["conditions"]
    }
    for corruption, right in counts.items():
        mine = [row for row in rows if row["corruption"] == corruption]
        chances = np.array([[float(row[f"p_{name}"]) for name in "012"] for row in mine])
        assert np.allclose(chances.sum(1), 1, atol=1e-4)
        truths = np.array([int(row["truth"]) for row in mine])
        assert (chances.argmax(1) == truths).sum() == pytest.approx(right, abs=1)  # a tie in the fifth decimal


def test_evaluate_agrees_with_training_and_counts_the_access(final: Path, folder: Path) -> None:
    found = json.loads(run("evaluate", final, "--split", "test", "--data", folder, "--out", final.parent, "--json"))
    assert found["conditions"] == json.loads((final / "scores.json").read_text())["conditions"]
    assert len({line["date"] for line in rows_of(final.parent / "TEST_LEDGER.csv")}) == 2
    assert "test access 2" in (Path(found["folder"]) / "report.html").read_text()


def test_a_run_is_loaded_as_a_classifier(final: Path) -> None:
    data = draw_bars(30, first_source=120)
    logits = load_classifier(final)((data.pixels / 255).astype(np.float32))
    right = json.loads((final / "scores.json").read_text())["conditions"][0]["correct"]
    assert (logits.argmax(1) == data.labels).sum() == right


def test_the_report_is_self_contained(final: Path) -> None:
    page = (final / "report.html").read_text()
    assert "http://" not in page
    assert "https://" not in page
    sources = re.findall(r'\bsrc="([^"]{0,30})', page)
    assert len(sources) >= 6
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_equal_commands_give_equal_weights(trained: Path, folder: Path, tmp_path: Path) -> None:
    run("train", "--data", folder, "--out", tmp_path, *SHORT)
    again = next(tmp_path.glob("default-s0-*"))
    assert again.name == trained.name
    assert (again / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--device", "gpu", "--data", "{bars}"], "no device is called 'gpu'; did you mean 'cpu'?"),
        (["train", "--final", "--data", "{train only}"], "has no test images"),
        (
            ["train", "--learning-rate", "1e30", "--data", "{bars}", "--batch-size", "5"],
            "write a smaller --learning-rate",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_user_error_and_leaves_no_file(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {
        "{bars}": write_idx(tmp_path / "bars", draw_bars(30), draw_bars(6)),
        "{train only}": write_idx(tmp_path / "train only", draw_bars(30), None),
    }
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "argv", ["imparfait", *(str(folders.get(word, word)) for word in words)])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert sentence in said
    assert "Traceback" not in said
    assert list((tmp_path / "here").rglob("*.json")) == []
    assert not (tmp_path / "here" / "runs" / "TEST_LEDGER.csv").exists()


def test_list_prints_every_name() -> None:
    said = run("list")
    for name in ("quick", "default", "petit", "core", "study", "balanced", "clean", "geometric", "shrunk", "mnist"):
        assert f"\n{name} " in said


def test_list_prints_topics_and_json() -> None:
    said = run("list", "suites", "recipes")
    assert said.startswith("suite ")
    assert "\ncore " in said
    assert "petit" in said
    assert "efficientnet" not in said
    found = json.loads(run("list", "--json"))
    assert list(found) == list(TOPICS)
    assert {row["recipe"] for row in found["recipes"]} == set(RECIPES)
    assert all(set(rows[0]) == set(row) for rows in found.values() for row in rows)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_list_fits_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    commands.main(["list"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("quick ") for line in lines)


def test_cite_prints_entries_that_can_be_parsed() -> None:
    said = run("cite")
    assert version("imparfait") in said
    assert said.count("@") == len(WORKS) + 1
    for entry in said.strip().split("\n\n"):
        assert entry.startswith("@")
        assert entry.endswith("\n}")
        assert entry.count("{") == entry.count("}")
        assert re.search(r"\n  year +=", entry)
    assert run("cite", "mnist") == WORKS["mnist"] + "\n"


def test_cite_names_the_works_when_it_is_given_something_else() -> None:
    result = CliRunner().invoke(commands, ["cite", "minst"])
    assert isinstance(result.exception, UserError)
    assert "mnist" in str(result.exception)


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_shows_results_but_no_bars_and_no_next_steps(folder: Path, tmp_path: Path, quiet: bool) -> None:
    words = [*(["-q"] if quiet else []), "train", "--data", str(folder), *SHORT, "--out", str(tmp_path)]
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "report: " in result.stdout
    assert ("images/s" in result.stderr) == ("next: " in result.stderr) == (not quiet)
