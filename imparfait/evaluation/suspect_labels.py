"""Labels that are probably wrong, found by confident learning in predictions of images that were not trained on."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imparfait.core.names import as_cell
from imparfait.evaluation.scores import ConditionResult

MOST = 10
MIN_ACCURACY = 0.7  # of the classifier; most mistakes of a worse one are its own


@dataclass(frozen=True)
class SuspectLabel:
    """An image whose label is probably wrong."""

    source: int
    """The id of the image."""
    label: int
    likely: int
    """The class that it is predicted to be."""
    probability: float
    """Of `likely`."""


def suspect_labels(result: ConditionResult, most: int = MOST) -> list[SuspectLabel]:
    """At most so many images with suspect labels, the most suspect first.

    An image is suspect where another class is the most probable, and at least as probable as that class is on average
    for images that have it as their label. None are where the classifier is right on fewer than 70 %. The rarer
    mistakes are among clean predictions, the more of the suspects are errors of the labels.
    Source: Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021).
    """
    probabilities, truths = result.probabilities, result.truths
    if result.score.accuracy < MIN_ACCURACY:
        return []
    own = probabilities[np.arange(len(truths)), truths]
    classes = probabilities.shape[1]
    counts = np.bincount(truths, minlength=classes)
    usual = np.where(counts > 0, np.bincount(truths, own, minlength=classes) / np.maximum(counts, 1), np.inf)
    likely = probabilities.argmax(1)
    highest = probabilities.max(1)
    rows = np.flatnonzero((likely != truths) & (highest >= usual[likely]))
    ranked = rows[np.argsort((own - highest)[rows], kind="stable")][:most]
    return [
        SuspectLabel(int(result.sources[row]), int(truths[row]), int(likely[row]), float(highest[row]))
        for row in ranked
    ]


def write_suspects(path: Path, suspects: Sequence[SuspectLabel], classes: Sequence[str], files: Sequence[str]) -> None:
    """A CSV file of suspect labels, the most suspect first; `files` names the file of each source id."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "file", "label", "predicted", "probability"])
        for one in suspects:
            name = files[one.source] if files else ""
            cells = map(as_cell, (name, classes[one.label], classes[one.likely]))
            writer.writerow([one.source, *cells, f"{one.probability:.4f}"])
