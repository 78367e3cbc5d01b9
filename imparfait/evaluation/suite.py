"""What a classifier is scored on: corruptions, each at its severities, made one after the other when asked for."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from imparfait.core.errors import UserError, lookup
from imparfait.corruptions import CORRUPTIONS, Corruption, CorruptionFunction
from imparfait.corruptions.base import LEVELS
from imparfait.data.corrupted import CORE_SUITE, corrupt_with
from imparfait.data.dataset import ConditionImages, LabelledImages

CLEAN = "clean"
YOURS = "yours"
"""The family of a user's own corruptions."""


@dataclass(frozen=True)
class Condition:
    """One corruption at one severity; clean where there is none."""

    corruption: str
    severity: float
    family: str = CLEAN
    alter: CorruptionFunction | None = None

    def of(self, data: LabelledImages) -> ConditionImages:
        """`data` corrupted so: the same pixels for everybody."""
        images = corrupt_with(data, self.corruption, self.alter, self.severity) if self.alter else data
        return ConditionImages(self.corruption, self.severity, images)


def full_suite(corruptions: Iterable[str | CorruptionFunction] = tuple(CORRUPTIONS)) -> list[Condition]:
    """Clean, then each corruption at its levels, at MNIST-C's and at the protocol's severity.

    `corruptions` are names of ALTERATIONS or functions of one's own: `[*CORRUPTIONS, mine]`.
    """
    parts = [Condition(CLEAN, 0.0)]
    for corruption in corruptions:
        name, known = _listed(corruption)
        named = [level for level in (known.mnist_c, known.protocol) if level is not None]
        levels = known.levels if len(known.levels) == 1 else sorted({*known.levels, *named})
        parts += [Condition(name, level, known.family or YOURS, known.alter) for level in levels]
    if len({(part.corruption, part.severity) for part in parts}) < len(parts):
        raise UserError("two corruptions of the suite have the same name; give your function another")
    return parts


def conditions_from(levels: Iterable[tuple[str, float]] = CORE_SUITE) -> list[Condition]:
    """Parts named by corruption and severity."""
    parts = []
    for name, severity in levels:
        if name == CLEAN:
            parts.append(Condition(CLEAN, 0.0))
        else:
            known = lookup("corruption", name, CORRUPTIONS)
            parts.append(Condition(name, severity, known.family or YOURS, known.alter))
    return parts


def shown(data: LabelledImages, parts: Iterable[Condition]) -> Iterator[ConditionImages]:
    """The parts of `data`, each made when it is its turn: the whole suite would take a gigabyte."""
    return (part.of(data) for part in parts)


def levels_of(parts: Iterable[tuple[str, float]]) -> dict[str, tuple[float, ...]]:
    """The severities of each corruption that count in means: not those where only others' parameters lie."""
    found: dict[str, list[float]] = {}
    for name, severity in parts:
        if name != CLEAN:
            found.setdefault(name, []).append(severity)
    counted = {name: CORRUPTIONS[name].levels if name in CORRUPTIONS else LEVELS for name in found}
    return {
        name: tuple(sorted(severity for severity in each if severity in counted[name]) or sorted(each))
        for name, each in found.items()
    }


def is_full(parts: Iterable[tuple[str, float]]) -> bool:
    """Whether corruptions are there at several severities; the core suite are not."""
    return any(len(levels) > 1 for levels in levels_of(parts).values())


def weights(parts: Sequence[tuple[str, float]]) -> Int64[np.ndarray, " parts"]:
    """How much each part, a corruption with its severity, counts in the headline: the one rule for it.

    Of a full suite every corruption counts alike, however many levels it has, and clean not at all; of a few parts
    (the three) each counts alike, clean among them. Whole numbers: right answers stay counts, which add up exactly.
    """
    if not is_full(parts):
        return np.ones(len(parts), np.int64)
    levels = levels_of(parts)
    whole = math.lcm(*map(len, levels.values()))
    each = [whole // len(levels[name]) if severity in levels.get(name, ()) else 0 for name, severity in parts]
    return np.array(each, np.int64)


def _listed(corruption: str | CorruptionFunction) -> tuple[str, Corruption]:
    if isinstance(corruption, str):
        return corruption, lookup("corruption", corruption, CORRUPTIONS)
    name = getattr(corruption, "__name__", "yours")
    for known, listed in CORRUPTIONS.items():
        if corruption is listed or corruption is listed.alter:
            return known, listed
    if name in (CLEAN, *CORRUPTIONS):  # it would pass for that one, with its family and what is published of it
        raise UserError(f"your corruption has the name of another, {name}; give your function one of its own")
    return name, Corruption(corruption, None, levels=LEVELS)
