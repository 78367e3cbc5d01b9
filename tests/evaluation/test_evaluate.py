"""Evaluating anybody's model, from Python and from the command line, on small images."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.bars import draw_bars, write_idx

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.evaluate import evaluate

SHORT = ("--epochs", "2", "--batch-size", "20", "--learning-rate", "0.003")


def by_ink(images: np.ndarray) -> np.ndarray:
    """Logits from where the ink is: [n, 1, height, width] in 0..1."""
    rows, columns = images.max(3).mean((1, 2)), images.max(2).mean((1, 2))
    return np.stack([columns - rows, rows - columns, rows + columns - 1], 1).astype(np.float32) * 10


def by_ink_elsewhere(images: np.ndarray) -> np.ndarray:
    """The same function as someone else would have it: [n, height, width, 1] in 0..255, dark ink, probabilities."""
    assert images.shape[3] == 1
    powers = np.exp(by_ink(1 - images.transpose(0, 3, 1, 2) / 255))
    return powers / powers.sum(1, keepdims=True)


def run(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(commands, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in their seed, and one on all images."""
    home = tmp_path_factory.mktemp("home")
    data = write_idx(home / "bars", draw_bars(120), draw_bars(30, first_source=120))
    for seed in (0, 1):
        run("train", "--data", data, "--out", home / "runs", "--seed", str(seed), *SHORT)
    return home


def test_a_function_of_another_layout_is_scored_as_its_twin_in_ours(bars: LabelledImages) -> None:
    ours = evaluate(by_ink, bars)
    theirs = evaluate(by_ink_elsewhere, bars, layout="nhwc", range=255, ink="dark")
    assert [score.correct for score in ours.each] == [score.correct for score in theirs.each]


def test_a_batch_in_the_wrong_layout_is_refused_with_the_line_to_write(bars: LabelledImages) -> None:
    with pytest.raises(UserError, match="layout"):
        evaluate(by_ink_elsewhere, bars, range=255)


def test_one_s_own_alteration_is_scored_among_the_table_s(bars: LabelledImages) -> None:
    def faded(images: torch.Tensor, severity: float, draw: imparfait.CounterRng) -> torch.Tensor:
        return images * (1 - severity)

    scores = evaluate(by_ink, bars, suite=["rotate", faded])
    assert [s.severity for s in scores.each if s.corruption == "faded"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert {s.corruption for s in scores.each} == {"clean", "rotate", "faded"}
    assert "faded 0.4" in str(scores)


def test_the_full_suite_leaves_a_page_and_every_count(home: Path) -> None:
    first = next((home / "runs").glob("default-s0-*"))
    out = home / "full"
    told = json.loads(
        run(
            "evaluate",
            first,
            "--data",
            home / "bars",
            "--suite",
            "full",
            "--split",
            "validation",
            "--out",
            out,
            "--json",
        )
    )
    folder = Path(told["folder"])
    assert {"report.html", "scores.json", "scores.csv", "table.csv", "table.tex", "environment.json"} <= {
        path.name for path in folder.iterdir()
    }
    (model,) = told["models"]
    (suite,) = model["seeds"]
    assert [row["corruption"] for row in suite["corruptions"]] == list(CORRUPTIONS)
    assert model["mean"] == pytest.approx(np.mean([row["accuracy"] for row in suite["corruptions"]]))
    assert {part["severity"] for part in suite["parts"] if part["corruption"] == "rotate"} >= {0.2, 0.4, 0.6, 0.8, 1.0}
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clean = [row for row in rows if row["corruption"] == "clean"]
    assert sum(int(row["total"]) for row in clean) == suite["parts"][0]["total"] == 20
    assert {refusal["name"] for refusal in model["refusals"]} >= {"blank", "noise", "letters", "photographs"}
    assert not (out / "TEST_LEDGER.csv").exists()


def test_runs_that_differ_in_their_seed_are_one_model_and_each_opens_the_test_once(home: Path) -> None:
    runs = sorted((home / "runs").glob("default-s*"))
    told = json.loads(run("evaluate", *runs, "--data", home / "bars", "--out", home / "both", "--json"))
    (model,) = told["models"]
    assert len(model["seeds"]) == 2
    assert model["spread_over_seeds"] is not None
    assert told["verdicts"] == []
    ledger = (home / "both" / "TEST_LEDGER.csv").read_text().splitlines()
    assert len(ledger) == 1 + 2


def test_two_models_of_the_same_name_stay_two(home: Path) -> None:
    first = next((home / "runs").glob("default-s0-*"))
    twin = home / "copied" / first.name
    shutil.copytree(first, twin)
    words = ["--data", home / "bars", "--split", "validation", "--out", home / "twins", "--json"]
    told = json.loads(run("evaluate", first, twin, *words))
    assert [len(model["seeds"]) for model in told["models"]] == [2]


def test_pictures_that_a_run_was_fitted_on_do_not_judge_it(home: Path) -> None:
    run("train", "--data", home / "bars", "--out", home / "final", "--final", *SHORT)
    final = next((home / "final").glob("default-s0-*"))
    with pytest.raises(UserError, match="fitted on the validation images too; leave --split validation out"):
        run("evaluate", final, "--data", home / "bars", "--split", "validation", "--out", home / "refused")


def test_someone_s_onnx_file_is_asked_and_how_is_said(home: Path) -> None:
    """Exactly linear: the sum of three templates' overlap with the image, in 0..255, from the first pixels on."""
    from helpers.model_files import model_of
    from onnx import helper

    data = draw_bars(120)
    flat = data.pixels.reshape(120, -1).astype(np.float64)
    truths = np.eye(3)[data.labels]
    weights = np.linalg.lstsq(flat, truths, rcond=None)[0].astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["row"]),
        helper.make_node("MatMul", ["row", "head"], ["scores"]),
        helper.make_node("Identity", ["scores"], ["answers"]),
    ]
    path = home / "linear.onnx"
    path.write_bytes(model_of(nodes, ("n", 1, 16, 16), {"head": weights}).SerializeToString())
    said = run(
        "evaluate", path, "--data", home / "bars", "--split", "validation", "--range", "255", "--out", home / "onnx"
    )
    assert "nchw" in said
    assert (next((home / "onnx").glob("evaluate-linear.onnx-*")) / "report.html").exists()
