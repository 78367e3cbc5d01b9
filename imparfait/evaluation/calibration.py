"""Calibration of a classifier: softmax temperature and abstention threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.special import betaincinv, logsumexp, softmax

from imparfait.core.rng import CounterRng
from imparfait.core.types import Classifier
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.blank import is_blank
from imparfait.evaluation.metrics import Confidence, Truths, accepted_and_wrong, max_probability
from imparfait.evaluation.scores import float_batches

CALIBRATION_FAMILIES = ("geometry", "noise", "light")
"""Families whose corruptions temperature and threshold are fitted on. The others are left out, to see whether the
calibration transfers."""
MODERATE_SEVERITY = 0.6  # families are summarised up to this severity
ERROR_RATE = 0.01  # allowed among accepted predictions, on images like those of the calibration
ERROR_RATES_FOR_FEW = (0.01, 0.02, 0.05, 0.1)  # where the images are too few to promise 1 %: the lowest that they can
MIN_COVERAGE_FOR_FEW = 0.5  # of the calibration images, below which the next rate is tried
PRIOR_SPREAD_FOR_FEW = 0.5  # of the logarithm of their temperature: most are between 0.4 and 2.7
CLEAN_SHARE = 0.25  # of the calibration images
START_COVERAGES = (0.25, 0.5, 0.75, 0.95)
"""Where `threshold_for` starts its walks: of several sets tried on simulated curves, good on all of them."""
TEMPERATURE_BOUNDS = (0.05, 20.0)


@dataclass(frozen=True)
class Threshold:
    """The confidence from which predictions are accepted; on the calibration images `wrong` of `accepted` are wrong."""

    confidence: float
    coverage: float
    wrong: int
    accepted: int


@dataclass(frozen=True)
class Calibration:
    """The temperature and threshold of a classifier."""

    temperature: float
    threshold: Threshold | None
    """None where no threshold keeps to the error rate."""
    error_rate: float
    images: int


def calibrate(classifier: Classifier, data: LabelledImages, error_rate: float = ERROR_RATE) -> Calibration:
    """Temperature and threshold from `data`, on which the classifier was not trained: clean and corrupted images.

    The corruptions are drawn image by image from CALIBRATION_FAMILIES, at severities up to 0.6. The result holds for
    such images; the report shows how it transfers to the other families.
    """
    return _calibrated(classifier, _corrupt_some(data), (error_rate,))


def calibrate_few(classifier: Classifier, data: LabelledImages, *, corrupted: bool) -> Calibration:
    """As `calibrate`, with the lowest error rate that the images can promise: few cannot promise 1 %.

    The images are `corrupted` as in `calibrate`, or else clean, for classifiers that were trained on mild changes only.
    Rates of 1, 2, 5 and 10 % are tried in turn, each as in `threshold_for`. Its certainty of 95 % is proved for one
    rate; for the choice among four, simulations show it. With groups, the observed mean error rate over the groups
    keeps to the rate too. No threshold is found from fewer than 42
    images: even without an error they do not show that less than 10 % would be wrong.
    """
    return _calibrated(classifier, _corrupt_some(data) if corrupted else data, ERROR_RATES_FOR_FEW)


def _calibrated(classifier: Classifier, mixed: LabelledImages, rates: Sequence[float]) -> Calibration:
    """Temperature, and the threshold of the first rate that enough of the images keep."""
    outputs = [(classifier(images), is_blank(images)) for images in float_batches(mixed.pixels)]
    logits, blank = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    temperature = fit_temperature(logits, mixed.labels, PRIOR_SPREAD_FOR_FEW if len(rates) > 1 else None)
    probabilities = softmax(logits.astype(np.float64) / temperature, 1)
    correct = probabilities.argmax(1) == mixed.labels
    counted = ~blank  # blank images are refused whatever the threshold, so they are no accepted predictions
    found: list[tuple[float, Threshold]] = []
    for rate in rates if counted.any() else ():
        confidence, right = max_probability(probabilities)[counted], correct[counted]
        threshold = threshold_for(confidence, right, rate)
        if threshold and mixed.groups is not None and len(rates) > 1:
            over_groups = threshold_over_sources(confidence, right, mixed.groups[counted], rate)
            threshold = over_groups and max(threshold, over_groups, key=lambda each: each.confidence)
        if threshold:
            found.append((rate, threshold))
        if threshold and threshold.coverage >= MIN_COVERAGE_FOR_FEW:
            break
    rate, best = found[-1] if found else (rates[-1], None)
    return Calibration(temperature, best, rate, len(mixed))


def fit_temperature(logits: Float[np.ndarray, "n classes"], truths: Truths, prior_spread: float | None = None) -> float:
    """The temperature, 0.05 to 20, for which `softmax(logits / temperature)` has the smallest log loss.

    Takes finite logits or log-probabilities of images that the classifier was not trained on. It changes confidence
    but no prediction. 0.05 or 20 means that the images set no bound: all are correct, or the logits tell nothing.
    `prior_spread` is the standard deviation of a normal prior of its logarithm about 0, so that a few images, all of
    them correct, do not make every probability 1.
    Source: Guo et al., "On calibration of modern neural networks" (ICML 2017).
    """
    from scipy.optimize import minimize_scalar  # late: the import takes a third of a second

    # In float64, with the truth's logit at 0: the loss is convex in 1/temperature, so there is one minimum.
    shifted = logits.astype(np.float64)
    shifted -= shifted[np.arange(len(truths)), truths][:, None]

    def loss(log_temperature: float) -> float:
        prior = 0.5 * (log_temperature / prior_spread) ** 2 / len(truths) if prior_spread else 0.0
        return float(logsumexp(shifted / np.exp(log_temperature), axis=1).mean() + prior)

    low, high = np.log(TEMPERATURE_BOUNDS).tolist()
    minimum = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(minimum.x))


def threshold_for(
    confidence: Confidence, correct: Bool[np.ndarray, " n"], error_rate: float, certainty: float = 0.95
) -> Threshold | None:
    """The lowest threshold found whose accepted predictions are wrong at a rate of at most `error_rate` (0..1).

    With probability `certainty` over the draw of these images, the error rate of accepted predictions on similar new
    images stays below it. None where that cannot be promised: too few images, or too many confident errors (without
    any error, 0.5 % needs 875 accepted images). Use images that the classifier was not trained on.

    Thresholds are tested from high to low while the Clopper–Pearson upper limit of the error rate is low enough. The
    first that fails ends the walk, so many tests need no correction. Since one early error would end it, walks start
    at 25, 50, 75 and 95 % coverage, each with a quarter of the allowed risk.
    Source: fixed sequences with several starts, as in Angelopoulos et al., "Learn then test" (2021).
    """
    threshold, accepted, wrong = accepted_and_wrong(confidence, correct)
    risk = (1 - certainty) / len(START_COVERAGES)
    limit = betaincinv(wrong + 1.0, np.maximum(accepted - wrong, 1), 1 - risk)
    passed = (limit <= error_rate) & (wrong < accepted)
    n, last = len(confidence), -1
    fewest = np.log(risk) / np.log1p(-error_rate)  # images that pass without an error; with fewer nothing can pass
    for coverage in START_COVERAGES:
        start = int(np.searchsorted(accepted, max(coverage * n, fewest)))
        failed = np.flatnonzero(~passed[start:])
        end = (start + int(failed[0]) if len(failed) else len(passed)) - 1
        last = max(last, end if end >= start else -1)
    if last < 0:
        return None
    return Threshold(float(threshold[last]), float(accepted[last] / n), int(wrong[last]), int(accepted[last]))


def threshold_over_sources(
    confidence: Confidence, correct: Bool[np.ndarray, " n"], sources: np.ndarray, error_rate: float
) -> Threshold | None:
    """The lowest threshold whose accepted predictions are wrong at a rate of at most `error_rate`, meaned over sources.

    `sources` names the origin of each image: a writer, a device, a font. Images of one origin are alike, so each source
    counts once. The rate is the one observed, without a bound for chance: few sources promise little about new ones.
    None where no threshold down to half of the images keeps it. Use images, and sources, that the classifier was not
    trained on.
    """
    order = np.argsort(-confidence, kind="stable")
    _, source = np.unique(sources[order], return_inverse=True)
    sizes = np.bincount(source)
    wrong = ~correct[order]
    accepted, errors = np.zeros(len(sizes)), np.zeros(len(sizes))
    rates = np.empty(len(order))
    for row, (which, is_wrong) in enumerate(zip(source, wrong, strict=True)):
        accepted[which] += 1
        errors[which] += is_wrong
        rates[row] = (errors / np.maximum(accepted, 1)).mean()
    # Equal confidences are accepted together, so only the last of them is a threshold.
    ranked = confidence[order]
    last = np.append(ranked[1:] < ranked[:-1], True)
    kept = np.flatnonzero(last & (rates <= error_rate))
    failing = np.flatnonzero(last & (rates > error_rate) & (np.arange(1, len(order) + 1) >= len(order) / 2))
    if len(failing):
        kept = kept[kept < failing[0]]
    if not len(kept) or kept[-1] + 1 < len(order) / 2:
        return None
    end = int(kept[-1])
    return Threshold(float(ranked[end]), (end + 1) / len(order), int(wrong[: end + 1].sum()), end + 1)


def _corrupt_some(data: LabelledImages) -> LabelledImages:
    """The calibration images: each source once, so that they are independent, a quarter of them clean."""
    names = [name for name, known in CORRUPTIONS.items() if known.family in CALIBRATION_FAMILIES]
    rng = CounterRng(0, "calibration", 0, torch.from_numpy(data.sources))
    chosen = (rng.uniform("alteration") * len(names) / (1 - CLEAN_SHARE)).long().numpy()  # beyond the last one: clean
    severity = (rng.uniform("severity") * MODERATE_SEVERITY).double()
    pixels = data.pixels.copy()
    for index, name in enumerate(names):
        rows = np.flatnonzero(chosen == index)
        if len(rows):
            pixels[rows] = corrupt_with(data.select(rows), name, CORRUPTIONS[name], severity[rows], seed=1).pixels
    return replace(data, pixels=pixels)
