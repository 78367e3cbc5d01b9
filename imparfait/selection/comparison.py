"""The result of a comparison: accuracies out of fold, and one verdict for each pair of candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from imparfait.core.optional import frame_of
from imparfait.core.types import Labels, Sources
from imparfait.evaluation.intervals import Interval, difference_interval
from imparfait.evaluation.result_plots import plot_accuracies
from imparfait.evaluation.statistics import AdjustedDifference, Difference, Verdict, corrected_difference, holm
from imparfait.evaluation.suite import CLEAN, is_full, levels_of, weights
from imparfait.selection.intervals import AllImages, all_images, by_group
from imparfait.selection.jobs import JobResult
from imparfait.selection.plan import Plan, Slot

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FAILED_POINTS = 0.05  # so far below the median of its candidate's jobs, a training has failed, …
FAILED_SPREADS = 5.0  # … where that is also as many median deviations, and as many standard errors of its accuracy
FEWEST_JOBS = 5  # with fewer, a median says too little

Results = Mapping[tuple[int, int], JobResult]
"""Finished jobs of a candidate, by seed and fold."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of a candidate for every source image, each made while the image was held out."""

    sources: Sources
    truths: Labels
    predicted: Integer[np.ndarray, "seeds corruptions n"]

    @property
    def correct(self) -> Bool[np.ndarray, "seeds corruptions n"]:
        """Which predictions are correct."""
        return np.asarray(self.predicted == self.truths)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A plan, and the results of its jobs by candidate, seed and fold."""

    plan: Plan
    classes: tuple[str, ...]
    results: Mapping[Slot, JobResult]

    @cached_property
    def is_full(self) -> bool:
        """Whether the folds were evaluated on the full suite, not on the core suite."""
        return is_full(self.plan.corruptions)

    @property
    def planned(self) -> int:
        """Jobs of each candidate."""
        return self.plan.seeds * self.plan.folds

    def finished(self, name: str) -> Results:
        """The results of a candidate's jobs that did not fail."""
        failed = self.failures(name)
        return {slot: result for slot, result in self._of(name).items() if slot not in failed}

    def failures(self, name: str) -> dict[tuple[int, int], str]:
        """Why jobs of a candidate failed, by seed and fold.

        One rule for all: a training whose loss is no number, and one that ends far below the others, have failed. They
        are counted apart and not compared; else whoever fails harder would lose less by it. With folds of groups only
        errors count, as the accuracy on a group may be low for its images.
        """
        results = self._of(name)
        causes = {slot: result.cause for slot, result in results.items() if result.cause}
        means = {slot: result.mean for slot, result in results.items() if result.mean is not None}
        if self.plan.groups or len(means) < FEWEST_JOBS:
            return causes
        median = float(np.median(list(means.values())))
        spread = float(np.median([abs(mean - median) for mean in means.values()]))
        images = min(len(results[slot].sources) for slot in means)
        error = (median * (1 - median) / images) ** 0.5
        lowest = median - max(FAILED_POINTS, FAILED_SPREADS * spread, FAILED_SPREADS * error)
        return causes | {
            slot: f"it ended at {100 * mean:.2f} %, where the median of its jobs is {100 * median:.2f} %"
            for slot, mean in means.items()
            if mean < lowest
        }

    def causes(self, name: str) -> list[str]:
        """Why jobs of a candidate failed."""
        return [cause for _, cause in sorted(self.failures(name).items())]

    def _of(self, name: str) -> Results:
        return {(seed, fold): result for (candidate, seed, fold), result in self.results.items() if candidate == name}

    def mean(self, name: str) -> float | None:
        """The mean accuracy of a candidate's jobs; None if none finished."""
        return mean_of(self.finished(name).values())

    def spread(self, name: str) -> float | None:
        """The standard deviation of the accuracies of a candidate's jobs; None for fewer than two."""
        means = [result.mean for result in self.finished(name).values() if result.mean is not None]
        return float(np.std(means, ddof=1)) if len(means) > 1 else None

    @property
    def ranked(self) -> list[str]:
        """The candidates, the highest mean first; without a finished job last."""
        means = {profile.name: self.mean(profile.name) for profile in self.plan.profiles}
        return sorted(means, key=lambda name: (means[name] is None, -(means[name] or 0.0)))

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """A verdict for each pair with two or more folds that both finished, adjusted for the number of pairs."""
        verdicts = []
        for one, other in combinations(self.ranked, 2):
            differences = self.fold_differences(one, other)
            if len(differences) > 1:
                verdict = verdict_of((one, other), differences, self.plan.test_share)
                verdicts.append(
                    replace(
                        verdict,
                        by_source=self._interval_by_source(*verdict.names),
                        corruptions=self._corruption_tests(*verdict.names) if self.is_full else {},
                    )
                )
        return adjust(verdicts)

    def all_images(self, name: str) -> AllImages | None:
        """A candidate's accuracy on all held-out images; None without groups, and where no job finished."""
        return all_images(list(self.finished(name).values()))

    def fold_differences(self, one: str, other: str) -> Float[np.ndarray, " folds"]:
        """Accuracy of one candidate minus the other's on each fold that both finished.

        Where a fold is a group, all seeds have the same folds: these differences are means over seeds.
        """
        return paired_differences(self.finished(one), self.finished(other))

    def _interval_by_source(self, one: str, other: str) -> Interval | None:
        """The interval over source images, each with all its seeds and corruptions; None where jobs failed."""
        if min(len(self.finished(one)), len(self.finished(other))) < self.planned:
            return None
        mine, theirs = self.out_of_fold(one).correct, self.out_of_fold(other).correct
        row_weights = weights(self.plan.corruptions)
        ahead = np.zeros(mine.shape[2], np.int64)
        for row, weight in enumerate(row_weights):  # row by row: as int64, a full suite would take a gigabyte
            ahead += weight * (mine[:, row].sum(0, dtype=np.int64) - theirs[:, row].sum(0, dtype=np.int64))
        return difference_interval(ahead / (len(mine) * int(row_weights.sum())))

    def by_corruption(self, name: str) -> dict[str, float]:
        """A candidate's accuracy on clean images and under each corruption: the mean over its jobs."""
        accuracies = [accuracy_by_corruption(result) for result in self.finished(name).values()]
        first = accuracies[0] if accuracies else {}
        return {corruption: float(np.mean([one[corruption] for one in accuracies])) for corruption in first}

    def _corruption_tests(self, one: str, other: str) -> dict[str, AdjustedDifference]:
        """For each corruption the difference of a pair, adjusted for the number of corruptions.

        The same test as the verdict's, on each corruption's mean over its severities, which are not tested one by one.
        """
        mine, theirs = self.finished(one), self.finished(other)
        pairs = [
            (accuracy_by_corruption(mine[slot]), accuracy_by_corruption(theirs[slot]))
            for slot in sorted(mine.keys() & theirs.keys())
        ]
        names = [name for name in pairs[0][0] if name != CLEAN]
        results = [mine[slot] for slot in sorted(mine.keys() & theirs.keys())]
        differences = [
            corrected_difference(by_group(results, [a[name] - b[name] for a, b in pairs]), self.plan.test_share)
            for name in names
        ]
        adjusted = holm([difference.p for difference in differences])
        return dict(zip(names, map(AdjustedDifference, differences, adjusted), strict=True))

    def out_of_fold(self, name: str) -> OutOfFold:
        """A candidate's predictions for every source image; all its jobs must have finished."""
        finished, rows = self.finished(name), []
        for seed in range(self.plan.seeds):
            folds = [finished[seed, number] for number in range(self.plan.folds)]
            sources, truths = (np.concatenate([getattr(fold, n) for fold in folds]) for n in ("sources", "truths"))
            order = np.argsort(sources, kind="stable")
            rows.append(np.concatenate([fold.predicted for fold in folds], 1)[:, order])
        return OutOfFold(sources[order], truths[order], np.stack(rows))

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per candidate, the best first: mean accuracy (0..1), its spread over jobs, jobs, parameters."""
        left_out = ("corruptions", "all_images", "failed")
        return frame_of(
            [
                {key: value for key, value in row.items() if key not in left_out} | {"failed": len(row["failed"])}
                for row in self.to_json()["candidates"]
            ]
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """The mean accuracy of each candidate, the best first, ± the standard deviation over its jobs."""
        ranked = [name for name in self.ranked if self.mean(name) is not None]
        means, spreads = [self.mean(name) or 0.0 for name in ranked], [self.spread(name) for name in ranked]
        ends = [
            None if spread is None else (mean - spread, mean + spread)
            for mean, spread in zip(means, spreads, strict=True)
        ]
        return plot_accuracies(ax, ranked, means, ends, "mean accuracy in %, ± standard deviation over jobs")

    def to_json(self) -> dict[str, Any]:
        """Candidates and verdicts, as numbers."""
        return {
            "candidates": [
                {
                    "name": name,
                    "mean": self.mean(name),
                    "standard_deviation": self.spread(name),
                    "jobs": len(self.finished(name)),
                    "failed": self.causes(name),
                    "epochs": self.plan.profile(name).settings.epochs,
                    "training_seconds": self.plan.profile(name).training_seconds(self.plan.fit),
                    "train_throughput": self.plan.profile(name).train_throughput,
                    "num_parameters": self.plan.profile(name).num_parameters,
                }
                | ({"corruptions": self.by_corruption(name)} if self.is_full else {})
                | ({"all_images": asdict(found)} if (found := self.all_images(name)) else {})
                for name in self.ranked
            ],
            "verdicts": [verdict_json(verdict) for verdict in self.verdicts],
            "reductions": [reduction.model_dump() for reduction in self.plan.reductions],
        }


def mean_of(results: Iterable[JobResult]) -> float | None:
    """The mean accuracy of the jobs that finished; None if none did."""
    means = [result.mean for result in results if result.mean is not None]
    return float(np.mean(means)) if means else None


def paired_differences(mine: Results, theirs: Results) -> Float[np.ndarray, " folds"]:
    """Accuracy minus the other's on each fold that both finished."""
    slots = sorted(mine.keys() & theirs.keys())
    differences = [(mine[slot].mean or 0.0) - (theirs[slot].mean or 0.0) for slot in slots]
    return by_group([mine[slot] for slot in slots], differences)


def verdict_of(names: tuple[str, str], differences: Float[np.ndarray, " folds"], test_share: float) -> Verdict:
    """The verdict on one pair alone, from the first's accuracies minus the second's; the better one comes first."""
    difference = corrected_difference(differences, test_share)
    if difference.mean < 0:
        names = names[::-1]
        difference = Difference(-difference.mean, difference.error, difference.degrees_of_freedom)
    return Verdict(names, difference, difference.p, jobs=len(differences))


def adjust(verdicts: list[Verdict]) -> list[Verdict]:
    """The verdicts with p values adjusted for their number (Holm)."""
    adjusted = holm([verdict.p for verdict in verdicts])
    return [replace(verdict, p=p, pairs=len(verdicts)) for verdict, p in zip(verdicts, adjusted, strict=True)]


def accuracy_by_corruption(result: JobResult) -> dict[str, float]:
    """Accuracy on clean images, then under each corruption: the mean over its severities."""
    shares = result.correct_counts / len(result.sources)
    by_condition = dict(zip(result.corruptions, shares.tolist(), strict=True))
    means = {
        name: float(np.mean([by_condition[name, severity] for severity in severities]))
        for name, severities in levels_of(result.corruptions).items()
    }
    return {CLEAN: by_condition[CLEAN, 0.0]} | means if (CLEAN, 0.0) in by_condition else means


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as numbers."""
    tests = {name: _difference_json(test.difference, test.p) for name, test in verdict.corruptions.items()}
    return {
        "better": verdict.better,
        "other": verdict.other,
        "significant": verdict.is_significant,
        **_difference_json(verdict.difference, verdict.p),
        "pairs": verdict.pairs,
        "jobs": verdict.jobs,
        "interval_by_source": verdict.by_source,
    } | ({"corruptions": tests} if tests else {})


def _difference_json(difference: Difference, p: float) -> dict[str, Any]:
    return {"difference": difference.mean, "interval": difference.interval, "p": difference.p, "p_holm": p}
