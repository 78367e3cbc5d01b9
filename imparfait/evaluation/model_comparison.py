"""Several models over one suite: runs that differ only in their seed are one model, and each pair gets one verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.statistics import Discordance, Interval, holm, mcnemar


@dataclass(frozen=True, eq=False)
class ModelGroup:
    """Runs of one recipe: the suite of each seed, over the same images."""

    name: str
    seeds: tuple[SuiteResult, ...]

    @property
    def means(self) -> list[float]:
        """The suite's mean, seed by seed."""
        return [suite.mean for suite in self.seeds]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.means))

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds; None of one seed."""
        return float(np.std(self.means, ddof=1)) if len(self.seeds) > 1 else None

    def by_source(self, corruption: str | None = None) -> Float[np.ndarray, " sources"]:
        """For each source image the share of its copies read correctly, in the mean over seeds."""
        return np.asarray(np.mean([suite.by_source(corruption) for suite in self.seeds], 0))


@dataclass(frozen=True)
class Difference:
    """By how much the first model is ahead of the second on the same images, and what can be said of it."""

    mean: float
    error: float
    """Its standard error: over source images, and over seeds where there are several."""
    freedom: float

    @property
    def p(self) -> float:
        """How probable so large a difference, one way or the other, is where there is none."""
        return float(2 * stdtr(self.freedom, -abs(self.mean) / self.error)) if self.error > 0 else 1.0

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        half = float(-stdtrit(self.freedom, 0.025) * self.error)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Verdict:
    """A pair: the one primary comparison, adjusted over the pairs, and the corruptions, adjusted within the pair."""

    first: str
    second: str
    difference: Difference
    p: float
    """Holm's, over all pairs."""
    corruptions: Mapping[str, tuple[Difference, float]]
    """By corruption: the difference, and Holm's p over this pair's corruptions. Severities are not tested."""
    single: tuple[str, ...]
    """Those of the two that are one network: of these the verdict says nothing of their recipes."""

    @property
    def sentence(self) -> str:
        """The verdict in words, in points."""
        low, high = (100 * end for end in self.difference.interval)
        points = 100 * self.difference.mean
        if self.p < 0.05:
            better, worse = (self.first, self.second) if points > 0 else (self.second, self.first)
            ends = sorted((abs(low), abs(high)))
            said = f"{better} is better than {worse} by {abs(points):.2f} points (95 %: {ends[0]:.2f} to {ends[1]:.2f})"
        else:
            said = (
                f"{self.first} and {self.second}: no difference shown, {points:+.2f} points "
                f"(95 %: {low:+.2f} to {high:+.2f})"
            )
        if len(self.single) == 2:
            return f"{said}; one network each, so this is not about their recipes"
        return f"{said}; one network of {self.single[0]}, so this is not about its recipe" if self.single else said


def verdicts(models: Sequence[ModelGroup]) -> list[Verdict]:
    """One verdict a pair of models, on the mean of the suite; Holm over the pairs."""
    pairs = list(combinations(models, 2))
    primary = [difference(a, b) for a, b in pairs]
    adjusted = holm([each.p for each in primary])
    found = []
    for (a, b), each, p in zip(pairs, primary, adjusted, strict=True):
        shared = [name for name in a.seeds[0].levels if name in b.seeds[0].levels]
        single = [difference(a, b, name) for name in shared]
        within = dict(zip(shared, zip(single, holm([d.p for d in single]), strict=True), strict=True))
        alone = tuple(model.name for model in (a, b) if len(model.seeds) == 1)
        found.append(Verdict(a.name, b.name, each, p, within, alone))
    return found


def difference(a: ModelGroup, b: ModelGroup, corruption: str | None = None) -> Difference:
    """The paired difference of two models on the suite's mean, or on one corruption's mean over its levels.

    Two sources of chance are added: which images were tried (paired, source by source), and which seeds (Welch's,
    where a model has several; the freedom is Satterthwaite's). Seeds also carry some of the first, so the error is
    rather too large than too small.
    """
    ahead = a.by_source(corruption) - b.by_source(corruption)
    terms = [(float(ahead.var(ddof=1)) / len(ahead), len(ahead) - 1)]
    for model in (a, b):
        if len(model.seeds) > 1:
            each = [float(suite.by_source(corruption).mean()) for suite in model.seeds]
            terms.append((float(np.var(each, ddof=1)) / len(each), len(each) - 1))
    variance = sum(term for term, _ in terms)
    freedom = variance**2 / sum(term**2 / n for term, n in terms) if variance > 0 else 1.0
    return Difference(float(ahead.mean()), variance**0.5, freedom)


def discordance(a: SuiteResult, b: SuiteResult, corruption: str, severity: float) -> Discordance:
    """McNemar's exact test of two single models on one corruption at one severity, a row an image."""
    first, second = (suite.parts[corruption, severity] for suite in (a, b))
    return mcnemar(first.said == first.truths, second.said == second.truths)


def grouped(suites: Mapping[str, SuiteResult], recipe_of: Callable[[str], str]) -> list[ModelGroup]:
    """Models from runs: those of one recipe (whatever the seed) are one; each is called by its first run."""
    found: dict[str, list[str]] = {}
    for name in suites:
        found.setdefault(recipe_of(name), []).append(name)
    return [ModelGroup(names[0], tuple(suites[name] for name in names)) for names in found.values()]
