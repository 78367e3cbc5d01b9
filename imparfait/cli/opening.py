"""Scoring on test images: the only way to them, and it is written down."""

from pathlib import Path

from imparfait.cli import console
from imparfait.core.types import Classifier
from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import ConditionImages
from imparfait.data.sealed_test import LEDGER, SealedTest, TestAccess
from imparfait.evaluation.scores import Scores, evaluate, percent


def evaluate_on_test(
    classifier: Classifier, test: SealedTest, out: Path, settings: str
) -> tuple[Scores, list[ConditionImages], str]:
    """Open `test` once and score on the three; `settings` is the hash of the settings for the ledger in `out`.

    Also returns the images, for the report, and a sentence on how often they have been opened.
    """
    with test.open(out / LEDGER, settings) as opening:
        parts = core_suite(opening.images)
        with console.watched(classifier, "scoring the test images", sum(len(part.data) for part in parts)) as watched:
            scores = evaluate(watched, parts)
        accuracies = [f"{score.corruption} {percent(score.accuracy)}" for score in scores.each]
        opening.result = ", ".join([*accuracies, f"mean {percent(scores.mean)}"])
    return scores, parts, describe_accesses(opening)


def describe_accesses(opening: TestAccess) -> str:
    """How often these test images have been opened, in words."""
    times = "1 time" if opening.times == 1 else f"{opening.times} times"
    return f"these test images have been opened {times} here"
