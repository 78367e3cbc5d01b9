"""How far a suite's confidence can be trusted: its tables, and one plate of curves."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from imparfait.evaluation import metrics
from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult
from imparfait.evaluation.uncertainty import FIT, MODERATE, CalibrationReport, OodReport, max_probability
from imparfait.reports.figures import confidence
from imparfait.reports.page import Plate

TRUST_HEADINGS = ("images", "NLL", "Brier", "ECE, %", "always sure, %", "surest, %")
REFUSAL_HEADINGS = ("images", "AUROC", "FPR95", "accepted")
POINTS = 300  # of a curve of risk over coverage, which has one for each image


def trust_lines(trusts: Iterable[CalibrationReport]) -> list[tuple[str, ...]]:
    """What is known of each group of images, as people read it."""
    return [
        (
            each.images,
            f"{each.log_loss:.3f}",
            f"{each.brier:.3f}",
            f"{100 * each.calibration_error:.2f} ({100 * each.interval[0]:.2f} – {100 * each.interval[1]:.2f})",
            f"{100 * each.always_sure:.2f}",
            f"{100 * each.surest_wrong / each.surest:.2f}",
        )
        for each in trusts
    ]


def refusal_lines(refusals: Iterable[OodReport]) -> list[tuple[str, ...]]:
    """What is known of each set of images that show nothing, as people read it."""
    return [
        (
            each.description,
            f"{each.auroc:.3f}",
            f"{100 * each.false_positive_rate:.1f} %",
            "–" if each.accepted is None else f"{100 * each.accepted:.1f} %",
        )
        for each in refusals
    ]


def confidence_plate(models: Sequence[ModelGroup]) -> Plate:
    """Reliability and risk over coverage: of one model clean, in and out of the fit; of several each altogether."""
    if len(models) > 1:
        groups = {model.name: _answers(_altered(model.seeds[0])) for model in models}
    else:
        suite = models[0].seeds[0]
        groups = {"clean": _answers([suite.clean])}
        for name, inside in (("corrupted, families in the fit", True), ("corrupted, families left out", False)):
            if parts := _altered(suite, inside):
                groups[name] = _answers(parts)
    bins = {name: metrics.reliability(*each) for name, each in groups.items()}
    reliability = {
        name: np.array([[each.confidence for each in found], [each.accuracy for each in found]])
        for name, found in bins.items()
    }
    risks = {name: _risk_coverage(*each) for name, each in groups.items()}
    return Plate(
        "confidence",
        "Confidence in images",
        f"Corrupted images are those up to severity {MODERATE:g}. Left: a dot is a fifteenth of the images; on the "
        "dotted line confidence is what it says, below it the model is too sure. Right: the lower, the better its "
        "confidence tells which answers are wrong.",
        lambda theme: confidence(reliability, risks, theme),
        section="confidence",
    )


def _altered(suite: SuiteResult, inside: bool | None = None) -> list[ConditionResult]:
    """The parts that families are summed up over; those of the fit, or those that are not."""
    return [
        suite.parts[row.corruption, level]
        for row in suite.rows
        if inside is None or (row.family in FIT) == inside
        for level in ([level for level in row.severities if level <= MODERATE] or row.severities)
    ]


def _answers(parts: Sequence[ConditionResult]) -> tuple[Float[np.ndarray, "n classes"], np.ndarray]:
    return np.concatenate([part.probabilities for part in parts]), np.concatenate([part.truths for part in parts])


def _risk_coverage(probabilities: Float[np.ndarray, "n classes"], truths: np.ndarray) -> Float[np.ndarray, "2 m"]:
    found = metrics.risk_coverage(max_probability(probabilities), probabilities.argmax(1) == truths)
    # The first hundredth is left out: there one wrong answer is many percent.
    shares = np.linspace(0.01, 1, POINTS)
    places = np.searchsorted(found.coverage, shares).clip(max=len(found.coverage) - 1)
    return np.stack([found.coverage[places], found.risk[places]])
