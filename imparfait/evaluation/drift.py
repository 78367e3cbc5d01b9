"""Drift: what differs between earlier images of a model and later ones, beyond chance and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import chdtrc, kolmogi, kolmogorov, ndtri, stdtrit

from imparfait.core.errors import UserError
from imparfait.evaluation.image_properties import PROPERTIES
from imparfait.evaluation.intervals import group_error
from imparfait.evaluation.observations import ZOOM, Observations
from imparfait.evaluation.statistics import SIGNIFICANCE_LEVEL, holm, log_choose

CONFIDENCE, CLASSES, UNSURE = "confidence", "classes", "unsure"
LIMITS = {CLASSES: 0.1, UNSURE: 0.02}
LIMIT = 0.1
"""From these effects on a change is worth acting on: a tenth of the images has moved, or 2 points more are unsure."""
SCORE_STEP = 100  # confidences are compared in steps of 0.01: 0.9991 and 0.9999 are the same to whoever uses them
MIN_IMAGES = 20  # on each side
SMALL_COUNT = 5  # expected, below which the chi-square distribution is not that of the statistic (Cochran 1954)
TESTED_CLASSES = 20
PERMUTATIONS, DRAWN_COUNTS = (999, 9999), 2_000_000  # of counts, fewer for many classes

Values = Float64[np.ndarray, " n"]
Outcome = Literal["changed", "little", "not shown"]
"""`little`: beyond chance, but below the limit."""


@dataclass(frozen=True)
class Change:
    """The test of one property, of the confidence, the predicted classes, or the share that is unsure."""

    name: str
    before: float
    """The median; of "unsure" the share, 0..1; of "classes" NaN."""
    now: float
    effect: float
    """Of numbers the largest difference of the two distribution functions; of classes the total variation distance, the
    share of images with another class; of "unsure" the difference of the shares. All are 0..1."""
    direction: float
    """Above 0 where the values are larger now: the chance of a larger value now, minus that of a smaller one."""
    p: float
    """Holm's, over all tests."""
    outcome: Outcome
    detectable: float | None = None
    """Of numbers the effect that would have been significant at this number of images."""
    design_effect: float = 1.0
    """How many of the later images count as one, because images of one block are alike."""


@dataclass(frozen=True)
class ClassChange:
    """How often a class is predicted: shares 0..1, and p adjusted over all classes (Bonferroni).

    p is 1 for all but the TESTED_CLASSES that differ most.
    """

    name: str
    before: float
    now: float
    p: float


@dataclass(frozen=True)
class Drift:
    """All tests of one comparison, and the classes, the most changed one first."""

    changes: tuple[Change, ...]
    classes: tuple[ClassChange, ...]

    @property
    def changed(self) -> list[Change]:
        """What has changed enough to act on, the largest effect first."""
        return sorted((each for each in self.changes if each.outcome == "changed"), key=lambda each: -each.effect)


def drift(before: Observations, now: Observations, level: float = SIGNIFICANCE_LEVEL) -> Drift:
    """What differs between the images of `before` and those of `now`.

    Numbers are compared by the Kolmogorov-Smirnov test, classes by the chi-square test (by permutation where counts are
    small), the unsure share by Fisher's exact test; Holm's method keeps the chance of any false alarm at `level`. Each
    counts as many independent images as its blocks are worth: n over the design effect, whose error is allowed for.
    Raises UserError for fewer than MIN_IMAGES images on a side.
    Sources: Kish (Survey Sampling, 1965), design effect; Rao & Scott (JASA 76, 1981), chi-square over it.
    """
    for part, side in (("the reference", before), ("the log", now)):
        if len(side) < MIN_IMAGES:
            raise UserError(f"{part} has {len(side)} predicted images", expected=f"at least {MIN_IMAGES}")
    numbers = _numbers(before, now)
    has_unsure = not (before.unsure.all() and now.unsure.all())  # else it is not calibrated
    count = len(numbers) + 1 + has_unsure
    tests = [_test_number(name, *pair, level / count) for name, pair in numbers.items()]
    tests.append(_test_classes(before, now, level / count))
    if has_unsure:
        tests.append(_test_unsure(before, now, level / count))
    adjusted = holm([test.p for test in tests])
    changes = [_judged(test, p, level) for test, p in zip(tests, adjusted, strict=True)]
    return Drift(tuple(changes), _class_changes(before, now, level / count))


@dataclass(frozen=True)
class _Side:
    """Values of images, and the blocks they belong to."""

    values: np.ndarray
    blocks: Int64[np.ndarray, " n"]


def _numbers(before: Observations, now: Observations) -> dict[str, tuple[_Side, _Side]]:
    """What both have: properties that are not everywhere the same, and the confidence."""
    found = {}
    for name in (*PROPERTIES, ZOOM, CONFIDENCE):
        sides = []
        for one in (before, now):
            values = np.round(one.scores * SCORE_STEP) / SCORE_STEP if name == CONFIDENCE else one.properties.get(name)
            known = np.zeros(len(one), bool) if values is None else np.isfinite(values)
            sides.append(_Side(values[known] if values is not None else np.zeros(0), one.blocks[known]))
        enough = min(len(side.values) for side in sides) >= MIN_IMAGES
        if enough and np.ptp(np.concatenate([side.values for side in sides])) > 0:
            found[name] = (sides[0], sides[1])
    return found


def _test_number(name: str, before: _Side, now: _Side, level: float) -> Change:
    pooled = np.sort(np.concatenate([before.values, now.values]))
    at = np.unique(pooled)
    shares = [np.searchsorted(np.sort(side.values), at, "right") / len(side.values) for side in (before, now)]
    gap = float(np.abs(shares[1] - shares[0]).max())
    counted, effects, ranks = [], [], []
    for side in (before, now):
        ends = [np.searchsorted(pooled, side.values, end) for end in ("left", "right")]
        rank = (ends[0] + ends[1]) / 2 / len(pooled)
        effects.append(design_effect([rank, np.abs(rank - 0.5)], side.blocks, level))
        counted.append(len(rank) / effects[-1])
        ranks.append(float(rank.mean()))
    root = (counted[0] * counted[1] / sum(counted)) ** 0.5
    scale = root + 0.12 + 0.11 / root  # for finite samples: Stephens (JRSS B 32, 1970)
    return Change(
        name,
        before=float(np.median(before.values)),
        now=float(np.median(now.values)),
        effect=gap,
        direction=2 * (ranks[1] - ranks[0]),  # the difference of mean ranks is that of the chances, halved
        p=float(kolmogorov(gap * scale)),
        outcome="not shown",
        detectable=float(kolmogi(level) / scale),
        design_effect=effects[1],
    )


def _test_classes(before: Observations, now: Observations, level: float) -> Change:
    names, codes = np.unique(np.concatenate([before.labels, now.labels]), return_inverse=True)
    table, effects = [], []
    for one, part in ((before, codes[: len(before)]), (now, codes[len(before) :])):
        effects.append(_design_effect_of_classes(part, one.blocks, len(names), level))
        table.append(np.bincount(part, minlength=len(names)) / effects[-1])
    counts = np.array(table)
    shares = counts / counts.sum(1, keepdims=True)
    distance = float(np.abs(shares[1] - shares[0]).sum() / 2)
    return Change(CLASSES, np.nan, np.nan, distance, 0.0, homogeneity_p(counts), "not shown", None, effects[1])


def _test_unsure(before: Observations, now: Observations, level: float) -> Change:
    effects = [design_effect([side.unsure.astype(float)], side.blocks, level) for side in (before, now)]
    shares = [float(side.unsure.mean()) for side in (before, now)]
    p = _two_shares_p(shares, [len(side) / effect for side, effect in zip((before, now), effects, strict=True)])
    difference = shares[1] - shares[0]
    return Change(UNSURE, shares[0], shares[1], abs(difference), difference, p, "not shown", None, effects[1])


def _judged(test: Change, p: float, level: float) -> Change:
    is_large = test.effect >= LIMITS.get(test.name, LIMIT)
    outcome: Outcome = "not shown" if p > level else "changed" if is_large else "little"
    return Change(**{**test.__dict__, "p": p, "outcome": outcome})


def _class_changes(before: Observations, now: Observations, level: float) -> tuple[ClassChange, ...]:
    names, codes = np.unique(np.concatenate([before.labels, now.labels]), return_inverse=True)
    parts = codes[: len(before)], codes[len(before) :]
    shares = np.stack([np.bincount(part, minlength=len(names)) / len(part) for part in parts])
    changes = []
    for rank, at in enumerate(np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")):
        p = 1.0
        if rank < TESTED_CLASSES:
            counted = [
                len(part) / design_effect([(part == at).astype(float)], side.blocks, level)
                for part, side in zip(parts, (before, now), strict=True)
            ]
            p = min(1.0, len(names) * _two_shares_p(shares[:, at].tolist(), counted))
        changes.append(ClassChange(str(names[at]), float(shares[0, at]), float(shares[1, at]), p))
    return tuple(changes)


def design_effect(columns: Sequence[Values], blocks: Int64[np.ndarray, " n"], level: float) -> float:
    """The variance of a mean over blocks, as a multiple of that of independent images; the largest, and at least 1.

    It is estimated from the blocks, and too small by chance where they are few. So it is multiplied by the squared
    ratio of Student's t to the normal quantile at `level`.
    """
    n, sizes = len(blocks), np.unique(blocks, return_counts=True)[1]
    if sizes.max() == 1:
        return 1.0
    if len(sizes) == 1:
        return float(n)
    effects = [1.0]
    for values in columns:
        if np.ptp(values) > 0:
            error, freedom = group_error(values, blocks)
            effects.append(error**2 * n / float(values.var()) * _inflation(freedom, level))
    return min(float(n), max(effects))


def _inflation(freedom: float, level: float) -> float:
    return float((stdtrit(freedom, level / 2) / ndtri(level / 2)) ** 2)


def _design_effect_of_classes(
    codes: Int64[np.ndarray, " n"], blocks: Int64[np.ndarray, " n"], classes: int, level: float
) -> float:
    """The mean design effect of the classes' shares, by which Rao and Scott divide chi-square; at least 1.

    By the same jackknife over blocks as `group_error`, for all classes at once.
    """
    n = len(codes)
    _, members, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    if sizes.max() == 1:
        return 1.0
    if len(sizes) == 1:
        return float(n)
    pairs, counts = np.unique(members * classes + codes, return_counts=True)
    of_block, of_class = pairs // classes, pairs % classes
    weights = (1 / (n - sizes)) ** 2  # what leaving out a block changes in a mean is its sum over the other images
    shares = np.bincount(codes, minlength=classes) / n
    own = np.bincount(of_class, counts**2 * weights[of_block], classes)
    crossed = np.bincount(of_class, counts * sizes[of_block] * weights[of_block], classes)
    variances = (own - 2 * shares * crossed + shares**2 * float((sizes**2 * weights).sum())) * (1 - 1 / len(sizes))
    seen = shares > 0
    if seen.sum() < 2:
        return 1.0
    freedom = max(1.0, n**2 / float((sizes.astype(float) ** 2).sum()) - 1)
    mean = n * float((variances[seen] / shares[seen]).sum()) / (seen.sum() - 1)
    return float(min(n, max(1.0, mean * _inflation(freedom, level))))


def homogeneity_p(counts: Float64[np.ndarray, "2 classes"]) -> float:
    """The p value of equal class shares in both rows; counts may have been divided by a design effect.

    Pearson's chi-square, and where an expected count is small, by permutation of the images (rounded counts).
    """
    total = counts.sum(0)
    kept, total = counts[:, total > 0], total[total > 0]
    if kept.shape[1] < 2:
        return 1.0
    if float((kept.sum(1)[:, None] * total / total.sum()).min()) >= SMALL_COUNT:
        return float(chdtrc(len(total) - 1, _chi_square(kept[None])[0]))
    rows = np.rint(kept.sum(1)).astype(int).clip(1)
    colours = _rounded(total, int(rows.sum()))
    statistic, random = _chi_square(kept[None])[0], np.random.default_rng(0)
    repeats = int(np.clip(DRAWN_COUNTS // len(total), *PERMUTATIONS))
    second = random.multivariate_hypergeometric(colours, int(rows[1]), repeats, method="marginals")
    drawn = np.stack([colours - second, second], 1).astype(float)
    return float((1 + float((_chi_square(drawn) >= statistic * (1 - 1e-9)).sum())) / (1 + repeats))


def _chi_square(counts: np.ndarray) -> Values:
    """Pearson's statistic of each of the tables [n, 2, classes]."""
    expected = counts.sum(2, keepdims=True) * counts.sum(1, keepdims=True) / counts.sum((1, 2), keepdims=True)
    parts = np.divide((counts - expected) ** 2, expected, where=expected > 0, out=np.zeros_like(expected))
    found: Values = parts.sum((1, 2))
    return found


def _rounded(amounts: Values, total: int) -> Int64[np.ndarray, " classes"]:
    """Whole numbers of this sum that are nearest to the amounts (largest remainders)."""
    amounts = amounts * total / amounts.sum()
    whole: Int64[np.ndarray, " classes"] = np.floor(amounts).astype(np.int64)
    whole[np.argsort(whole - amounts, kind="stable")[: total - int(whole.sum())]] += 1
    return whole


def _two_shares_p(shares: Sequence[float], sizes: Sequence[float]) -> float:
    """Fisher's exact two-sided p value, of counts that were divided by their design effects and rounded."""
    first, second = (max(1, round(size)) for size in sizes)
    hits = [round(share * total) for share, total in zip(shares, (first, second), strict=True)]
    both = sum(hits)
    possible = np.arange(max(0, both - second), min(first, both) + 1)
    log = log_choose(first, possible) + log_choose(second, both - possible) - log_choose(first + second, both)
    chances = np.exp(log)
    return float(min(1.0, chances[chances <= chances[hits[0] - possible[0]] * (1 + 1e-7)].sum()))
