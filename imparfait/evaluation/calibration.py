"""How far a classifier's confidence can be trusted: plain functions over probabilities, scores and truths."""

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
from imparfait.evaluation.metrics import Confidence, Truths, _accepted
from imparfait.evaluation.uncertainty import FIT, MODERATE, max_probability

STARTS = (0.25, 0.5, 0.75, 0.95)
"""Coverages from which `threshold_for` looks on: of several sets tried on simulated curves, good on all of them."""
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class Threshold:
    """Answers with at least this confidence are accepted; on the images it was found on, `wrong` of `accepted`."""

    confidence: float
    coverage: float
    wrong: int
    accepted: int


def threshold_for(
    confidence: Confidence, correct: Bool[np.ndarray, " n"], error_rate: float, certainty: float = 0.95
) -> Threshold | None:
    """The lowest threshold found whose accepted answers are wrong at a rate of at most `error_rate` (0..1), or None.

    With probability `certainty` over the draw of these images, on new images like them the error rate of
    accepted answers keeps to it. None: too few images, or too many confident errors, to promise that (with no error
    at all, 875 accepted images are needed for 0.5 %). Find it on images the classifier was not fitted on.

    Thresholds are tested from high to low while Clopper and Pearson's upper limit of the error rate is low enough;
    the first that fails ends the walk, so they cost no correction for being many. Since one early error would end
    it, walks start at 25, 50, 75 and 95 % coverage, each with a quarter of the allowed risk.
    Source: fixed sequences with several starts, as in Angelopoulos et al., "Learn then test" (2021).
    """
    threshold, accepted, wrong = _accepted(confidence, correct)
    risk = (1 - certainty) / len(STARTS)
    limit = betaincinv(wrong + 1.0, np.maximum(accepted - wrong, 1), 1 - risk)
    passed = (limit <= error_rate) & (wrong < accepted)
    n, last = len(confidence), -1
    fewest = np.log(risk) / np.log1p(-error_rate)  # images, none of them wrong, that would pass: none fail before
    for coverage in STARTS:
        start = int(np.searchsorted(accepted, max(coverage * n, fewest)))
        failed = np.flatnonzero(~passed[start:])
        end = (start + int(failed[0]) if len(failed) else len(passed)) - 1
        last = max(last, end if end >= start else -1)
    if last < 0:
        return None
    return Threshold(float(threshold[last]), float(accepted[last] / n), int(wrong[last]), int(accepted[last]))


def fit_temperature(logits: Float[np.ndarray, "n classes"], truths: Truths) -> float:
    """The temperature, 0.05 to 20, for which `softmax(logits / temperature)` has the smallest log loss.

    Finite logits or log-probabilities, of images the classifier was not fitted on. It changes no answer, only how
    sure it is. At 0.05 or 20 the images set no bound: all are right, or the logits tell nothing.
    Source: Guo et al., "On calibration of modern neural networks" (ICML 2017).
    """
    from scipy.optimize import minimize_scalar  # late: it takes a third of a second

    # In float64, with the truth's logit at 0: the loss is convex in 1/temperature, so there is one valley.
    shifted = logits.astype(np.float64)
    shifted -= shifted[np.arange(len(truths)), truths][:, None]

    def loss(log_temperature: float) -> float:
        return float(logsumexp(shifted / np.exp(log_temperature), axis=1).mean())

    low, high = np.log(TEMPERATURES).tolist()
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


ERROR_RATE = 0.01  # of the answers that are accepted, on images like those of the calibration


CLEAN = 0.25  # share of the images that are shown as they are


@dataclass(frozen=True)
class Calibration:
    """What makes a classifier's probabilities believable."""

    temperature: float
    threshold: Threshold | None
    """None where no threshold keeps the stated error rate."""
    error_rate: float
    images: int


def calibrate(classifier: Classifier, data: LabelledImages, error_rate: float = ERROR_RATE) -> Calibration:
    """Temperature and threshold from `data`: each source as it is, and corrupted as people's images may be.

    The corruptions are drawn, image by image, from the families FIT, at severities up to 0.6. What is found holds
    for images like these; the report shows what becomes of it on the families that are not among them.
    """
    shown = _shown(data)
    images = shown.pixels.astype(np.float32) / 255
    logits = classifier(images)
    temperature = fit_temperature(logits, shown.labels)
    probabilities = softmax(logits.astype(np.float64) / temperature, 1)
    correct = probabilities.argmax(1) == shown.labels
    answered = ~is_blank(images)  # the others are refused whatever the threshold is: they are no accepted answers
    threshold = None
    if answered.any():
        threshold = threshold_for(max_probability(probabilities)[answered], correct[answered], error_rate)
    return Calibration(temperature, threshold, error_rate, len(shown))


def _shown(data: LabelledImages) -> LabelledImages:
    """The images to calibrate on: one of each source, so that they are independent."""
    names = [name for name, known in CORRUPTIONS.items() if known.family in FIT]
    rng = CounterRng(0, "calibration", 0, torch.from_numpy(data.sources))
    which = (rng.uniform("alteration") * len(names) / (1 - CLEAN)).long().numpy()  # beyond the last one: clean
    severity = (rng.uniform("severity") * MODERATE).double()
    pixels = data.pixels.copy()
    for index, name in enumerate(names):
        rows = np.flatnonzero(which == index)
        if len(rows):
            pixels[rows] = corrupt_with(data.select(rows), name, CORRUPTIONS[name], severity[rows], seed=1).pixels
    return replace(data, pixels=pixels)
