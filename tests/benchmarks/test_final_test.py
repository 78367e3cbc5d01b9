"""The final networks are opened on test images only after the hashes of their weights are committed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))

import final_test


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder in a repository of its own, which has no commit yet."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.setattr(final_test, "ROOT", tmp_path)
    folder = tmp_path / "quick-s0"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def commit(run: Path, content: dict[str, str]) -> None:
    file = run.parent / final_test.WEIGHTS
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (["git", "add", "."], ["git", *who, "commit", "-q", "-m", "hashes"]):
        subprocess.run(command, cwd=run.parent, check=True)


def test_weights_that_are_not_committed_are_refused(run: Path) -> None:
    with pytest.raises(SystemExit, match="is not committed"):
        final_test.check_committed([str(run)])
    commit(run, {})
    with pytest.raises(SystemExit, match="its weights are not those"):
        final_test.check_committed([str(run)])


def test_weights_that_were_trained_again_are_refused(run: Path) -> None:
    commit(run, {run.name: final_test.weights_of(str(run))})
    final_test.check_committed([str(run)])
    (run / "model.safetensors").write_bytes(b"others")
    with pytest.raises(SystemExit, match="its weights are not those"):
        final_test.check_committed([str(run)])


def test_the_outside_digits_are_shown_as_files_would_be() -> None:
    data = final_test.outside_digits()
    assert data.pixels.shape == (1797, 1, 8, 8)
    assert data.pixels.max() == 255
    assert np.bincount(data.labels).min() > 170
