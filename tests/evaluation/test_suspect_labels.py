"""Suspect labels: wrong ones are found among uncertain images, and written with their files."""

import csv
from pathlib import Path

import numpy as np
from helpers.fake_suites import CLASSES

from imparfait.evaluation.scores import ConditionResult
from imparfait.evaluation.suspect_labels import suspect_labels, write_suspects

WRONG = (4, 17, 50)


def predictions() -> ConditionResult:
    """Sixty images that are predicted rightly and with confidence, three of them with a wrong label, one hard."""
    truths = np.arange(60) % 3
    probabilities = np.full((60, 3), 0.04)
    probabilities[np.arange(60), truths] = 0.92
    probabilities[9] = [0.3, 0.4, 0.3]  # an error, but no confident one
    labels = truths.copy()
    labels[list(WRONG)] = (truths[list(WRONG)] + 1) % 3
    return ConditionResult("clean", 0.0, np.arange(100, 160), labels, probabilities.astype(np.float32))


def test_wrong_labels_are_suspect_and_hard_images_are_not() -> None:
    found = suspect_labels(predictions())
    assert {one.source for one in found} == {100 + row for row in WRONG}
    assert all(one.likely != one.label for one in found)
    assert len(suspect_labels(predictions(), most=2)) == 2


def test_without_mistakes_nothing_is_suspect() -> None:
    result = predictions()
    right = ConditionResult("clean", 0.0, result.sources, result.predicted, result.probabilities)
    assert suspect_labels(right) == []


def test_a_classifier_that_is_mostly_wrong_says_nothing_about_labels() -> None:
    result = predictions()
    labels = (result.predicted + (np.arange(60) % 2)) % 3
    assert suspect_labels(ConditionResult("clean", 0.0, result.sources, labels, result.probabilities)) == []


def test_the_file_names_each_image_its_label_and_its_likely_class(tmp_path: Path) -> None:
    files = [f"{number}.png" for number in range(160)]
    write_suspects(tmp_path / "suspect_labels.csv", suspect_labels(predictions()), CLASSES, files)
    with (tmp_path / "suspect_labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"{row['source']}.png" for row in rows]
    assert {row["label"] for row in rows} <= set(CLASSES)
