"""Calibration on corrupted images, and detection of out-of-distribution (OOD) images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from imparfait.core.types import Classifier
from imparfait.data.images.blank import accepts
from imparfait.data.ood import LIKE, OOD_SETS
from imparfait.evaluation import metrics
from imparfait.evaluation.calibration import CALIBRATION_FAMILIES, MODERATE_SEVERITY
from imparfait.evaluation.intervals import Interval
from imparfait.evaluation.robustness import CorruptionSummary, SuiteResult
from imparfait.evaluation.scores import ConditionResult

OOD_OF_PHOTOS = ("blank", "noise")
"""The OOD sets for photographs; letters and grey crops of photographs are made for models of digits."""
CHANCE_LABELS = 20_000_000  # drawn to find the ECE that chance gives: a third of a second
MIN_CHANCE_DRAWS, MAX_CHANCE_DRAWS = 60, 1000
CONFIDENT_SHARE = 0.99  # of the predictions, the most confident ones, whose errors are counted


@dataclass(frozen=True)
class CalibrationReport:
    """How good the probabilities on some images are; lower is better everywhere."""

    images: str
    total: int
    log_loss: float
    brier: float
    calibration_error: float
    """ECE, in 15 bins of equal mass."""
    calibration_error_interval: Interval
    """95 %, from one copy of each source: rather too wide than too narrow."""
    error_rate: float
    """Also the calibration error of the same predictions with confidence 1."""
    confident_errors: int
    """Wrong predictions among the most confident 99 % …"""
    confident_total: int
    """… and how many predictions these are."""
    calibration_error_by_chance: float | None = None
    """The ECE that a perfectly calibrated model stays below in 95 % of draws; None in files of earlier versions."""


@dataclass(frozen=True)
class OodReport:
    """How well confidence separates corrupted images of known classes from one set of OOD images."""

    name: str
    description: str
    total: int
    auroc: float
    fpr95: float
    """The share of these images at least as confident as 95 % of the corrupted images."""
    accepted: float | None
    """The share that the model's threshold accepts; None without one."""
    resembles_classes: bool = False
    """Whether the images resemble known classes, so that there is no right answer: an O may be taken for a 0."""


def calibration_report(images: str, results: Sequence[ConditionResult]) -> CalibrationReport:
    """The quality of the probabilities under all these conditions together."""
    # Of each condition only two numbers an image are kept: all probabilities may be more than memory.
    confidence = np.concatenate([result.confidence for result in results])
    correct = np.concatenate([result.correct for result in results])
    losses, distances = zip(
        *((metrics.log_loss(each.probabilities, each.truths), metrics.brier(each.probabilities, each.truths))
          for each in results), strict=True,
    )  # fmt: skip
    counts = [len(result.truths) for result in results]
    # The interval is a bootstrap over rows, which must be independent: one random copy of each source image.
    n = len(results[0].truths)
    rows = np.random.default_rng(0).integers(len(results), size=n) * n + np.arange(n)
    return CalibrationReport(
        images,
        len(correct),
        float(np.average(losses, weights=counts)),
        float(np.average(distances, weights=counts)),
        metrics.calibration_error(confidence, correct),
        metrics.calibration_error_interval(confidence[rows], correct[rows]),
        1 - float(correct.mean()),
        *metrics.confident_errors(confidence, correct, CONFIDENT_SHARE),
        metrics.error_by_chance(
            confidence,
            resamples=min(MAX_CHANCE_DRAWS, max(MIN_CHANCE_DRAWS, CHANCE_LABELS // len(correct))),
            sources=np.concatenate([result.sources for result in results]),
        ),
    )


def calibration_by_family(suite: SuiteResult) -> list[CalibrationReport]:
    """Reports for clean, for each family up to severity 0.6, for the families calibrated on, and for the others.

    For photographs, whose calibration is not on families of corruptions, the last is for all families together.
    """
    families: dict[str, list[ConditionResult]] = {}
    for summary in suite.corruptions:
        families.setdefault(summary.family, []).extend(moderate(suite, summary))
    reports = [calibration_report("clean", [suite.clean])]
    reports += [calibration_report(family, results) for family, results in families.items()]
    if suite.is_of_photos:
        return [*reports, calibration_report("all corrupted", [result for own in families.values() for result in own])]
    for name, used in (("calibration families", True), ("other families", False)):
        results = [
            result for family, own in families.items() if (family in CALIBRATION_FAMILIES) == used for result in own
        ]
        if results:
            reports.append(calibration_report(name, results))
    return reports


def moderate(suite: SuiteResult, summary: CorruptionSummary) -> list[ConditionResult]:
    """A corruption's results up to severity 0.6, or at its only level."""
    levels = [level for level in summary.severities if level <= MODERATE_SEVERITY] or summary.severities
    return [suite.conditions[summary.corruption, level] for level in levels]


def ood_reports(
    classifier: Classifier,
    suite: SuiteResult,
    channels: int,
    height: int,
    width: int,
    threshold: float | None,
    n: int = 2000,
    data: str = "",
) -> list[OodReport]:
    """OOD detection by confidence on each set of OOD images that is not from the `data` itself, the worst first.

    The in-distribution images are the suite's corrupted ones at all severities: clean ones would be too easy.
    """
    levels = [(name, level) for name, severities in suite.levels.items() for level in severities]
    known = np.concatenate([suite.conditions[level].confidence for level in levels])
    reports = []
    for name, ood_set in OOD_SETS.items():
        if ood_set.purpose != "testing" or (data and ood_set.data == data):
            continue
        if suite.is_of_photos and name not in OOD_OF_PHOTOS:
            continue
        pixels = ood_set.draw(n, height, width, channels, seed=0)
        if pixels is None:
            continue
        images = pixels.astype(np.float32) / 255
        probabilities = softmax(classifier(images).astype(np.float64), 1)
        confidence = metrics.max_probability(probabilities)
        rounded = confidence.astype(known.dtype)  # in float64, 1 - 1e-9 would rank below a float32 1.0
        accepted = None if threshold is None else float(accepts(images, confidence, threshold).mean())
        reports.append(
            OodReport(
                name,
                ood_set.description,
                len(pixels),
                metrics.auroc(known, rounded),
                metrics.false_positive_rate_at(known, rounded),
                accepted,
                resembles_classes=name == LIKE,
            )
        )
    return sorted(reports, key=lambda report: report.auroc)
