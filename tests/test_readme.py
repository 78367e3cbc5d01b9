"""README: short, and each of its make and pip lines works; the quick study that it names leaves what it should."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from imparfait.cli.main import COMMANDS
from imparfait.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LINES = [
    line.split("  #")[0].strip()
    for text in (README, CONTRIBUTING)
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("study")
    command = [sys.executable, "-m", "imparfait", "study", "--quick"]
    result = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return home / "runs"


@pytest.mark.parametrize("name", ["README.md", "README.fr.md"])
def test_readme_has_at_most_170_lines(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 170


def test_readme_has_a_small_image() -> None:
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(images) == 1
    assert (ROOT / images[0]).stat().st_size <= 200_000


def test_readme_names_every_command_and_the_recipes_of_its_table() -> None:
    for name in COMMANDS:
        assert f"| `imparfait {name}" in README
    named = re.findall(r"(?m)^\| `(\w+)` \|", README)
    assert named == [name for name in RECIPES if name in named] == ["quick", "default", "best"]


def test_every_make_target_exists() -> None:
    targets = re.findall(r"`(make \w+)`", README) + [line for line in LINES if line.startswith("make ")]
    assert {"make docs", "make test"} <= set(targets)
    for target in targets:
        assert subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, capture_output=True).returncode == 0, target


def test_every_pip_line_can_be_resolved() -> None:
    lines = [line for line in LINES if line.startswith("pip ")]
    assert lines
    for line in lines:
        words = shlex.split(line)[1:]
        result = subprocess.run(
            [sys.executable, "-m", "pip", *words, "--dry-run", "--quiet"], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == 0, f"{line}\n{result.stderr}"


def test_the_quick_study_leaves_its_page_its_figures_and_a_keras_file_that_loads(study: Path) -> None:
    folder = study / "study-quick"
    figures = {"accuracy_loss", "matrice_conf_1", "matrice_conf_2", "differences", "accuracy_seconds"}
    assert figures <= {path.stem for path in folder.glob("*.png")}
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert {claim["outcome"] for claim in scores["claims"]} == {"not tried"}
    assert len(scores["finals"]) == 4
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


def test_a_finished_study_is_reported_again_without_training(study: Path) -> None:
    def jobs() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in study.rglob("*.job")}

    before = jobs()
    assert before
    command = [sys.executable, "-m", "imparfait", "study", "--quick", "--json"]
    again = subprocess.run(command, cwd=study.parent, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["ablations"]["verdicts"]
    assert jobs() == before
