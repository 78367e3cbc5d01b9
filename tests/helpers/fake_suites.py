"""Suites of answers made up image by image; no classifier is asked."""

from collections.abc import Mapping

import numpy as np

from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.suite import CLEAN

CLASSES = ("flat", "steep", "cross")


def answers(
    corruption: str, severity: float, correct: np.ndarray | list[int], sure: np.ndarray | float = 0.8
) -> ConditionResult:
    """Answers of which those are right that `right` says, given with the confidence `sure`."""
    n = len(correct)
    truths = np.arange(n) % len(CLASSES)
    said = np.where(np.asarray(correct, bool), truths, (truths + 1) % len(CLASSES))
    shares = np.broadcast_to(sure, n)[:, None]
    table = np.where(np.arange(len(CLASSES)) == said[:, None], shares, (1 - shares) / (len(CLASSES) - 1))
    return ConditionResult(corruption, severity, np.arange(n), truths, table.astype(np.float32))


def suite_of(correct: Mapping[tuple[str, float], np.ndarray | list[int]], sure: float = 0.8) -> SuiteResult:
    """A suite from which images are right, by corruption and severity; clean is all right where it is not said."""
    clean = {} if (CLEAN, 0.0) in correct else {(CLEAN, 0.0): np.ones(len(next(iter(correct.values()))), bool)}
    parts = tuple(answers(*which, each, sure) for which, each in (clean | dict(correct)).items())
    return SuiteResult(Scores(parts, CLASSES))
