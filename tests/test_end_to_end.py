"""One real training on MNIST from the command line, evaluated on validation images."""

import json
import subprocess
import sys
from pathlib import Path


def test_quick_reaches_its_accuracy_on_mnist_and_writes_a_complete_run(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "imparfait", "train", "--recipe", "quick", "--out", tmp_path, "--json"]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert 0.98 <= scores["mean"] < 0.9999  # everything right on real data would be a leak
    assert [(condition["corruption"], condition["total"]) for condition in scores["conditions"]] == [
        ("clean", 10_000),
        ("geometric", 10_000),
        ("shrunk", 10_000),
    ]
    assert (Path(scores["folder"]) / "report.html").stat().st_size > 100_000
    assert not (tmp_path / "TEST_LEDGER.csv").exists()


def test_a_comparison_on_mnist_tells_a_trained_network_from_one_that_hardly_was(tmp_path: Path) -> None:
    (tmp_path / "hardly.toml").write_text(
        "learning_rate = 1e-5\nbatch_size = 64\n[model_args]\nfilters = 16\ndepth = 1\n"
    )
    (tmp_path / "trained.toml").write_text(
        "learning_rate = 0.02\nbatch_size = 64\n[model_args]\nfilters = 16\ndepth = 1\n"
    )
    words = ["compare", "hardly.toml", "trained.toml", "--images", "2000", "--epochs", "2", "--seeds", "2", "--json"]
    result = subprocess.run([sys.executable, "-m", "imparfait", *words], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    [verdict] = found["verdicts"]
    assert verdict["significant"]
    assert verdict["better"] == "trained"
    assert 0.85 < found["candidates"][0]["mean"] < 0.9999
    assert found["candidates"][1]["mean"] < 0.3
    assert not (tmp_path / "runs" / "TEST_LEDGER.csv").exists()
