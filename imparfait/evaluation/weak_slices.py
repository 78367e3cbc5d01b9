"""Weak slices: parts of the images, such as the darkest quarter, on which a classifier is clearly less accurate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int
from pydantic import BaseModel, ValidationError
from scipy.special import stdtr, stdtrit

from imparfait.core.errors import UserError
from imparfait.core.storage import read_regular, write_json
from imparfait.core.types import Groups, Labels
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.image_properties import PROPERTIES, image_property
from imparfait.evaluation.intervals import Interval, group_error, wilson_interval
from imparfait.evaluation.scores import ConditionResult
from imparfait.evaluation.statistics import SIGNIFICANCE_LEVEL, holm, log_choose

FILE = "weak_slices.json"
MAX_BYTES = 1 << 20
SHARES = (0.1, 0.25)  # of the images, at both ends of a property
MAX_SHARE = 0.4  # of a slice, where many images have the same value
MIN_IMAGES = 20  # in a slice, and outside
MIN_DIFFERENCE = 0.02  # of accuracy, below which a difference is not worth a sentence
MOST = 2  # slices that are named
GROUP = "group"

Side = Literal["low", "high", ""]
Rows = Bool[np.ndarray, " n"]


class WeakSlice(BaseModel, frozen=True, extra="forbid"):
    """Images on which a classifier is less accurate than on the others, classes being equal."""

    property: str
    """One of PROPERTIES, or "group"."""
    side: Side
    """Which end of the property; empty for a group."""
    limit: float
    """Images of the slice have at most, or at least, this value; for a group its number."""
    images: int
    correct: int
    other_images: int
    other_correct: int
    difference: Interval
    """How much less the accuracy is than of other images: an interval at 95 %, for all tested slices together."""
    p: float
    """Holm's, over all tested slices."""
    tested: int
    training_images: int
    """How many images that were trained on are like these."""
    all_training_images: int
    source: int
    """The source id of one of the images, a wrongly predicted one."""


class WeakSlices(BaseModel, frozen=True, extra="forbid"):
    """The content of weak_slices.json."""

    slices: tuple[WeakSlice, ...]


@dataclass(frozen=True, eq=False)
class _Slice:
    property: str
    side: Side
    limit: float
    rows: Rows


def weak_slices(result: ConditionResult, images: LabelledImages, trained_on: LabelledImages) -> list[WeakSlice]:
    """The slices of `images`, of which `result` is, with clearly lower accuracy; the clearest first, at most MOST.

    Tested are the lowest and highest tenth and quarter of each property, and each group. The test is exact: within a
    class, the wrong predictions are a random sample of the images, whatever the slice. So a hard class makes no slice.
    With groups a t test over groups has to agree. The second slice is tested on the images outside the first.
    """
    wrong = ~result.correct
    slices = list(_slices(images))
    left, found = np.ones(len(images), bool), list[WeakSlice]()
    while slices and len(found) < MOST:
        groups = None if images.groups is None else images.groups[left]
        labels = images.labels[left]
        tests = [_Test(wrong[left], one.rows[left], labels, groups, one.property) for one in slices]
        adjusted = holm([test.p for test in tests])
        order = [at for at in np.argsort(adjusted, kind="stable") if adjusted[at] <= SIGNIFICANCE_LEVEL]
        clear = ((at, interval) for at in order if (interval := tests[at].interval(len(slices)))[0] > 0)
        at, interval = next(((at, interval) for at, interval in clear if tests[at].is_large), (None, (0.0, 0.0)))
        if at is None:
            break
        one, test = slices[at], tests[at]
        source = images.sources[np.flatnonzero(left & one.rows & wrong)[0]]
        found.append(
            WeakSlice(
                property=one.property,
                side=one.side,
                limit=one.limit,
                images=test.images,
                correct=test.images - test.wrong,
                other_images=test.other_images,
                other_correct=test.other_images - test.other_wrong,
                difference=interval,
                p=adjusted[at],
                tested=len(slices),
                training_images=_like(one, trained_on),
                all_training_images=len(trained_on),
                source=int(source),
            )
        )
        left &= ~one.rows
    return found


def write_weak_slices(folder: Path, slices: Sequence[WeakSlice]) -> None:
    """Write weak_slices.json into the folder of a run."""
    write_json(folder / FILE, WeakSlices(slices=tuple(slices)).model_dump())


def read_weak_slices(folder: Path) -> list[WeakSlice]:
    """The weak slices in the folder of a run; none where it has no such file. Raises UserError for a broken one."""
    path = folder / FILE
    if not path.exists():
        return []
    try:
        return list(WeakSlices.model_validate_json(read_regular(path, MAX_BYTES)).slices)
    except ValidationError as error:
        raise UserError(f"{path}: is not what a training wrote", hint="delete it") from error


def _slices(images: LabelledImages) -> Iterator[_Slice]:
    n, seen = len(images), set[bytes]()
    for name in PROPERTIES:
        values = image_property(images.pixels, name)
        for share in SHARES:
            low = float(np.quantile(values, share, method="lower"))
            high = float(np.quantile(values, 1 - share, method="higher"))
            for side, limit, rows in (("low", low, values <= low), ("high", high, values >= high)):
                if MIN_IMAGES <= rows.sum() <= min(MAX_SHARE * n, n - MIN_IMAGES) and rows.tobytes() not in seen:
                    seen.add(rows.tobytes())
                    yield _Slice(name, "low" if side == "low" else "high", limit, rows)
    for group in np.unique(images.groups) if images.groups is not None else ():
        rows = images.groups == group
        if MIN_IMAGES <= rows.sum() <= n - MIN_IMAGES:
            yield _Slice(GROUP, "", float(group), rows)


class _Test:
    """The counts inside and outside a slice, and the p value of more errors inside."""

    def __init__(self, wrong: Rows, inside: Rows, labels: Labels, groups: Groups | None, what: str):
        self.images, self.other_images = int(inside.sum()), int((~inside).sum())
        self.wrong, self.other_wrong = int((wrong & inside).sum()), int((wrong & ~inside).sum())
        self.p, self.error, self.freedom = 1.0, 0.0, 1.0
        if min(self.images, self.other_images) < MIN_IMAGES:
            return
        self.p = stratified_p(wrong, inside, labels)
        if what != GROUP and groups is not None and len(np.unique(groups)) > 1:
            # The difference as a mean of one number per image, which is 0 in the mean: its error is that over groups.
            own = (wrong - self.wrong / self.images) / inside.mean()
            other = (wrong - self.other_wrong / self.other_images) / (~inside).mean()
            self.error, self.freedom = group_error(np.where(inside, own, -other), groups)
        if self.error > 0:
            self.p = max(self.p, float(stdtr(self.freedom, -self.difference / self.error)))

    @property
    def difference(self) -> float:
        """How much less accurate it is inside than outside."""
        return self.wrong / self.images - self.other_wrong / self.other_images

    @property
    def is_large(self) -> bool:
        """Whether the difference is worth a sentence."""
        return self.difference >= MIN_DIFFERENCE

    def interval(self, tested: int) -> Interval:
        """The interval of the difference, for `tested` slices together: Newcombe's, or over groups.

        Source: the hybrid score interval, method 10 of Newcombe (Statistics in Medicine 17, 1998).
        """
        level = 1 - SIGNIFICANCE_LEVEL / tested
        if self.error > 0:
            half = -float(stdtrit(self.freedom, (1 - level) / 2)) * self.error
            return self.difference - half, self.difference + half
        own, other = self.wrong / self.images, self.other_wrong / self.other_images
        own_low, own_high = wilson_interval(self.wrong, self.images, level)
        low, high = wilson_interval(self.other_wrong, self.other_images, level)
        down, up = np.hypot(own - own_low, high - other), np.hypot(own_high - own, other - low)
        return self.difference - float(down), self.difference + float(up)


def stratified_p(wrong: Rows, inside: Rows, classes: Int[np.ndarray, " n"]) -> float:
    """The chance of as many wrong images inside, or more, if within each class they were a random sample.

    Exact: the sum of one hypergeometric count per class.
    """
    distribution, surely = np.ones(1), 0
    for label in np.unique(classes):
        own = classes == label
        total, bad, drawn = int(own.sum()), int((own & wrong).sum()), int((own & inside).sum())
        least, most = max(0, drawn + bad - total), min(drawn, bad)
        surely += least
        if most > least:
            counts = np.arange(least, most + 1)
            log = log_choose(bad, counts) + log_choose(total - bad, drawn - counts) - log_choose(total, drawn)
            distribution = np.convolve(distribution, np.exp(log))
    return float(min(1.0, distribution[int((wrong & inside).sum()) - surely :].sum()))


def _like(one: _Slice, trained_on: LabelledImages) -> int:
    if one.property == GROUP:
        return int((trained_on.groups == one.limit).sum()) if trained_on.groups is not None else 0
    values = image_property(trained_on.pixels, one.property)
    return int((values <= one.limit).sum() if one.side == "low" else (values >= one.limit).sum())
