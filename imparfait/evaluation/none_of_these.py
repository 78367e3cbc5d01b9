"""None of these: the confidence below which an image is like none of the classes, with measured rates."""

from collections.abc import Mapping

import numpy as np

from imparfait.core.types import Classifier
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood import LIKE, OOD_SETS
from imparfait.data.ood.outlier_exposure import is_of_digits
from imparfait.evaluation.metrics import max_probability
from imparfait.evaluation.scores import probabilities_of
from imparfait.models.metadata import NoneOfThese

FALSE_RATE = 0.05  # of images of the classes, which are taken for none of them
OOD_IMAGES = 300  # of each set, a standard error of 2.3 points at 80 %
MIN_IMAGES = 100  # of which 5 are the lowest 5 %


def none_of_these(
    classifier: Classifier, data: LabelledImages, held_out_classes: Mapping[str, float] | None = None
) -> NoneOfThese | None:
    """The rule from images of the classes that `classifier` was not trained on, and what it catches.

    The confidence is the largest probability; 5 % of `data` are below the rule's. The rates of caught images are of
    the OOD sets for testing, none of which is in training. `held_out_classes` are rates that are recorded with them.
    None for fewer than 100 images.
    """
    if len(data) < MIN_IMAGES:
        return None
    own = max_probability(probabilities_of(classifier, data.pixels, len(data.classes)))
    below = float(np.quantile(own, FALSE_RATE, method="higher"))
    _, channels, height, width = data.pixels.shape
    digits = is_of_digits(data.classes)
    caught: dict[str, float] = {}
    for name, ood in OOD_SETS.items():
        if ood.purpose != "testing" or name in ("blank", LIKE) or ood.data == data.name:
            continue
        if digits or name != "letters":
            pixels = ood.draw(OOD_IMAGES, height, width, channels, seed=0)
            if pixels is not None:
                found = probabilities_of(classifier, pixels, len(data.classes))
                caught[name] = float((max_probability(found) < below).mean())
    return NoneOfThese(
        confidence=below, false_rate=FALSE_RATE, caught=caught, held_out_classes=dict(held_out_classes or {})
    )
