"""Splits by group: no device, writer or patient has images on two sides."""

# scikit-learn's StratifiedGroupKFold is not used: its shuffle only reorders groups of equal class counts, so that
# groups of different sizes give the same folds for every seed (16 meters, 6 seeds: one division, scikit-learn 1.9).

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int64

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.data.dataset import LabelledImages

ATTEMPTS = 20  # random orders that are tried until every class is in the training images of every fold
MAX_EXCESS = 3  # times the share, above which a held-out fold of large groups would cost too many training images


def count_groups(data: LabelledImages) -> int:
    """How many groups the images are of; 0 without groups."""
    return 0 if data.groups is None else len(np.unique(data.groups))


def count_folds(data: LabelledImages, folds: int | Literal["groups"]) -> int:
    """How many folds these are: "groups" is one for each group, which leaves one group out at a time."""
    if folds != "groups":
        return folds
    if data.groups is None:
        raise UserError(
            f"--folds groups: {data.name} has no groups",
            hint="write --group with a column of the table, parent or a regular expression",
        )
    return count_groups(data)


def deal_groups(data: LabelledImages, folds: int, purpose: str, partition: int) -> Int64[np.ndarray, " n"]:
    """The fold of each image, 0..folds - 1: whole groups, as equal in size and classes as the groups allow.

    Groups are dealt one by one, larger ones first and otherwise in the random order of `purpose` and `partition`,
    each to the fold that has the least of its classes. Raises UserError where groups are fewer than folds, or where a
    fold would hold all images of a class.
    """
    assert data.groups is not None, "images without groups"
    ids, members = np.unique(data.groups, return_inverse=True)
    counts = np.zeros((len(ids), len(data.classes)), np.int64)
    np.add.at(counts, (members, data.labels), 1)
    _check_groups(data, counts, folds)
    for attempt in range(ATTEMPTS):
        bits = CounterRng(partition, purpose, attempt, torch.from_numpy(ids)).bits("groups").numpy()
        found = _deal(counts, folds, bits)
        if found is not None:
            return np.asarray(found[members])
    raise UserError(
        f"{data.name}: its {len(ids)} groups cannot be divided into {folds} so that each class is on both sides",
        hint="add groups with the rare classes, or write fewer --folds",
    )


def hold_out_groups(data: LabelledImages, share: float, purpose: str) -> Bool[np.ndarray, " n"]:
    """The images of some groups, about `share` of all and of each class; of several groups where there are enough."""
    assert data.groups is not None, "images without groups"
    folds = max(2, min(round(1 / share), count_groups(data)))
    dealt = deal_groups(data, folds, purpose, 0)
    counts = np.zeros((folds, len(data.classes)), np.int64)
    np.add.at(counts, (dealt, data.labels), 1)
    groups = np.array([len(np.unique(data.groups[dealt == number])) for number in range(folds)])
    away = abs(counts.sum(1) / len(data) - share)
    # One large group is no sample of groups: of folds of about the share, the one with the most of them is taken.
    best = np.lexsort((away, -groups, (counts == 0).sum(1), away > share / 2))[0]
    return np.asarray(dealt == best)


def _check_groups(data: LabelledImages, counts: Int64[np.ndarray, "groups classes"], folds: int) -> None:
    if len(counts) < folds:
        if len(counts) < 2:
            hint = "name what tells the groups apart with --group, or write --group none to split at random"
        else:
            hint = f"write --folds {len(counts)}, or --folds groups to hold out one group at a time"
        raise UserError(
            f"{data.name}: {counted(len(counts), 'group')}",
            expected=f"at least {folds}, one for each side of the split" if folds == 2 else f"one for each of {folds}",
            hint=hint,
        )
    alone = np.flatnonzero((counts > 0).sum(0) == 1)
    if len(alone):
        named = ", ".join(data.classes[label] for label in alone[:5]) + (" …" if len(alone) > 5 else "")
        classes = f"class {named} has" if len(alone) == 1 else f"classes {named} have"
        raise UserError(
            f"{data.name}: {classes} images of one group only",
            expected="two groups or more of each class, to train on one and evaluate on another",
            hint="add images of other groups, remove the class, or write --group none to split at random",
        )


def _deal(
    counts: Int64[np.ndarray, "groups classes"], folds: int, bits: Int64[np.ndarray, " groups"]
) -> Int64[np.ndarray, " groups"] | None:
    """The fold of each group; None where this order leaves the training images of a fold without a class."""
    sizes, totals = counts.sum(1), counts.sum(0)
    octaves = np.log2(sizes).astype(np.int64)  # by rough size only, so that orders, and with them folds, differ
    order = np.lexsort((bits, -octaves))
    load = np.zeros((folds, len(totals)), np.int64)
    found = np.empty(len(counts), np.int64)
    weights = 1 / np.maximum(totals, 1.0) ** 2
    for group in order:
        own = counts[group]
        # Sums of squared shares grow least where the fold has the least of the group's classes and of all images.
        cost = load @ (own * weights) + load.sum(1) * sizes[group] / totals.sum() ** 2
        whole = ((load + own == totals) & (own > 0)).any(1)
        cost[whole] = np.inf
        best = int(cost.argmin())
        if whole[best]:
            return None
        load[best] += own
        found[group] = best
    return found
