"""The whole study from its first stage to its page, on few images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.rehearsal import REHEARSAL

from imparfait.cli.main import commands
from imparfait.study.scales import SCALES


def rehearse(runs: Path, *words: str) -> str:
    """What `imparfait study` prints on few images."""
    result = CliRunner().invoke(commands, ["study", "--executor", "serial", "--out", str(runs), *words])
    assert result.exception is None, result.output
    return result.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("study") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "full", REHEARSAL)  # type: ignore[arg-type]
        rehearse(runs)
    return runs


def test_the_study_leaves_its_page_its_figures_and_a_keras_file_that_loads(study: Path) -> None:
    folder = study / "study"
    figures = {"accuracy_loss", "matrice_conf_1", "matrice_conf_2", "differences", "accuracy_seconds"}
    assert figures <= {path.stem for path in folder.glob("*.png")}
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert {claim["outcome"] for claim in scores["claims"]} <= {"not decided", "not tried"}
    assert len(scores["finals"]) == 4
    assert "After 1 epoch:" in (folder / "report.html").read_text(encoding="utf-8")
    assert "macro avg" in (folder / "classification_report_2.txt").read_text(encoding="utf-8")
    assert (folder / "cross-validation" / "report.html").exists()
    ledger = study / "TEST_LEDGER.csv"
    assert not ledger.exists() or "study" not in ledger.read_text(encoding="utf-8")  # the test set stays sealed
    program = "import keras; print(keras.saving.load_model('model/mon_model.keras').count_params())"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        check=True,
    )
    assert int(loaded.stdout) > 1_000_000


def test_a_finished_study_is_reported_again_without_training(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def jobs() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in study.rglob("*.job")}

    before = jobs()
    assert before
    monkeypatch.setitem(SCALES, "full", REHEARSAL)  # type: ignore[arg-type]
    assert json.loads(rehearse(study, "--json"))["ablations"]["verdicts"]
    assert jobs() == before
