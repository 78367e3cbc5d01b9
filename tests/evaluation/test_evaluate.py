"""Evaluation of any model, from Python and from the command line, on small images."""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.bars import draw_bars, write_idx
from helpers.commands import SMALL

import imparfait
from imparfait.cli import console
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.core.types import Watch
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.evaluation.evaluate import evaluate
from imparfait.inference.open_model import open_model
from imparfait.reports.evaluation import evaluate_models
from imparfait.reports.text import scores_rows

SHORT = ("--epochs", "2", "--batch-size", "20", "--learning-rate", "0.003", *SMALL)


def by_foreground(images: np.ndarray) -> np.ndarray:
    """Logits from the position of the foreground: [n, 1, height, width] in 0..1."""
    rows, columns = images.max(3).mean((1, 2)), images.max(2).mean((1, 2))
    return np.stack([columns - rows, rows - columns, rows + columns - 1], 1).astype(np.float32) * 10


def by_foreground_elsewhere(images: np.ndarray) -> np.ndarray:
    """The same with another input specification: [n, height, width, 1] in 0..255, dark foreground, probabilities."""
    assert images.shape[3] == 1
    powers = np.exp(by_foreground(1 - images.transpose(0, 3, 1, 2) / 255))
    return powers / powers.sum(1, keepdims=True)


def run(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(commands, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in their seed."""
    home = tmp_path_factory.mktemp("home")
    data = write_idx(home / "bars", draw_bars(120), draw_bars(30, first_source=120))
    for seed in (0, 1):
        run("train", "--data", data, "--out", home / "runs", "--seed", str(seed), *SHORT)
    return home


def test_a_function_of_another_layout_has_the_same_scores(bars: LabelledImages) -> None:
    ours = evaluate(by_foreground, bars)
    theirs = evaluate(by_foreground_elsewhere, bars, layout="nhwc", value_range=255, foreground="dark")
    assert [score.correct for score in ours.scores] == [score.correct for score in theirs.scores]


def test_a_batch_in_the_wrong_layout_is_rejected_with_a_hint(bars: LabelledImages) -> None:
    with pytest.raises(UserError, match="layout"):
        evaluate(by_foreground_elsewhere, bars, value_range=255)


def test_a_custom_corruption_is_evaluated_among_the_others(bars: LabelledImages) -> None:
    def faded(images: torch.Tensor, severity: float, rng: imparfait.CounterRng) -> torch.Tensor:
        return images * (1 - severity)

    scores = evaluate(by_foreground, bars, suite=["rotate", faded])
    assert [s.severity for s in scores.scores if s.corruption == "faded"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert {s.corruption for s in scores.scores} == {"clean", "rotate", "faded"}
    assert "faded 0.4" in {row[0] for row in scores_rows(scores)}


def test_suites_are_named_and_several_models_are_compared(bars: LabelledImages) -> None:
    suite = ["rotate", "stripe"]
    scores = evaluate(by_foreground, bars, suite=suite)
    found = evaluate({"rows": by_foreground, "none": lambda images: np.zeros((len(images), 3))}, bars, suite=suite)
    assert [model.name for model in found.models] == ["rows", "none"]
    assert found.models[0].seeds[0].scores.scores == scores.scores
    (verdict,) = found.verdicts
    assert verdict.names == ("rows", "none")
    assert found.calibration["rows"][0].total == len(bars)
    assert {report.accepted for report in found.ood["rows"]} == {None}
    assert set(found.corruption_errors["rows"]) == {"rotate", "stripe"}
    assert [score.corruption for score in evaluate(by_foreground, bars, suite="core").scores] == [
        "clean", "geometric", "shrunk",
    ]  # fmt: skip
    with pytest.raises(UserError, match="no suite is called 'three'"):
        evaluate(by_foreground, bars, suite="three")


def test_the_full_suite_leaves_a_report_and_every_count(home: Path) -> None:
    first = next((home / "runs").glob("default-s0-*"))
    out = home / "full"
    result = json.loads(
        run(
            "evaluate",
            first,
            "--data",
            home / "bars",
            "--suite",
            "digits",
            "--split",
            "validation",
            "--out",
            out,
            "--json",
        )
    )
    folder = Path(result["folder"])
    assert {"report.html", "scores.json", "scores.csv", "table.csv", "table.tex", "environment.json"} <= {
        path.name for path in folder.iterdir()
    }
    (model,) = result["models"]
    (suite,) = model["seeds"]
    assert [row["corruption"] for row in suite["corruptions"]] == list(CORRUPTIONS)
    assert model["mean"] == pytest.approx(np.mean([row["accuracy"] for row in suite["corruptions"]]))
    assert {part["severity"] for part in suite["conditions"] if part["corruption"] == "rotate"} >= {
        0.2,
        0.4,
        0.6,
        0.8,
        1.0,
    }
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clean = [row for row in rows if row["corruption"] == "clean"]
    assert sum(int(row["total"]) for row in clean) == suite["conditions"][0]["total"] == 20
    assert {report["name"] for report in model["ood"]} >= {"blank", "noise", "letters", "photographs"}
    assert not (out / "TEST_LEDGER.csv").exists()


def test_runs_that_differ_in_their_seed_are_one_model_and_each_access_is_recorded(home: Path) -> None:
    runs = sorted((home / "runs").glob("default-s*"))
    result = json.loads(
        run("evaluate", *runs, "--data", home / "bars", "--split", "test", "--out", home / "both", "--json")
    )
    (model,) = result["models"]
    assert len(model["seeds"]) == 2
    assert model["spread_over_seeds"] is not None
    assert result["comparisons"] == []
    ledger = (home / "both" / "TEST_LEDGER.csv").read_text().splitlines()
    assert len(ledger) == 1 + 2 * 2  # each access has a line before it, and one with its result


def test_the_library_evaluates_models_as_the_command_does(home: Path) -> None:
    first = next((home / "runs").glob("default-s0-*"))
    printed = json.loads(run("evaluate", first, "--data", home / "bars", "--out", home / "command", "--json"))
    dataset = load_data(home / "bars")
    steps = []

    def watch(title: str) -> Watch:
        def over(items: Iterable, total: int) -> Iterator:
            for item in items:
                steps.append((title, total))
                yield item

        return over

    with open_model(first, dataset) as model:
        report = evaluate_models([model], dataset, out=home / "library", watch=watch)
    assert report.scores.model_dump(mode="json") == {key: printed[key] for key in printed if key != "folder"}
    assert report.folder.name == Path(printed["folder"]).name
    assert steps == [(first.name, 3)] * 3
    assert not (home / "library" / "TEST_LEDGER.csv").exists()


def test_two_models_of_the_same_name_stay_two(home: Path) -> None:
    first = next((home / "runs").glob("default-s0-*"))
    twin = home / "copied" / first.name
    shutil.copytree(first, twin)
    words = ["--data", home / "bars", "--split", "validation", "--out", home / "twins", "--json"]
    result = json.loads(run("evaluate", first, twin, *words))
    assert [len(model["seeds"]) for model in result["models"]] == [2]


def test_a_run_is_not_evaluated_on_images_it_was_trained_on(home: Path) -> None:
    run("train", "--data", home / "bars", "--out", home / "final", "--final", *SHORT)
    final = next((home / "final").glob("default-s0-*"))
    with pytest.raises(UserError, match=r"trained on the validation images too; .*--split test"):
        run("evaluate", final, "--data", home / "bars", "--split", "validation", "--out", home / "refused")


def test_an_external_onnx_file_is_evaluated_and_its_input_reported(home: Path) -> None:
    """A linear model on 0..255: the overlap with three templates."""
    from helpers.model_files import model_of
    from onnx import helper

    data = draw_bars(120)
    flat = data.pixels.reshape(120, -1).astype(np.float64)
    truths = np.eye(3)[data.labels]
    weights = np.linalg.lstsq(flat, truths, rcond=None)[0].astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["row"]),
        helper.make_node("MatMul", ["row", "head"], ["scores"]),
        helper.make_node("Identity", ["scores"], ["outputs"]),
    ]
    path = home / "linear.onnx"
    path.write_bytes(model_of(nodes, ("n", 1, 16, 16), {"head": weights}).SerializeToString())
    printed = run(
        "evaluate", path, "--data", home / "bars", "--split", "validation", "--range", "255", "--out", home / "onnx"
    )
    assert "layout nchw" in printed
    assert (next((home / "onnx").glob("evaluate-linear.onnx-*")) / "report.html").exists()


def test_an_unknown_model_is_refused_before_data_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "loaded", lambda *_: pytest.fail("data were loaded"))
    with pytest.raises(UserError, match="no such model"):
        run("evaluate", "nope")


def test_a_model_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="given twice"):
        run("evaluate", "digits", "digits")
