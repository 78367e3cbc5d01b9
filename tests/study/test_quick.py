"""The quick study: two trainings that differ in one setting, and a page of how both classify corrupted digits."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from imparfait.cli.main import commands
from imparfait.evaluation.intervals import wilson_interval
from imparfait.study import quick
from imparfait.study.final_runs import FinalRun
from imparfait.study.quick import CLEAN, CORRUPTED, QuickStudy, quick_settings, quick_stage_names
from imparfait.study.quick_text import conditions_sentence, quick_summary

EVALUATED = 1000


def final(name: str, clean: int, geometric: int, shrunk: int) -> FinalRun:
    """A training with so many correct predictions of 1,000 under each condition."""
    counts = {"clean": clean, "geometric": geometric, "shrunk": shrunk}
    return FinalRun(
        name=name,
        folder=Path("runs/x"),
        settings=quick_settings()[name],
        images=8000,
        epochs=({"loss": 0.1, "accuracy": 0.9, "seconds": 60.0},),
        confusion={key: np.array([[n, EVALUATED - n], [0, 0]]) for key, n in counts.items()},
        mean=sum(counts.values()) / 3000,
        interval=wilson_interval(sum(counts.values()), 3000),
        classes=("0", "1"),
    )


def test_the_two_trainings_differ_in_their_augmentation_only() -> None:
    clean, corrupted = quick_settings().values()
    assert (clean.augmentation, corrupted.augmentation) == ("clean", "core")
    assert clean.model_copy(update={"augmentation": corrupted.augmentation}) == corrupted


def test_the_result_is_told_in_two_sentences_and_its_conditions_in_three() -> None:
    finals = {CLEAN: final(CLEAN, 985, 874, 208), CORRUPTED: final(CORRUPTED, 978, 954, 891)}
    study = QuickStudy(("0", "1"), finals)
    clean, corrupted = quick_summary(study)
    assert clean.endswith("98.50 % of clean digits, 87.40 % of geometric and 20.80 % of shrunk ones correctly.")
    assert corrupted.endswith("97.80 % of clean digits, 95.40 % of geometric and 89.10 % of shrunk ones.")
    conditions = conditions_sentence(study)
    assert "same 8,000 digits for 3 epochs" in conditions
    assert "1,000 validation images" in conditions


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick study of few images and steps."""
    monkeypatch.setattr(quick, "IMAGES", 180)
    monkeypatch.setattr(quick, "SETTINGS", quick.SETTINGS | {"epochs": 2})


def study_in(runs: Path, *words: str) -> str:
    words = ("study", "--quick", "--executor", "serial", "--out", str(runs), *words)
    result = CliRunner().invoke(commands, words)
    assert result.exception is None, result.output
    return result.output


@pytest.mark.usefixtures("small")
def test_its_page_shows_examples_and_a_second_time_nothing_is_trained(tmp_path: Path) -> None:
    printed = study_in(tmp_path)
    for name in (CLEAN, CORRUPTED):
        assert f"final {name}" in printed
    folder = tmp_path / "study-quick"
    figures = {"predictions", "augmentations", "accuracy_loss_clean", "accuracy_loss_corrupted"}
    assert figures <= {path.stem for path in folder.glob("*.png")}
    page = (folder / "report.html").read_text(encoding="utf-8")
    for wrong in ("not tried", "no spread", "After 1 epochs", "reproduced"):
        assert wrong not in page + printed
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert all(sentence in printed for sentence in scores["summary"])
    assert not (tmp_path / "TEST_LEDGER.csv").exists()  # the test set stays sealed
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(trained) == 2
    assert json.loads(study_in(tmp_path, "--json").splitlines()[-1])["summary"] == scores["summary"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == trained


@pytest.mark.usefixtures("small")
def test_one_stage_runs_alone_and_stages_are_only_printed(tmp_path: Path) -> None:
    last = quick_stage_names()[-1]
    assert f"{last}: done" in study_in(tmp_path, "--stage", last)
    assert len(list(tmp_path.rglob("model.safetensors"))) == 1
    assert "total" in study_in(tmp_path, "--stages")
    assert not (tmp_path / "study-quick").exists()
