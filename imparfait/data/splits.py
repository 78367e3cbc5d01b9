"""Which sources are for fitting and which are held out."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int64

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.data.dataset import LabelledImages

VALIDATION_SHARE = 1 / 6  # of MNIST's 60,000: 10,000, as many as its test images


def split(data: LabelledImages, share: float = VALIDATION_SHARE) -> tuple[LabelledImages, LabelledImages]:
    """Images to fit on and images to validate on: by source, stratified, always the same ones.

    From each class the sources with the smallest random numbers go to validation, so all copies of a source stay
    together. For MNIST these are the project's validation images.
    """
    mask = np.isin(data.sources, _share_of_each_class(data, share, "validation"))
    if not mask.any():
        raise UserError(
            f"{data.name}: {len(data)} images are too few to keep some for validation; 2 a class are the least"
        )
    return data.select(~mask), data.select(mask, "validation")


CALIBRATION_SHARE = 1 / 20  # of the images to fit on: of MNIST's 50,000 or 60,000, 2,500 or 3,000
LEAST_FOR_CALIBRATION = 500  # images: with fewer no threshold keeps an error rate of 1 %


def split_calibration(data: LabelledImages) -> tuple[LabelledImages, LabelledImages | None]:
    """Images to fit on, and images that temperature and threshold are found on; None where `data` are few.

    By source, stratified, always the same ones.
    """
    if len(data) * CALIBRATION_SHARE < LEAST_FOR_CALIBRATION:
        return data, None
    mask = np.isin(data.sources, _share_of_each_class(data, CALIBRATION_SHARE, "calibration"))
    return data.select(~mask), data.select(mask, "validation")


def subsample(data: LabelledImages, images: int | None) -> LabelledImages:
    """About so many of the training images (all for None): by source, stratified, always the same ones."""
    if images is None or images >= len(data):
        return data
    return data.select(np.isin(data.sources, _share_of_each_class(data, images / len(data), "fewer")))


def fold(data: LabelledImages, folds: int, number: int, partition: int) -> tuple[LabelledImages, LabelledImages]:
    """Images to fit on and images to judge on, fold `number` of `folds`: by source, stratified.

    Each `partition` is another division of the same sources. Raises UserError when a class has fewer sources than
    there are folds.
    """
    held_out: list[np.ndarray] = []
    dealt = 0  # where dealing stopped is carried from class to class, so that the folds are of one size
    for label, members in enumerate(_by_class(data, "folds", partition)):
        if len(members) < folds:
            raise UserError(
                f"{data.name}: class {data.classes[label]} has {len(members)} images, fewer than the {folds} folds; "
                f"write --folds {max(2, len(members))} or give more images"
            )
        held_out.append(members[(np.arange(len(members)) + dealt) % folds == number])
        dealt += len(members)
    mask = np.isin(data.sources, np.concatenate(held_out))
    return data.select(~mask), data.select(mask, "validation")


def check_apart(fit: LabelledImages, held_out: LabelledImages) -> None:
    """Raises UserError when an image held out, or a corrupted copy of one, is among those to fit on."""
    both = np.intersect1d(fit.sources, held_out.sources)
    if len(both):
        raise UserError(
            f"{len(both)} of the source images held out (the first has id {both[0]}) are also fitted on, as they are "
            "or corrupted; keep all copies of a source on one side"
        )


def _share_of_each_class(data: LabelledImages, share: float, purpose: str) -> Int64[np.ndarray, " n"]:
    """The sources with the smallest random numbers of each class; at least one is left out where there are several."""
    chosen: list[np.ndarray] = []
    carried = 0.0  # rounding is carried from class to class, so that the total is the share asked for
    for members in _by_class(data, purpose, 0):
        exact = len(members) * share + carried
        take = min(round(exact), max(len(members) - 1, 0))
        carried = exact - take
        chosen.append(members[:take])
    return np.concatenate(chosen)


def _by_class(data: LabelledImages, purpose: str, seed: int) -> Iterator[Int64[np.ndarray, " members"]]:
    """The sources of each class, in a random order that depends on the purpose and the seed."""
    if data.split != "train":
        raise UserError(f"only training images are split for fitting; these are {data.split} images")
    sources, first = np.unique(data.sources, return_index=True)
    labels = data.labels[first]
    order = CounterRng(seed, purpose, 0, torch.from_numpy(sources)).bits("order").numpy()
    for label in range(len(data.classes)):
        members = np.flatnonzero(labels == label)
        yield sources[members[np.argsort(order[members], kind="stable")]]
