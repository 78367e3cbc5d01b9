"""Occlusion maps: where covering an image lowers the probability of a prediction, for any classifier."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from imparfait.core.types import Classifier, Pixels
from imparfait.evaluation.scores import probabilities_of

GRID = 9  # positions of the cover along each side: 81 predictions an image
COVER = 0.25  # its side, as a share of the image's: hides a stroke of a digit, or a part of an object


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """How much each pixel matters for one prediction."""

    drop: Float[np.ndarray, "height width"]
    """By how much covering the place lowers the probability of the class; negative where it raises it."""
    probability: float
    """Of the class, on the whole image."""
    lowest: float
    """Of the class, with the cover where it matters most."""


def occlusion_maps(
    classifier: Classifier, pixels: Pixels, predicted: Int[np.ndarray, " n"], classes: int, *, seconds: float = 20.0
) -> Iterator[OcclusionMap]:
    """A map for each image and the class `predicted` for it, one after the other; none is begun after `seconds`.

    A square of a quarter of the image's side is moved over the image on a grid of 9 × 9 places. It has the median
    value of each channel, which is the ground of a digit. A pixel's drop is the mean over the covers of it.
    Raises UserError as `score_conditions` does.
    Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014).
    """
    until = time.monotonic() + seconds
    for image, label in zip(pixels, predicted, strict=True):
        if time.monotonic() > until:
            return
        yield _map(classifier, image, int(label), classes)


def _map(classifier: Classifier, image: np.ndarray, label: int, classes: int) -> OcclusionMap:
    height, width = image.shape[-2:]
    ground = np.median(image, (1, 2)).astype(np.uint8)[:, None, None]
    down, right = max(1, round(COVER * height)), max(1, round(COVER * width))
    tops, lefts = (
        np.unique(np.linspace(0, side - cover, GRID).round().astype(int))
        for side, cover in ((height, down), (width, right))
    )
    places = [(slice(top, top + down), slice(left, left + right)) for top in tops for left in lefts]
    batch = np.repeat(image[None], len(places) + 1, 0)
    for covered, (rows, columns) in zip(batch[1:], places, strict=True):
        covered[:, rows, columns] = ground
    whole, *covered_probabilities = probabilities_of(classifier, batch, classes)[:, label].tolist()
    drops, counts = np.zeros((height, width)), np.zeros((height, width))
    for (rows, columns), probability in zip(places, covered_probabilities, strict=True):
        drops[rows, columns] += whole - probability
        counts[rows, columns] += 1
    return OcclusionMap(drops / counts, whole, min(covered_probabilities))
