"""What the outcomes of a comparison show: one verdict for each pair of contenders, and descriptions."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from imparfait.core.types import Labels, Sources
from imparfait.evaluation.statistics import Difference, Interval, bootstrap_interval, corrected_difference, holm
from imparfait.evaluation.suite import CLEAN, is_full, weights
from imparfait.selection.by_corruption import Tested, in_the_mean, tested
from imparfait.selection.jobs import JobResult
from imparfait.selection.plan import Plan
from imparfait.selection.profiling import CandidateProfile

LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """Whether one of two contenders is shown to be better, by one test on the mean over the corruptions."""

    names: tuple[str, str]
    """The one with the higher mean first."""
    difference: Difference
    """In shares, 0..1; positive."""
    p: float
    """Adjusted for all pairs (Holm)."""
    pairs: int
    jobs: int
    by_source: Interval | None
    """Beside it: a bootstrap over source images of the same difference, for these networks only."""

    @property
    def shown(self) -> bool:
        """Whether the test shows a difference."""
        return self.p <= LEVEL

    @property
    def reach(self) -> float:
        """A difference larger than this would have shown, whatever the other pairs."""
        return self.difference.reach(LEVEL / self.pairs)

    def to_json(self) -> dict[str, Any]:
        """The verdict, as numbers."""
        return {
            "sentence": str(self),
            "better": self.names[0],
            "other": self.names[1],
            "shown": self.shown,
            "difference": self.difference.mean,
            "interval": self.difference.interval,
            "p": self.difference.p,
            "p_holm": self.p,
            "pairs": self.pairs,
            "jobs": self.jobs,
            "bootstrap_by_source": self.by_source,
        }

    def __str__(self) -> str:
        better, other = self.names
        ahead, interval = f"{100 * self.difference.mean:.2f} points", points(self.difference.interval)
        if self.shown:
            return f"{better} is better than {other} by {ahead} (95 %: {interval})"
        if self.difference.error == 0:
            equally = f"{ahead} on each of {self.jobs} folds, no spread to test by"
            return f"{better} and {other}: no difference shown: {equally}"
        after = f" once {self.pairs} pairs are allowed for" if self.difference.interval[0] > 0 else ""
        return (
            f"{better} and {other}: no difference shown{after}: {ahead} ({interval}); "
            f"anything over {100 * self.reach:.2f} would have shown"
        )


def verdict_of(
    names: tuple[str, str],
    differences: Float[np.ndarray, " folds"],
    test_share: float,
    by_source: Interval | None = None,
) -> Verdict:
    """The verdict on one pair by itself, from the first's accuracies minus the second's on the same folds."""
    found = corrected_difference(differences, test_share)
    if found.mean < 0:
        names, found = names[::-1], Difference(-found.mean, found.error, found.freedom)
        by_source = (-by_source[1], -by_source[0]) if by_source else None
    return Verdict(names, found, found.p, 1, len(differences), by_source)


def among_pairs(verdicts: list[Verdict]) -> list[Verdict]:
    """The verdicts, adjusted for there being several."""
    adjusted = holm([each.p for each in verdicts])
    return [
        Verdict(each.names, each.difference, p, len(verdicts), each.jobs, each.by_source)
        for each, p in zip(verdicts, adjusted, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Answered:
    """A contender's answers out of fold, by source."""

    sources: Sources
    truths: Labels
    said: Integer[np.ndarray, "seeds corruptions n"]

    @property
    def correct(self) -> Bool[np.ndarray, "seeds corruptions n"]:
        """Which answers are right."""
        return np.asarray(self.said == self.truths)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A plan, and the outcomes of its jobs by (contender, seed, fold)."""

    plan: Plan
    classes: tuple[str, ...]
    outcomes: Mapping[tuple[str, int, int], JobResult]

    @cached_property
    def is_full(self) -> bool:
        """Whether the folds were judged on a full suite, and not on the three."""
        return is_full(self.plan.corruptions)

    @property
    def headline(self) -> str:
        """How the mean is called."""
        return f"mean of the {'suite' if self.is_full else 'three'}"

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the table."""
        return "", self.headline, "sd", "jobs", "training", "images/s", "numbers"

    def finished(self, entry: CandidateProfile) -> dict[tuple[int, int], JobResult]:
        """The outcomes of a contender that are answers, by (seed, fold)."""
        return {(s, f): o for (name, s, f), o in self.outcomes.items() if name == entry.name and not o.cause}

    def causes(self, entry: CandidateProfile) -> list[str]:
        """Why jobs of a contender failed."""
        return [o.cause for (name, _, _), o in sorted(self.outcomes.items()) if name == entry.name and o.cause]

    def mean(self, entry: CandidateProfile) -> float:
        """The mean accuracy of a contender's jobs; NaN where none finished."""
        means = [outcome.mean for outcome in self.finished(entry).values()]
        return float(np.mean(means)) if means else float("nan")

    def spread(self, entry: CandidateProfile) -> float:
        """The standard deviation of the accuracies of a contender's jobs."""
        means = [outcome.mean for outcome in self.finished(entry).values()]
        return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")

    @property
    def ranked(self) -> list[CandidateProfile]:
        """The contenders, the highest mean first; one with no finished job last."""
        return sorted(self.plan.entries, key=lambda entry: -np.nan_to_num(self.mean(entry), nan=-1))

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """One for each pair of which two jobs or more finished on the same folds, adjusted for all of them."""
        found = []
        for one, other in combinations(self.ranked, 2):
            mine, theirs = self.finished(one), self.finished(other)
            both = sorted(mine.keys() & theirs.keys())
            if len(both) > 1:
                differences = np.array([mine[place].mean - theirs[place].mean for place in both])
                share = self.plan.held_out / self.plan.fit
                found.append(verdict_of((one.name, other.name), differences, share, self._by_source(one, other)))
        return among_pairs(found)

    def _by_source(self, one: CandidateProfile, other: CandidateProfile) -> Interval | None:
        """A bootstrap over sources, each with all its seeds and corruptions, where both have all of these."""
        n = self.plan.seeds * self.plan.folds
        if len(self.finished(one)) < n or len(self.finished(other)) < n:
            return None
        mine, theirs, counts = self.answers(one).correct, self.answers(other).correct, weights(self.plan.corruptions)
        ahead = np.zeros(mine.shape[2], np.int64)
        for part, count in enumerate(counts):  # one after the other: as int64, a full suite's would take a gigabyte
            ahead += count * (mine[:, part].sum(0, dtype=np.int64) - theirs[:, part].sum(0, dtype=np.int64))
        return bootstrap_interval(ahead, each=len(mine) * int(counts.sum()))

    def by_corruption(self, entry: CandidateProfile) -> dict[str, float]:
        """A contender's accuracy on the images as they are and under each corruption, out of fold."""
        return in_the_mean(self.finished(entry))

    def tested(self, verdict: Verdict) -> dict[str, Tested]:
        """For each corruption, how far the verdict's first is ahead of its second."""
        entries = {entry.name: entry for entry in self.plan.entries}
        first, second = (self.finished(entries[name]) for name in verdict.names)
        return tested(first, second, self.plan.held_out / self.plan.fit)

    def answers(self, entry: CandidateProfile) -> "Answered":
        """What a contender said to every source, each time when it was held out; wants all its jobs finished."""
        finished, rows = self.finished(entry), []
        for seed in range(self.plan.seeds):
            parts = [finished[seed, number] for number in range(self.plan.folds)]
            sources, truths = (np.concatenate([getattr(part, n) for part in parts]) for n in ("sources", "truths"))
            order = np.argsort(sources, kind="stable")
            rows.append(np.concatenate([part.said for part in parts], 1)[:, order])
        return Answered(sources[order], truths[order], np.stack(rows))

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a row a contender, as people read it."""
        lines: list[tuple[str, ...]] = []
        for entry in self.ranked:
            mean, sd, n = self.mean(entry), self.spread(entry), len(self.finished(entry))
            planned = self.plan.seeds * self.plan.folds
            lines.append(
                (
                    entry.name,
                    f"{100 * mean:.2f} %" if n else "-",
                    f"{100 * sd:.2f}" if n > 1 else "-",
                    f"{n}" if n == planned else f"{n} of {planned}",
                    f"{entry.training_seconds(self.plan.fit):,.1f} s",
                    f"{entry.learns:,.0f}",
                    f"{entry.numbers:,}",
                )
            )
        return lines

    def remarks(self) -> list[str]:
        """What must be known to read the table."""
        plan = self.plan
        part = "all" if plan.images is None else f"{plan.sources:,} of the"
        machines = {str(entry.compute) for entry in plan.entries}
        lines = [
            f"sd of the jobs, {plan.folds} folds of {part} training images with {plan.seeds} "
            f"seed{'s' * (plan.seeds > 1)}, each with its own division",
            f"training seconds and images/s alone on {' or '.join(sorted(machines))}",
        ]
        if self.is_full:
            n = len({name for name, _ in plan.corruptions} - {CLEAN})
            lines.append(f"the mean over {n} corruptions, each over its severities; clean is not in it")
        names = ("augmentation", "nothing", "batch_size", "epochs", "seed")
        differ = [n.replace("_", " ") for n in names if len({getattr(e.settings, n) for e in plan.entries}) > 1]
        lines.append(
            f"not trained on identical pixels: they differ in {' and '.join(differ)}"
            if differ
            else "all were trained on identical pixels"
        )
        others = [e for e in plan.entries if e.own_epochs != e.settings.epochs]
        if others:
            told = ", ".join(f"{e.name} {e.settings.epochs} instead of {e.own_epochs}" for e in others)
            lines.append(f"judged after other epochs than their own: {told}")
        for entry in plan.entries:
            causes = Counter(self.causes(entry))
            lines += [f"{entry.name}: {n} jobs failed: {cause}" for cause, n in causes.items()]
        if len(self.verdicts) > 1:
            lines.append(f"{len(self.verdicts)} pairs are compared, which the verdicts allow for (Holm)")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Table and verdicts, as numbers."""
        return {
            "contenders": [
                {
                    "name": entry.name,
                    "mean": self.mean(entry) if self.finished(entry) else None,
                    "standard_deviation": self.spread(entry) if len(self.finished(entry)) > 1 else None,
                    "jobs": len(self.finished(entry)),
                    "failed": self.causes(entry),
                    "epochs": entry.settings.epochs,
                    "training_seconds": entry.training_seconds(self.plan.fit),
                    "pictures_a_second": entry.learns,
                    "numbers": entry.numbers,
                }
                | ({"corruptions": self.by_corruption(entry)} if self.is_full else {})
                for entry in self.ranked
            ],
            "verdicts": [
                each.to_json()
                | ({"corruptions": {n: t.to_json() for n, t in self.tested(each).items()}} if self.is_full else {})
                for each in self.verdicts
            ],
            "remarks": self.remarks(),
            "lost": self.plan.lost,
        }


def points(interval: Interval) -> str:
    """(-0.0005, 0.0009) as "−0.05 to 0.09"."""
    return " to ".join(f"{100 * end:.2f}" for end in interval).replace("-", "\N{MINUS SIGN}")


def signed(share: float) -> str:
    """-0.0005 as "−0.05", in points."""
    return f"{100 * share:+.2f}".replace("-", "\N{MINUS SIGN}")
