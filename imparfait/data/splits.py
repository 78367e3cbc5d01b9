"""Splits of the source images: validation, calibration, cross-validation folds, subsamples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import MAX_EXCESS, deal_groups, hold_out_groups

VALIDATION_SHARE = 1 / 6  # of MNIST's 60,000: 10,000, as many as its test images


def split(data: LabelledImages, share: float = VALIDATION_SHARE) -> tuple[LabelledImages, LabelledImages]:
    """Split into training and validation images: by source, stratified, always the same split.

    The sources of each class with the smallest random numbers are the validation set, so all copies of a source stay
    together. For MNIST this is the project's validation set. Images with groups are split by group instead, as close
    to the share and as stratified as the groups allow.

    >>> few = imparfait.load_data("mnist").train.select(range(60))
    >>> train, validation = imparfait.split(few, share=0.25)
    >>> len(train), len(validation)
    (45, 15)
    """
    if data.groups is not None:
        _check_split(data)
        mask = hold_out_groups(data, share, "validation")
        return data.select(~mask), data.select(mask, "validation")
    mask = np.isin(data.sources, _share_of_each_class(data, share, "validation"))
    if not mask.any():
        raise UserError(
            f"{data.name}: {counted(len(data), 'image')}, too few to hold out a validation set",
            expected="at least 2 images per class",
        )
    return data.select(~mask), data.select(mask, "validation")


CALIBRATION_SHARE = 1 / 20  # of the training images: 2,500 of 50,000, or 3,000 of 60,000
MIN_CALIBRATION_IMAGES = 500  # images; fewer cannot support an error rate of 1 %


def split_calibration(data: LabelledImages) -> tuple[LabelledImages, LabelledImages | None]:
    """Split into training images and images to calibrate on; None instead of the latter when `data` are few.

    By source or group, stratified, always the same split. None too where groups are so few or so large that holding
    one out would cost too many training images.
    """
    if len(data) * CALIBRATION_SHARE < MIN_CALIBRATION_IMAGES:
        return data, None
    if data.groups is not None:
        _check_split(data)
        try:
            mask = hold_out_groups(data, CALIBRATION_SHARE, "calibration")
        except UserError:  # too few groups: calibration can be done without
            return data, None
        if not MIN_CALIBRATION_IMAGES <= mask.sum() <= MAX_EXCESS * CALIBRATION_SHARE * len(data):
            return data, None
        return data.select(~mask), data.select(mask, "validation")
    mask = np.isin(data.sources, _share_of_each_class(data, CALIBRATION_SHARE, "calibration"))
    return data.select(~mask), data.select(mask, "validation")


def subsample(data: LabelledImages, images: int | None) -> LabelledImages:
    """About `images` of the training images (all for None): by source, stratified, always the same."""
    if images is None or images >= len(data):
        return data
    return data.select(np.isin(data.sources, _share_of_each_class(data, images / len(data), "fewer")))


def sample(data: LabelledImages, images: int) -> LabelledImages:
    """About `images` of the images, or all where there are no more: by source, stratified, always the same."""
    if images >= len(data):
        return data
    drawn = _share_of_each_class(replace(data, split="train"), images / len(data), "sample", spared=0)
    return data.select(np.isin(data.sources, drawn))


def fold(data: LabelledImages, folds: int, number: int, partition: int) -> tuple[LabelledImages, LabelledImages]:
    """Training images and the held-out fold `number` of `folds`: by source or group, stratified.

    Each `partition` is another random division into folds; with as many folds as groups, each group is held out once.
    Raises UserError when a class has fewer sources than folds, or when there are too few groups.

    >>> few = imparfait.load_data("mnist").train.select(range(60))
    >>> train, held_out = imparfait.fold(few, folds=3, number=0, partition=0)
    >>> len(train), len(held_out)
    (40, 20)
    """
    if data.groups is not None:
        _check_split(data)
        mask = deal_groups(data, folds, "folds", partition) == number
        return data.select(~mask), data.select(mask, "validation")
    held_out: list[np.ndarray] = []
    dealt = 0  # carried from class to class, so that the folds have equal sizes
    for label, members in enumerate(_by_class(data, "folds", partition)):
        if len(members) < folds:
            raise UserError(
                f"{data.name}: class {data.classes[label]} has {counted(len(members), 'image')}, "
                f"fewer than the {folds} folds",
                hint=f"write --folds {max(2, len(members))} or add images",
            )
        held_out.append(members[(np.arange(len(members)) + dealt) % folds == number])
        dealt += len(members)
    mask = np.isin(data.sources, np.concatenate(held_out))
    return data.select(~mask), data.select(mask, "validation")


def check_apart(fit: LabelledImages, held_out: LabelledImages) -> None:
    """Raise UserError if `fit` contains a held-out source image, a corrupted copy of one, or one of its group."""
    both = np.intersect1d(fit.sources, held_out.sources)
    if len(both):
        raise UserError(
            f"leakage: {len(both)} held-out source images (the first has id {both[0]}) are also trained on",
            hint="keep all copies of a source on one side",
        )
    shared = shared_groups(fit, held_out)
    if shared:
        raise UserError(
            f"leakage: {counted(shared, 'held-out group')} {'are' if shared > 1 else 'is'} also trained on",
            hint="keep all images of a group on one side",
        )


def shared_groups(one: LabelledImages, *others: LabelledImages) -> int:
    """How many groups have images in `one` and in any of `others`; 0 without groups."""
    known = [other.groups for other in others if other.groups is not None]
    return len(np.intersect1d(one.groups, np.concatenate(known))) if one.groups is not None and known else 0


def _share_of_each_class(data: LabelledImages, share: float, purpose: str, spared: int = 1) -> Int64[np.ndarray, " n"]:
    """The sources of each class with the smallest random numbers; at least `spared` of a class are left out."""
    chosen: list[np.ndarray] = []
    carried = 0.0  # rounding is carried from class to class, so that the total matches the share
    for members in _by_class(data, purpose, 0):
        exact = len(members) * share + carried
        take = min(round(exact), max(len(members) - spared, 0))
        carried = exact - take
        chosen.append(members[:take])
    return np.concatenate(chosen)


def _by_class(data: LabelledImages, purpose: str, seed: int) -> Iterator[Int64[np.ndarray, " members"]]:
    """The sources of each class, in a random order given by purpose and seed."""
    _check_split(data)
    sources, first = np.unique(data.sources, return_index=True)
    labels = data.labels[first]
    order = CounterRng(seed, purpose, 0, torch.from_numpy(sources)).bits("order").numpy()
    for label in range(len(data.classes)):
        members = np.flatnonzero(labels == label)
        yield sources[members[np.argsort(order[members], kind="stable")]]


def _check_split(data: LabelledImages) -> None:
    if data.split != "train":
        raise UserError(f"{data.split} images cannot be split", expected="training images")
