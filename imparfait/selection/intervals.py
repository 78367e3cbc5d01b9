"""Accuracy on the held-out images of several jobs: its intervals over source images and over groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from imparfait.evaluation.intervals import GroupInterval, Interval, group_interval, mean_interval
from imparfait.selection.jobs import JobResult


@dataclass(frozen=True)
class AllImages:
    """The accuracy on all held-out images, whatever their folds, with its 95 % intervals."""

    accuracy: float
    interval: Interval
    """Over source images."""
    group_interval: GroupInterval


def source_interval(results: Sequence[JobResult]) -> Interval:
    """The 95 % interval of the accuracy on all held-out images, over source images with all their jobs."""
    _, rows = np.unique(np.concatenate([result.sources for result in results]), return_inverse=True)
    correct = np.bincount(rows, weights=np.concatenate([result.weighted_correct for result in results]))
    copies = np.bincount(rows)
    complete = copies == copies.max()  # where a fold failed, its sources were evaluated less often
    trained = int(copies.max())  # networks that each image was held out from
    shares = correct[complete] / (results[0].weights.sum() * trained)
    return mean_interval(shares, copies=trained * len(results[0].weights))


def all_images(results: Sequence[JobResult]) -> AllImages | None:
    """The accuracy of these jobs on all their held-out images; None without groups."""
    groups = [result.groups for result in results if result.groups is not None]
    if not groups:
        return None
    correct = np.concatenate([result.weighted_correct / result.weights.sum() for result in results])
    over_groups = group_interval(correct, np.concatenate(groups))
    return AllImages(float(correct.mean()), source_interval(results), over_groups) if over_groups else None


def by_group(results: Sequence[JobResult], values: Sequence[float]) -> Float[np.ndarray, " values"]:
    """A value of each job; where each fold is one group, the mean over the jobs of a group.

    All seeds then have the same folds, so that their values are not independent.
    """
    groups = [np.unique(result.groups).tolist() if result.groups is not None else [] for result in results]
    if not results or any(len(own) != 1 for own in groups):
        return np.array(values, float)
    _, members = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(members.ravel(), weights=values) / np.bincount(members.ravel()))
