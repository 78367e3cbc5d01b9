"""One real training on real MNIST, as a user starts it; scored on development pictures."""

import json
import subprocess
import sys
from pathlib import Path


def test_quick_learns_mnist_and_leaves_a_whole_run(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "imparfait", "train", "--recipe", "quick", "--out", tmp_path, "--json"]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert 0.98 <= scores["mean"] < 0.9999  # everything right on real data would be a leak
    assert [(part["alteration"], part["total"]) for part in scores["parts"]] == [
        ("clean", 10_000),
        ("geometric", 10_000),
        ("shrunk", 10_000),
    ]
    assert (Path(scores["folder"]) / "report.html").stat().st_size > 100_000
    assert not (tmp_path / "TEST_LEDGER.csv").exists()
