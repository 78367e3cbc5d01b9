"""The part of a suite's report on confidence: calibration and OOD tables, reliability and risk–coverage curves."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from imparfait.evaluation import metrics
from imparfait.evaluation.calibration import CALIBRATION_FAMILIES, MODERATE_SEVERITY
from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult
from imparfait.evaluation.uncertainty import (
    CalibrationReport,
    OodReport,
    moderate,
)
from imparfait.reports.figures.suites import confidence
from imparfait.reports.page import PageFigure
from imparfait.reports.text import NONE, percent_range, severity_text

CALIBRATION_HEADINGS = ("images", "NLL", "Brier", "ECE, %", "by chance", "error rate, %", "confident, %")
OOD_HEADINGS = ("images", "AUROC", "FPR95", "accepted")
CURVE_POINTS = 300  # of a risk-coverage curve, which has one per image
MIN_COVERAGE = 0.01  # of a risk-coverage curve: at less, a single wrong prediction is many percent

ConfidenceAndCorrect = tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]


def calibration_rows(reports: Iterable[CalibrationReport]) -> list[tuple[str, ...]]:
    """A table row per group of images, under CALIBRATION_HEADINGS."""
    return [
        (
            report.images,
            f"{report.log_loss:.3f}",
            f"{report.brier:.3f}",
            f"{100 * report.calibration_error:.2f} ({percent_range(report.calibration_error_interval)})",
            NONE if report.calibration_error_by_chance is None else f"{100 * report.calibration_error_by_chance:.2f}",
            f"{100 * report.error_rate:.2f}",
            f"{100 * report.confident_errors / report.confident_total:.2f}",
        )
        for report in reports
    ]


def ood_rows(reports: Iterable[OodReport]) -> list[tuple[str, ...]]:
    """A table row per set of OOD images, under OOD_HEADINGS."""
    return [
        (
            report.description,
            f"{report.auroc:.3f}",
            f"{100 * report.fpr95:.1f} %",
            NONE if report.accepted is None else f"{100 * report.accepted:.1f} %",
        )
        for report in reports
    ]


def confidence_figure(models: Sequence[ModelGroup]) -> PageFigure:
    """Reliability and risk–coverage: of one model by group of images, of several models on all corrupted images."""
    if len(models) > 1:
        groups = {model.name: _together(_moderate(model.seeds[0])) for model in models}
    else:
        suite = models[0].seeds[0]
        groups = {"clean": _together([suite.clean])}
        split = (("corrupted, calibration families", True), ("corrupted, other families", False))
        for name, used in (("corrupted", None),) if suite.is_of_photos else split:
            if results := _moderate(suite, used):
                groups[name] = _together(results)
    diagrams = {name: metrics.reliability(*group) for name, group in groups.items()}
    reliability = {
        name: np.array([[one.confidence for one in bins], [one.accuracy for one in bins]])
        for name, bins in diagrams.items()
    }
    risks = {name: _risk_coverage(*group) for name, group in groups.items()}
    moderate_levels = severity_text(models[0].seeds[0].corruptions[0].corruption, MODERATE_SEVERITY)
    return PageFigure(
        "confidence",
        "Confidence against accuracy",
        f"Corrupted images up to {moderate_levels}. Left: each mark is a fifteenth of the images, on axes that stretch "
        "towards 100 %; below the dotted line the model is overconfident. Right: the lower the curve, the better "
        "confidence ranks predictions.",
        lambda theme: confidence(reliability, risks, theme),
        section="confidence",
    )


def _moderate(suite: SuiteResult, used: bool | None = None) -> list[ConditionResult]:
    """The moderate corruptions of all families, of those used for calibration, or of the others."""
    return [
        result
        for summary in suite.corruptions
        if used is None or (summary.family in CALIBRATION_FAMILIES) == used
        for result in moderate(suite, summary)
    ]


def _together(results: Sequence[ConditionResult]) -> ConfidenceAndCorrect:
    return np.concatenate([one.confidence for one in results]), np.concatenate([one.correct for one in results])


def _risk_coverage(confidence: Float[np.ndarray, " n"], correct: Bool[np.ndarray, " n"]) -> Float[np.ndarray, "2 m"]:
    curve = metrics.risk_coverage(confidence, correct)
    coverages = np.linspace(MIN_COVERAGE, 1, CURVE_POINTS)
    rows = np.searchsorted(curve.coverage, coverages).clip(max=len(curve.coverage) - 1)
    return np.stack([curve.coverage[rows], curve.risk[rows]])
