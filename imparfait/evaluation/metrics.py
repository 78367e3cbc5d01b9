"""Metrics of probabilities: proper scores, calibration error, selective risk, and OOD detection."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from imparfait.evaluation.intervals import Interval

Probabilities = Float[np.ndarray, "n classes"]
"""Each row adds up to 1. The most probable class is the prediction, its probability the confidence."""

Truths = Integer[np.ndarray, " n"]
Confidence = Float[np.ndarray, " n"]
Correct = Bool[np.ndarray, " n"]

MIN_PROBABILITY = float(np.finfo(np.float32).tiny)  # 1.2e-38: below it float32 rounds to 0, whose logarithm is infinite
BINS = 15  # of the calibration error, as in Guo et al. (ICML 2017)


def max_probability(probabilities: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, " n"]:
    """The confidence of a prediction: its largest probability."""
    return np.asarray(probabilities.max(1))


def log_loss(probabilities: Probabilities, truths: Truths) -> float:
    """Log loss: the mean of −log(probability of the true class), in nats; 0 is perfect, log(classes) uniform.

    One image adds 87.3 at most (see `MIN_PROBABILITY`). Also called NLL or cross-entropy.
    """
    of_truth = probabilities[np.arange(len(truths)), truths].astype(np.float64)
    return float(-np.log(of_truth.clip(MIN_PROBABILITY)).mean())


def brier(probabilities: Probabilities, truths: Truths) -> float:
    """Brier score: the squared distance to the truth, summed over classes, averaged over images; 0 (perfect) to 2.

    Source: Brier (Monthly Weather Review 78, 1950), who sums over classes; some authors halve it.
    """
    expected = np.arange(probabilities.shape[1]) == truths[:, None]
    return float(((probabilities.astype(np.float64) - expected) ** 2).sum(1).mean())


@dataclass(frozen=True)
class Bin:
    """Images of similar confidence: their mean confidence and accuracy, both 0..1."""

    confidence: float
    accuracy: float
    count: int


def reliability(confidence: Confidence, correct: Correct, bins: int = BINS) -> list[Bin]:
    """The reliability diagram: bins with equal numbers of images, by rising confidence.

    Images of equal confidence share a bin, so that their order does not matter; there may be fewer bins.
    """
    members = _bins(confidence, bins)
    counts = np.bincount(members)
    means = np.bincount(members, confidence) / counts
    accuracies = np.bincount(members, correct) / counts
    return [Bin(*row) for row in zip(means.tolist(), accuracies.tolist(), counts.tolist(), strict=True)]


def calibration_error(confidence: Confidence, correct: Correct, bins: int = BINS) -> float:
    """The expected calibration error (ECE): the mean distance between confidence and accuracy over bins.

    It is biased upwards for small n: a perfectly calibrated classifier of accuracy a gets about
    sqrt(2 · bins · a(1 − a) / (pi · n)), 0.03 for 1,000 images at 90 %. Compare only at equal n and bins, and
    relative to the error rate.
    Source: Guo et al. (ICML 2017); bins of equal mass: Nixon et al. (2019), Roelofs et al. (AISTATS 2022).
    """
    return _error(_bins(confidence, bins), correct - confidence.astype(np.float64))


def error_by_chance(
    confidence: Confidence,
    bins: int = BINS,
    resamples: int = 1000,
    quantile: float = 0.95,
    sources: Int[np.ndarray, " n"] | None = None,
) -> float:
    """The ECE that a perfectly calibrated classifier with these confidences would rarely exceed.

    An ECE below it shows no miscalibration. Labels are drawn from the confidences; copies of one of the `sources` share
    their draw, as if they were right and wrong together, which gives rather too large a value than too small a one.
    Source: consistency resampling, Bröcker & Smith (Weather and Forecasting 22, 2007).
    """
    own = confidence.astype(np.float64)
    members, random = _bins(own, bins), np.random.default_rng(0)
    known, source = (len(own), slice(None)) if sources is None else _numbered(sources)
    errors = [_error(members, (random.random(known)[source] < own) - own) for _ in range(resamples)]
    return float(np.quantile(errors, quantile))


def calibration_error_interval(
    confidence: Confidence, correct: Correct, bins: int = BINS, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """The interval for the ECE: a basic bootstrap over images, which keep their bins.

    Twice the estimate minus the resamples' quantiles, cut at 0. A resample's ECE is biased upwards by about as much
    as the estimate itself, and a percentile interval would double that bias. So the estimate may lie above the
    interval. Near 0 that is not enough: the interval starts at 0 where the estimate is at most `error_by_chance`.
    In simulations with 500 to 10,000 images, 95 % intervals covered the truth in 89 to 96 % of the cases.
    """
    members, gaps = _bins(confidence, bins), correct - confidence.astype(np.float64)
    random, n = np.random.default_rng(0), len(correct)
    draws = (random.integers(n, size=n) for _ in range(resamples))
    errors = [_error(members[rows], gaps[rows]) for rows in draws]
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    estimate = _error(members, gaps)
    by_chance = estimate <= error_by_chance(confidence, bins, resamples, level)
    return 0.0 if by_chance else max(0.0, float(2 * estimate - high)), max(0.0, float(2 * estimate - low))


def confident_errors(confidence: Confidence, correct: Correct, share: float = 0.99) -> tuple[int, int]:
    """(errors, n) among the most confident `share` of the predictions, rounded, including ties with the last."""
    kept = confidence >= _with_rank(confidence, max(1, round(share * len(confidence))))
    return int((kept & ~correct).sum()), int(kept.sum())


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Coverage and error rate of the accepted predictions, for each threshold from the highest to the lowest."""

    threshold: Float[np.ndarray, " thresholds"]
    coverage: Float[np.ndarray, " thresholds"]
    """The share of images whose confidence is at least the threshold; rises to 1."""
    risk: Float[np.ndarray, " thresholds"]
    """The error rate of those."""
    area: float
    """AURC, the mean risk over coverages: 0 (all correct) to 1; the error rate where confidence tells nothing."""


def risk_coverage(confidence: Confidence, correct: Correct) -> RiskCoverage:
    """The risk–coverage curve; predictions of equal confidence are accepted together.

    Source: Geifman & El-Yaniv (NeurIPS 2017); its area: Geifman, Uziel & El-Yaniv (ICLR 2019).
    """
    threshold, accepted, wrong = accepted_and_wrong(confidence, correct)
    risk = wrong / accepted
    area = float((risk * np.diff(accepted, prepend=0)).sum() / len(confidence))
    return RiskCoverage(threshold, accepted / len(confidence), risk, area)


def auroc(positives: Confidence, negatives: Float[np.ndarray, " m"]) -> float:
    """Area under the ROC curve: 1 separates positives from negatives, 0.5 is chance; a tie counts half."""
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, "left").astype(np.float64)
    upto = np.searchsorted(ordered, positives, "right")
    return float((below + upto).mean() / (2 * len(ordered)))


def false_positive_rate_at(
    positives: Confidence, negatives: Float[np.ndarray, " m"], true_positive_rate: float = 0.95
) -> float:
    """FPR95: the share of negatives accepted by the highest threshold that accepts 95 % of the positives.

    Positives are in-distribution images, negatives OOD images, the score is confidence; accepted is a score of at
    least the threshold. Source: Hendrycks & Gimpel (ICLR 2017).
    """
    expected = int(np.ceil(true_positive_rate * len(positives) - 1e-9))  # 0.07 * 100 is a little over 7
    return float((negatives >= _with_rank(positives, max(1, expected))).mean())


def _bins(confidence: Confidence, bins: int) -> Int[np.ndarray, " n"]:
    """The bin of each image, of about `bins` with equal numbers of images; equal confidences share one."""
    ordered = np.sort(confidence)
    cuts = ordered[np.round(np.arange(1, bins) * len(ordered) / bins).astype(int).clip(max=len(ordered) - 1)]
    return np.unique(np.searchsorted(np.unique(cuts), confidence, "right"), return_inverse=True)[1]


def _error(members: Int[np.ndarray, " n"], gaps: Float[np.ndarray, " n"]) -> float:
    """ECE from each image's bin and its correct − confidence."""
    return float(np.abs(np.bincount(members, gaps)).sum() / len(gaps))


def _numbered(sources: Int[np.ndarray, " n"]) -> tuple[int, Int[np.ndarray, " n"]]:
    """How many different sources there are, and the number of each."""
    different, number = np.unique(sources, return_inverse=True)
    return len(different), number


def _with_rank(scores: Confidence, rank: int) -> float:
    """The `rank`-th largest score."""
    return float(np.partition(scores, -rank)[-rank])


def accepted_and_wrong(
    confidence: Confidence, correct: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " t"], Int[np.ndarray, " t"], Int[np.ndarray, " t"]]:
    """For each distinct confidence, from the highest: itself, the images that reach it, the errors among them."""
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return ordered[last], last + 1, np.cumsum(~correct[order])[last]
