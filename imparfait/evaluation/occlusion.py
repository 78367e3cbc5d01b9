"""Occlusion maps: where covering an image lowers the probability of a prediction, for any classifier."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used
from jaxtyping import Float, Int, UInt8

from imparfait.core.types import Classifier, Pixels
from imparfait.evaluation.scores import probabilities_of

GRID = 9  # positions of the cover along each side: 81 predictions an image
COARSE_GRID = 5  # of images with a side of more than SMALL_PIXELS: 25, each of which takes longer
SMALL_PIXELS = 64
COVER = 0.25  # its side, as a share of the image's: hides a stroke of a digit, or a part of an object
GROUND_TOLERANCE = 16  # of 255, by which a pixel may differ from the median and still be ground
GROUND_SHARE = 0.5  # of the pixels that are ground, from which on an image has one

ImagePixels = UInt8[np.ndarray, "channels height width"]
Place = tuple[slice, slice]
"""Rows and columns under a cover."""


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """How much each pixel matters for one prediction."""

    drop: Float[np.ndarray, "height width"]
    """By how much covering the place lowers the probability of the class, -1..1; negative where it raises it."""
    probability: float
    """Of the class, on the whole image."""
    lowest: float
    """Of the class, with the cover where it matters most."""


def occlusion_maps(
    classifier: Classifier, pixels: Pixels, predicted: Int[np.ndarray, " n"], classes: int, *, seconds: float = 20.0
) -> Iterator[OcclusionMap]:
    """A map for each image and the class `predicted` for it, one after the other; none is begun after `seconds`.

    A square of a quarter of the image's side is moved over the image, to the places of `cover_places`, and painted as
    `ground_of` says. A pixel's drop is the mean over the covers of it.
    Raises UserError as `score_conditions` does.
    Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014).
    """
    until = time.monotonic() + seconds
    for image, label in zip(pixels, predicted, strict=True):
        if time.monotonic() > until:
            return
        places = cover_places(image.shape[1], image.shape[2])
        batch = np.concatenate([image[None], covered(image, places)])
        yield map_of(places, probabilities_of(classifier, batch, classes)[:, int(label)], image.shape[-2:])


def cover_places(height: int, width: int) -> list[Place]:
    """Where the cover is put: on a grid of 9 × 9, or 5 × 5 where a side has more than 64 pixels; row by row.

    A cover is a quarter of each side, and every pixel is under one or more.
    """
    grid = GRID if max(height, width) <= SMALL_PIXELS else COARSE_GRID
    down, right = max(1, round(COVER * height)), max(1, round(COVER * width))
    tops, lefts = (
        np.unique(np.linspace(0, side - cover, grid).round().astype(int))
        for side, cover in ((height, down), (width, right))
    )
    return [(slice(top, top + down), slice(left, left + right)) for top in tops.tolist() for left in lefts.tolist()]


def ground_of(image: ImagePixels) -> ImagePixels:
    """What a cover shows at each pixel: the image's ground.

    That is the median of each channel where at least half of the pixels are near it: paper, or the 0 around a digit.
    A photograph has no such ground. A square of one colour would be an object of its own there, with edges, so its
    ground is the mean of the pixels around, in a window of the cover's size: light and colour stay, what is drawn goes.
    Source of the latter: Fong & Vedaldi, "Interpretable explanations of black boxes by meaningful perturbation" (2017).
    """
    median = np.median(image, (1, 2)).astype(np.uint8)[:, None, None]
    near = (np.abs(image.astype(np.int16) - median) <= GROUND_TOLERANCE).all(0)
    if near.mean() >= GROUND_SHARE:
        return np.broadcast_to(median, image.shape)
    window = tuple(max(1, round(COVER * side)) for side in image.shape[1:])
    blurred = scipy.ndimage.uniform_filter(image.astype(np.float32), (0, *window), mode="nearest")
    return np.asarray(np.rint(blurred), np.uint8)


def covered(image: ImagePixels, places: Sequence[Place]) -> Pixels:
    """A copy of the image for each place, with its ground there."""
    ground, copies = ground_of(image), np.repeat(image[None], len(places), 0)
    for copy, (rows, columns) in zip(copies, places, strict=True):
        copy[:, rows, columns] = ground[:, rows, columns]
    return copies


def map_of(
    places: Sequence[Place], probabilities: Float[np.ndarray, " covers_and_one"], size: tuple[int, ...]
) -> OcclusionMap:
    """The map of an image of this height and width, from the probability of its class: whole, then under each cover."""
    whole, *under = probabilities.tolist()
    drops, counts = np.zeros(size), np.zeros(size)
    for (rows, columns), probability in zip(places, under, strict=True):
        drops[rows, columns] += whole - probability
        counts[rows, columns] += 1
    return OcclusionMap(drops / counts, whole, min(under))
