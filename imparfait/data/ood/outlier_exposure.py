"""Outlier exposure: out-of-distribution images for training, with uniform targets."""

from collections.abc import Sequence

import numpy as np

from imparfait.core.large_arrays import joined
from imparfait.core.types import Labels, Pixels, Sources
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood.registry import OOD_SETS
from imparfait.data.ood.synthetic import scrambled

OOD_LABEL = -1
"""The label of an out-of-distribution image."""
LETTERS = ("other_letters", "signs", "symbols")


def with_outliers(data: LabelledImages, share: float, seed: int) -> tuple[Pixels, Labels, Sources]:
    """Pixels, labels and sources of `data` and of `share` × len(data) out-of-distribution images."""
    if not share:
        return data.pixels, data.labels, data.sources
    outliers = draw_outliers(data, share, seed)
    labels = np.concatenate([data.labels, np.full(len(outliers), OOD_LABEL)])
    ids = -1 - np.arange(len(outliers))  # that no other image has
    return joined([data.pixels, outliers]), labels, np.concatenate([data.sources, ids])


def draw_outliers(data: LabelledImages, share: float, seed: int) -> Pixels:
    """`share` × len(data) OOD images in the format of `data`, in equal numbers from each set.

    They come from the sets for fitting and from scrambled images of `data`. Letters are included only when the
    classes are digits: otherwise they may be a class.
    """
    _, channels, height, width = data.pixels.shape
    digits = is_of_digits(data.classes)
    fitting = [s for name, s in OOD_SETS.items() if s.purpose == "fitting" and (digits or name not in LETTERS)]
    many = round(share * len(data))
    each = np.bincount(np.arange(many) % (len(fitting) + 1), minlength=len(fitting) + 1).tolist()
    drawn = [s.draw(n, height, width, channels, seed) for s, n in zip(fitting, each[1:], strict=True) if n]
    few = np.random.default_rng(seed).choice(len(data), each[0], replace=False)
    return np.concatenate([scrambled(data.select(few), seed), *(pixels for pixels in drawn if pixels is not None)])


def is_of_digits(classes: Sequence[str]) -> bool:
    """Whether all classes are numbers, so that a letter is none of them."""
    return all(name.isdecimal() for name in classes)
