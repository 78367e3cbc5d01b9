"""How far a model's confidence can be trusted: on corrupted images, and on images that show nothing it knows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from imparfait.core.types import Classifier
from imparfait.data.images.blank import accepts
from imparfait.data.ood import LIKE, OOD_SETS
from imparfait.evaluation import metrics
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult
from imparfait.evaluation.statistics import Interval

FIT = ("geometry", "noise", "light")
"""Families whose corrupted images temperature and threshold are fitted on; the others are left out, to see whether
what was fitted holds there."""
MODERATE = 0.6  # the severity up to which families are summed up
SURE = 0.99  # the share of the most confident whose errors are counted


@dataclass(frozen=True)
class CalibrationReport:
    """What the probabilities on some images are worth; lower is better everywhere."""

    images: str
    total: int
    log_loss: float
    brier: float
    calibration_error: float
    interval: Interval
    """Of the calibration error, from one copy of each source: rather too wide than too narrow."""
    always_sure: float
    """The calibration error of who is always sure: the share of wrong answers."""
    surest_wrong: int
    surest: int
    """Of so many most confident answers, `surest_wrong` are wrong."""


@dataclass(frozen=True)
class OodReport:
    """How well confidence tells corrupted digits from images of one set that are none."""

    name: str
    description: str
    total: int
    auroc: float
    false_positive_rate: float
    """The share of these images as sure as the 95 % surest corrupted digits."""
    accepted: float | None
    """The share that the model's threshold accepts; None without one."""
    has_right_answer: bool = True


def calibration_report(images: str, parts: Sequence[ConditionResult]) -> CalibrationReport:
    """What the probabilities of all `parts` together are worth."""
    probabilities = np.concatenate([part.probabilities for part in parts])
    truths = np.concatenate([part.truths for part in parts])
    wrong, surest = metrics.error_of_the_surest(probabilities, truths, SURE)
    # The interval is a bootstrap over rows, which must be independent: of each source image one copy, drawn.
    n = len(parts[0].truths)
    few = np.random.default_rng(0).integers(len(parts), size=n) * n + np.arange(n)
    return CalibrationReport(
        images,
        len(truths),
        metrics.log_loss(probabilities, truths),
        metrics.brier(probabilities, truths),
        metrics.calibration_error(probabilities, truths),
        metrics.calibration_error_interval(probabilities[few], truths[few]),
        metrics.always_sure_error(probabilities, truths),
        wrong,
        surest,
    )


def by_family(suite: SuiteResult) -> list[CalibrationReport]:
    """Clean; each family up to severity 0.6 (or its one level); those in the temperature's fit; those left out."""
    families: dict[str, list[ConditionResult]] = {}
    for row in suite.rows:
        levels = [level for level in row.severities if level <= MODERATE] or list(row.severities)
        families.setdefault(row.family, []).extend(suite.parts[row.corruption, level] for level in levels)
    found = [calibration_report("clean", [suite.clean])]
    found += [calibration_report(family, parts) for family, parts in families.items()]
    for name, inside in (("families in the fit", True), ("families left out", False)):
        parts = [part for family, each in families.items() if (family in FIT) == inside for part in each]
        if parts:
            found.append(calibration_report(name, parts))
    return found


def max_probability(probabilities: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, " n"]:
    """How sure an answer is: the largest probability."""
    return np.asarray(probabilities.max(1))


def ood_reports(
    classifier: Classifier,
    suite: SuiteResult,
    channels: int,
    height: int,
    width: int,
    threshold: float | None,
    n: int = 2000,
) -> list[OodReport]:
    """How well it refuses each set of images that show nothing it knows, the worst first.

    The other side are images of the suite at all its severities: corrupted ones, for clean ones would be too easy.
    """
    levels = [(name, level) for name, each in suite.levels.items() for level in each]
    known = np.concatenate([max_probability(suite.parts[which].probabilities) for which in levels])
    found = []
    for name, nothing in OOD_SETS.items():
        if nothing.purpose != "testing":
            continue
        pixels = nothing.draw(n, height, width, channels, seed=0)
        if pixels is None:
            continue
        images = pixels.astype(np.float32) / 255
        probabilities = softmax(classifier(images).astype(np.float64), 1)
        sure = max_probability(probabilities)
        like_known = sure.astype(known.dtype)  # else 1 - 1e-9 would be less sure here than there, where it is 1
        accepted = None if threshold is None else float(accepts(images, sure, threshold).mean())
        found.append(
            OodReport(
                name,
                nothing.description,
                len(pixels),
                metrics.auroc(known, like_known),
                metrics.false_positive_rate_at(known, like_known),
                accepted,
                has_right_answer=name != LIKE,
            )
        )
    return sorted(found, key=lambda refusal: refusal.auroc)
