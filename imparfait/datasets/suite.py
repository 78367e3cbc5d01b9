"""What a classifier is scored on: alterations, each at its severities, made one after the other when asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imparfait.alterations import ALTERATIONS, Alteration, Listed
from imparfait.alterations.table import LEVELS
from imparfait.datasets.altered import THE_THREE, altered_by
from imparfait.datasets.labelled import AlteredImages, LabelledImages
from imparfait.errors import UserError, lookup

CLEAN = "clean"
YOURS = "yours"
"""The family of a user's own alterations."""


@dataclass(frozen=True)
class Part:
    """One alteration at one severity; clean where there is none."""

    alteration: str
    severity: float
    family: str = CLEAN
    alter: Alteration | None = None

    def of(self, data: LabelledImages) -> AlteredImages:
        """`data` altered so: the same pixels for everybody."""
        pictures = altered_by(data, self.alteration, self.alter, self.severity) if self.alter else data
        return AlteredImages(self.alteration, self.severity, pictures)


def the_full_suite(alterations: Iterable[str | Alteration] = tuple(ALTERATIONS)) -> list[Part]:
    """Clean, then each alteration at its levels, at MNIST-C's and at the protocol's severity.

    `alterations` are names of ALTERATIONS or functions of one's own: `[*ALTERATIONS, mine]`.
    """
    parts = [Part(CLEAN, 0.0)]
    for alteration in alterations:
        name, known = _listed(alteration)
        named = [level for level in (known.mnist_c, known.protocol) if level is not None]
        levels = known.levels if len(known.levels) == 1 else sorted({*known.levels, *named})
        parts += [Part(name, level, known.family or YOURS, known.alter) for level in levels]
    if len({(part.alteration, part.severity) for part in parts}) < len(parts):
        raise UserError("two alterations of the suite have the same name; give your function another")
    return parts


def the_parts_of(levels: Iterable[tuple[str, float]] = THE_THREE) -> list[Part]:
    """Parts named by alteration and severity."""
    parts = []
    for name, severity in levels:
        if name == CLEAN:
            parts.append(Part(CLEAN, 0.0))
        else:
            known = lookup("alteration", name, ALTERATIONS)
            parts.append(Part(name, severity, known.family or YOURS, known.alter))
    return parts


def shown(data: LabelledImages, parts: Iterable[Part]) -> Iterator[AlteredImages]:
    """The parts of `data`, each made when it is its turn: the whole suite would take a gigabyte."""
    return (part.of(data) for part in parts)


def _listed(alteration: str | Alteration) -> tuple[str, Listed]:
    if isinstance(alteration, str):
        return alteration, lookup("alteration", alteration, ALTERATIONS)
    name = getattr(alteration, "__name__", "yours")
    for known, listed in ALTERATIONS.items():
        if alteration is listed or alteration is listed.alter:
            return known, listed
    if name in (CLEAN, *ALTERATIONS):  # it would pass for that one, with its family and what is published of it
        raise UserError(f"your alteration has the name of another, {name}; give your function one of its own")
    return name, Listed(alteration, None, levels=LEVELS)
