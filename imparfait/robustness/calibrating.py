"""Temperature and threshold of a classifier, from pictures that were neither fitted on nor chosen by."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from imparfait import calibration
from imparfait.alterations import ALTERATIONS
from imparfait.calibration import Threshold
from imparfait.datasets.altered import altered_by
from imparfait.datasets.labelled import LabelledImages
from imparfait.images import Classifier
from imparfait.randomness import Draw
from imparfait.refusing import is_blank
from imparfait.robustness.trust import FIT, MODERATE, sureness

ERROR_RATE = 0.01  # of the answers that are accepted, on pictures like those of the calibration
CLEAN = 0.25  # share of the pictures that are shown as they are


@dataclass(frozen=True)
class Calibration:
    """What makes a classifier's probabilities believable."""

    temperature: float
    threshold: Threshold | None
    """None where no threshold keeps the stated error rate."""
    error_rate: float
    pictures: int


def calibrate(classifier: Classifier, data: LabelledImages, error_rate: float = ERROR_RATE) -> Calibration:
    """Temperature and threshold from `data`: each source as it is, and altered as people's pictures may be.

    The alterations are drawn, picture by picture, from the families FIT, at severities up to 0.6. What is found holds
    for pictures like these; the report shows what becomes of it on the families that are not among them.
    """
    shown = _shown(data)
    images = shown.pixels.astype(np.float32) / 255
    logits = classifier(images)
    temperature = calibration.fit_temperature(logits, shown.labels)
    probabilities = calibration.softmax(logits, temperature)
    right = probabilities.argmax(1) == shown.labels
    answered = ~is_blank(images)  # the others are refused whatever the threshold is: they are no accepted answers
    threshold = None
    if answered.any():
        threshold = calibration.threshold_for(sureness(probabilities)[answered], right[answered], error_rate)
    return Calibration(temperature, threshold, error_rate, len(shown))


def _shown(data: LabelledImages) -> LabelledImages:
    """The pictures to calibrate on: one of each source, so that they are independent."""
    names = [name for name, known in ALTERATIONS.items() if known.family in FIT]
    draw = Draw(0, "calibration", 0, torch.from_numpy(data.sources))
    which = (draw.uniform("alteration") * len(names) / (1 - CLEAN)).long().numpy()  # beyond the last one: clean
    severity = (draw.uniform("severity") * MODERATE).double()
    pixels = data.pixels.copy()
    for index, name in enumerate(names):
        rows = np.flatnonzero(which == index)
        if len(rows):
            pixels[rows] = altered_by(data.select(rows), name, ALTERATIONS[name], severity[rows], seed=1).pixels
    return replace(data, pixels=pixels)
