"""Evaluation suites: lists of conditions, each a corruption at one severity, applied when their turn comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from imparfait.core.errors import UserError, lookup
from imparfait.corruptions import (
    ALL_CORRUPTIONS,
    CORRUPTIONS,
    PHOTO,
    PHOTO_CORRUPTIONS,
    Corruption,
    CorruptionFunction,
    corruption_named,
)
from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.data.corrupted import CORE_SUITE, corrupt_with
from imparfait.data.dataset import ConditionImages, LabelledImages

CLEAN = "clean"
CUSTOM = "custom"
"""The family of a user's own corruptions."""


@dataclass(frozen=True)
class Condition:
    """One corruption at one severity; clean where there is no function."""

    corruption: str
    severity: float
    family: str = CLEAN
    function: CorruptionFunction | None = None

    def apply(self, data: LabelledImages) -> ConditionImages:
        """`data` under this condition: the same pixels for everyone."""
        images = corrupt_with(data, self.corruption, self.function, self.severity) if self.function else data
        return ConditionImages(self.corruption, self.severity, images)


def full_suite(corruptions: Iterable[str | CorruptionFunction] = tuple(CORRUPTIONS)) -> list[Condition]:
    """Clean, then each corruption at its levels, at MNIST-C's severity and at the core suite's.

    `corruptions` are names of CORRUPTIONS, such as "fog", or of PHOTO_CORRUPTIONS, such as "photo.fog", or functions of
    your own: `[*CORRUPTIONS, mine]`. By default the digits suite.

    >>> [(each.corruption, each.severity) for each in imparfait.full_suite(["invert", "rotate"])][:3]
    [('clean', 0.0), ('invert', 1.0), ('rotate', 0.2)]
    """
    conditions = [Condition(CLEAN, 0.0)]
    for corruption in corruptions:
        name, known = _resolve(corruption)
        published = [level for level in (known.mnist_c, known.protocol) if level is not None]
        levels = known.levels if len(known.levels) == 1 else sorted({*known.levels, *published})
        conditions += [Condition(name, level, known.family or CUSTOM, known.function) for level in levels]
    if len({(condition.corruption, condition.severity) for condition in conditions}) < len(conditions):
        raise UserError("two corruptions of the suite have the same name", hint="rename your function")
    return conditions


def conditions_from(levels: Iterable[tuple[str, float]] = CORE_SUITE) -> list[Condition]:
    """Conditions from names and severities; the core suite by default."""
    conditions = []
    for name, severity in levels:
        if name == CLEAN:
            conditions.append(Condition(CLEAN, 0.0))
        else:
            known = corruption_named(name)
            conditions.append(Condition(name, severity, known.family or CUSTOM, known.function))
    return conditions


SUITES: dict[str, Callable[[], list[Condition]]] = {
    "core": conditions_from,
    "digits": full_suite,
    "photo": lambda: full_suite(PHOTO_CORRUPTIONS),
}
SAMPLES = {"photo": 4000}
"""The images that an evaluation on a suite uses, where there are more and it is not said how many.

With 4,000 the 95 % interval of the mean is ±1.10 points at a spread of 0.356 over images, as measured, and at most
±1.55. Source: `digits` on 458 crops of meters, suite mean 72.7 %, 29 November 2026."""
RENAMED = {"full": "digits"}
"""Suites of earlier versions, and their names today."""


def suite_named(suite: str | Iterable[str | CorruptionFunction]) -> list[Condition]:
    """The conditions of "core", "digits" or "photo", or of a list of corruptions, each at all its severities."""
    if not isinstance(suite, str):
        return full_suite(suite)
    refuse_renamed(suite)
    return lookup("suite", suite, SUITES)()


def default_suite(data: LabelledImages) -> str:
    """The suite for these images when none is given: "core" for digits, "photo" for all others."""
    return "core" if data.is_of_digits else "photo"


def conditions_for(suite: str | Iterable[str | CorruptionFunction], data: LabelledImages) -> list[Condition]:
    """The conditions of a suite that change such images: without those of colour for grey ones."""
    idle = {name for name, known in ALL_CORRUPTIONS.items() if known.only_colour and data.channels == 1}
    return [condition for condition in suite_named(suite) if condition.corruption not in idle]


def is_published(condition: Condition) -> bool:
    """Whether its name and severity say all of it; a user's own function may be another one tomorrow."""
    known = ALL_CORRUPTIONS.get(condition.corruption)
    return condition.function is None or (known is not None and known.function is condition.function)


def refuse_renamed(suite: str) -> None:
    """Raise UserError for the name of an earlier suite, with today's."""
    if suite in RENAMED:
        raise UserError(f"the suite {suite} is now {RENAMED[suite]}", hint=f"write {RENAMED[suite]}, or photo")


def is_of_photos(conditions: Iterable[tuple[str, float]]) -> bool:
    """Whether the conditions, (corruption, severity), are those of photographs."""
    return any(name.startswith(PHOTO) for name, _ in conditions)


def apply_conditions(data: LabelledImages, conditions: Iterable[Condition]) -> Iterator[ConditionImages]:
    """`data` under each condition in turn: the whole suite at once would take a gigabyte."""
    return (condition.apply(data) for condition in conditions)


def levels_of(conditions: Iterable[tuple[str, float]]) -> dict[str, tuple[float, ...]]:
    """The severities of each corruption that count in means: its levels, or those that there are of a part or a scale.

    A severity that a suite adds for MNIST-C's parameters only does not count.
    """
    severities: dict[str, set[float]] = {}
    for name, severity in conditions:
        if name != CLEAN:
            severities.setdefault(name, set()).add(severity)
    known = ALL_CORRUPTIONS
    counted: dict[str, tuple[float, ...]] = {}
    for name, own in severities.items():
        levels, added = (known[name].levels, known[name].mnist_c) if name in known else (SEVERITY_LEVELS, None)
        others = own - {added}
        # Among severities of another scale it is one of them, although it has MNIST-C's number.
        is_added = added not in levels and bool(others) and others <= set(levels)
        counted[name] = levels if set(levels) <= own else tuple(sorted(others if is_added else own))
    return counted


def is_full(conditions: Iterable[tuple[str, float]]) -> bool:
    """Whether any corruption has several severities; in the core suite none has."""
    return any(len(levels) > 1 for levels in levels_of(conditions).values())


def weights(conditions: Sequence[tuple[str, float]]) -> Int64[np.ndarray, " conditions"]:
    """The weight of each condition, (corruption, severity), in the headline mean: the one rule for it.

    In a full suite every corruption weighs the same, however many levels it has, and clean weighs nothing. In a short
    suite, such as the core suite, every condition weighs the same, clean included. Whole numbers, so that counts of
    correct predictions add up exactly.
    """
    if not is_full(conditions):
        return np.ones(len(conditions), np.int64)
    levels = levels_of(conditions)
    total = math.lcm(*map(len, levels.values()))
    shares = [total // len(levels[name]) if severity in levels.get(name, ()) else 0 for name, severity in conditions]
    return np.array(shares, np.int64)


def _resolve(corruption: str | CorruptionFunction) -> tuple[str, Corruption]:
    if isinstance(corruption, str):
        return corruption, corruption_named(corruption)
    function = corruption.function if isinstance(corruption, Corruption) else corruption
    name = getattr(function, "__name__", CUSTOM)
    for known, entry in ALL_CORRUPTIONS.items():
        if corruption is entry or corruption is entry.function:
            return known, entry
    if name in (CLEAN, *CORRUPTIONS):  # it would pass for that one, with its family and published severities
        raise UserError(f"your corruption is called {name}, as one of the package", hint="rename your function")
    return name, corruption if isinstance(corruption, Corruption) else Corruption(corruption, None)
