"""Choosing settings on the fresh validation set."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

import imparfait

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))

import choose


def test_the_fresh_set_is_another_sixth_of_the_training_images() -> None:
    images = imparfait.load_data("mnist").train
    fitted, fresh = choose.fresh_split(images)
    _, validation = imparfait.split(images)
    assert len(fresh) == 10_000
    assert not np.isin(fresh.sources, fitted.sources).any()
    assert np.isin(fresh.sources, validation.sources).mean() == pytest.approx(1 / 6, abs=0.02)


def test_each_training_is_counted_before_it_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wider.toml").write_text("epochs = 1\n")
    uses, seen = tmp_path / "uses.csv", []

    def score(settings: choose.TrainingSettings, *images: object) -> np.ndarray:
        seen.append(len(uses.read_text().splitlines()))
        wrong = 100 if settings.epochs > 1 else 300
        return (np.random.default_rng(settings.seed).permutation(10_000) >= wrong).astype(float)

    monkeypatch.setattr(choose, "score", score)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["choose.py", "default", "wider.toml", "--seeds", "0", "1", "--uses", str(uses)])
    choose.main()
    assert seen == [2, 3, 4, 5]  # with the line of column names
    with uses.open(newline="") as file:
        assert [row["candidate"] for row in csv.DictReader(file)] == ["default", "wider.toml"] * 2
    said = capsys.readouterr().out
    assert "wider.toml: core mean 97.000 % (2 seeds); lead -2.000 points" in said
    assert "worse" in said
    assert "has 4 lines" in said
