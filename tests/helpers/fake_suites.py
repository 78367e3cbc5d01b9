"""Made-up suite results, image by image; no classifier runs."""

from collections.abc import Mapping

import numpy as np

from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.suite import CLEAN

CLASSES = ("flat", "steep", "cross")


def condition_result(
    corruption: str, severity: float, correct: np.ndarray | list[int], confidence: np.ndarray | float = 0.8
) -> ConditionResult:
    """Predictions that are correct where `correct` is true, all with this confidence."""
    n = len(correct)
    truths = np.arange(n) % len(CLASSES)
    predicted = np.where(np.asarray(correct, bool), truths, (truths + 1) % len(CLASSES))
    largest = np.broadcast_to(confidence, n)[:, None]
    others = (1 - largest) / (len(CLASSES) - 1)
    table = np.where(np.arange(len(CLASSES)) == predicted[:, None], largest, others)
    return ConditionResult(corruption, severity, np.arange(n), truths, table.astype(np.float32))


def suite_of(correct: Mapping[tuple[str, float], np.ndarray | list[int]], confidence: float = 0.8) -> SuiteResult:
    """A suite result from the images that are correct, by corruption and severity; clean is all correct by default."""
    clean = {} if (CLEAN, 0.0) in correct else {(CLEAN, 0.0): np.ones(len(next(iter(correct.values()))), bool)}
    results = (condition_result(*key, rows, confidence) for key, rows in (clean | dict(correct)).items())
    return SuiteResult(Scores(tuple(results), CLASSES))
