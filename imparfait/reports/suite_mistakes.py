"""What a suite's models got wrong, as images and as a table of what was taken for what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from jaxtyping import Bool, Int

from imparfait.core.types import Pixels
from imparfait.corruptions import CORRUPTIONS, CorruptionFunction
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import CorruptionSummary, SuiteResult
from imparfait.evaluation.suite import CLEAN, Condition
from imparfait.reports.figures import mistakes, rows_of_mistakes
from imparfait.reports.page import Plate

A_ROW = 6  # mistakes of one corruption
FIRST = 7  # corruptions that break it first: with the image as it is two rows of four
WON = 18  # images that one model reads and the other does not
PAIRS = 3  # of confusions that a family is said to make


@dataclass(frozen=True, eq=False)
class ImageLookup:
    """The source images, and how to make their corrupted copies again."""

    data: LabelledImages
    own: Mapping[str, CorruptionFunction]
    """Corruptions that are not of the table."""

    def can_make(self, corruption: str) -> bool:
        """Whether it is known how this corruption is made."""
        return corruption in self.own or corruption in CORRUPTIONS

    def of(self, corruption: str, severity: float, sources: Int[np.ndarray, " n"]) -> Pixels:
        """The very pixels that were scored, in the order of `sources`."""
        order = np.argsort(self.data.sources)
        rows = order[np.searchsorted(self.data.sources[order], sources)]
        alter = None if corruption == CLEAN else self.own.get(corruption) or CORRUPTIONS[corruption]
        return Condition(corruption, severity, "", alter).of(self.data.select(rows)).data.pixels

    def each_of(self, places: Sequence[tuple[str, float, int]]) -> Pixels:
        """An image for each (corruption, severity, source); those of one level are made together."""
        made: dict[int, np.ndarray] = {}
        for level in {place[:2] for place in places}:
            expected = [index for index, place in enumerate(places) if place[:2] == level]
            made |= zip(expected, self.of(*level, np.array([places[index][2] for index in expected])), strict=True)
        return np.stack([made[index] for index in range(len(places))])


def broken(suite: SuiteResult, rows: Sequence[CorruptionSummary], images: ImageLookup) -> Plate | None:
    """One digit under the corruptions that break the model first, at the first severity tried where they have."""
    found = [
        (row.crossing.severity, row)
        for row in rows
        if row.crossing.severity and len(row.severities) > 1 and images.can_make(row.corruption)
    ]
    first = [
        (next((level for level in row.severities if level >= severity), row.severities[-1]), row)
        for severity, row in sorted(found, key=lambda each: each[0])[:FIRST]
    ]
    if not first:
        return None
    # A digit for whom it is so: right as it is and at each level before, wrong from there on.
    fits = 100.0 * (suite.clean.said == suite.clean.truths)
    for severity, row in first:
        for level in row.severities:
            part = suite.parts[row.corruption, level]
            fits = fits + ((part.said == part.truths) == (level < severity)) / len(row.severities)
    source = int(suite.clean.sources[fits.argmax()])
    places = [(CLEAN, 0.0, source), *((row.corruption, severity, source) for severity, row in first)]
    captions = ["as it is", *(f"{row.name}\n{severity:g}" for severity, row in first)]
    pixels = images.each_of(places)
    return Plate(
        "where_it_breaks",
        "Where it breaks",
        "One digit that it reads as it is, under the corruptions that break it first, at the first severity tried "
        "where fewer than 95 % are read.",
        lambda theme: mistakes(pixels, captions, theme, columns=min(4, len(captions))),
        square=True,
        section="top",
    )


def worst_mistakes(suite: SuiteResult, rows: Sequence[CorruptionSummary], images: ImageLookup) -> list[Plate]:
    """A plate a family: the surest wrong answers of each corruption, no source twice."""
    families: dict[str, dict[str, tuple[Pixels, list[str]]]] = {}
    classes = suite.scores.classes
    for row in rows:
        if images.can_make(row.corruption):
            worst = _surest_wrong(suite, row)
            if worst:
                pixels = images.each_of([(row.corruption, severity, source) for severity, source, _, _ in worst])
                captions = [f"{classes[truth]} → {classes[said]}\n{level:g}" for level, _, truth, said in worst]
                families.setdefault(row.family, {})[row.name] = (pixels, captions)
    return [
        Plate(
            f"mistakes_{family}",
            family,
            "",
            lambda theme, shown=shown: rows_of_mistakes(shown, A_ROW, theme),  # type: ignore[misc]
            square=True,
            section="mistakes",
        )
        for family, shown in families.items()
    ]


def _surest_wrong(suite: SuiteResult, row: CorruptionSummary) -> list[tuple[float, int, int, int]]:
    """(severity, source, truth, answer) of the surest wrong answers."""
    found = []
    for severity in row.severities:
        part = suite.parts[row.corruption, severity]
        wrong = np.flatnonzero(part.said != part.truths)
        sure = part.probabilities[wrong].max(1)
        for place in np.argsort(-sure, kind="stable")[: 5 * A_ROW]:  # more than are shown: a source may come again
            index = wrong[place]
            about = (severity, int(part.sources[index]), int(part.truths[index]), int(part.said[index]))
            found.append((float(sure[place]), about))
    by_source: dict[int, tuple[float, int, int, int]] = {}
    for _, about in sorted(found, key=lambda each: -each[0]):
        by_source.setdefault(about[1], about)
    return list(by_source.values())[:A_ROW]


@dataclass(frozen=True)
class Confusion:
    """One class taken for another."""

    truth: str
    said: str
    share: float
    """Of all wrong answers of the family."""
    mostly: str
    """The corruption under which it happened most."""


def confusions(suite: SuiteResult, rows: Sequence[CorruptionSummary]) -> list[tuple[str, int, int, list[Confusion]]]:
    """For each family: wrong answers, of how many, and what was taken for what most often."""
    families: dict[str, dict[str, np.ndarray]] = {}
    for row in rows:
        counts = np.sum([suite.parts[row.corruption, severity].confusion() for severity in row.severities], 0)
        families.setdefault(row.family, {})[row.name] = counts
    found = []
    classes = suite.scores.classes
    for family, each in families.items():
        total = np.sum(list(each.values()), 0)
        wrong = total - np.diag(total.diagonal())
        pairs = []
        for place in np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]:
            truth, said = divmod(int(place), len(classes))
            if wrong[truth, said]:
                mostly = max(each, key=lambda name, at=(truth, said): int(each[name][at]))  # type: ignore[misc]
                pairs.append(Confusion(classes[truth], classes[said], wrong[truth, said] / wrong.sum(), mostly))
        found.append((family, int(wrong.sum()), int(total.sum()), pairs))
    return found


def won_and_lost(models: Sequence[ModelGroup], images: ImageLookup) -> list[Plate]:
    """Images that the first model reads with every seed and the next ones with none, and the other way round."""
    plates = []
    for number, other in enumerate(models[1:3]):
        for way, (one, two) in enumerate(((models[0], other), (other, models[0]))):
            places, captions = _read_by_one(one, two, images)
            if places:
                pixels = images.each_of(places)
                plates.append(
                    Plate(
                        f"read_by_one_{number}_{way}",
                        f"Read by {one.name}, not by {two.name}",
                        f"{one.name} reads these with every seed, {two.name} with none: the true class, and what "
                        f"{two.name} says.",
                        lambda theme, pixels=pixels, captions=captions: mistakes(  # type: ignore[misc]
                            pixels, captions, theme, columns=6
                        ),
                        section="won",
                    )
                )
    return plates


def _read_by_one(
    one: ModelGroup, two: ModelGroup, images: ImageLookup
) -> tuple[list[tuple[str, float, int]], list[str]]:
    """Places and captions: by turns from the corruptions that part the two most, mildest first, no source twice."""
    mine, theirs = one.seeds[0], two.seeds[0]
    names = mine.scores.classes
    by_corruption = []
    for row in mine.rows:
        found = []
        for level in row.severities:
            if (row.corruption, level) in theirs.parts and images.can_make(row.corruption):
                part = theirs.parts[row.corruption, level]
                only = _correct(one, row.corruption, level).all(0) & ~_correct(two, row.corruption, level).any(0)
                for index in np.flatnonzero(only):
                    caption = f"{names[part.truths[index]]} → {names[part.said[index]]}\n{row.name} {level:g}"
                    found.append(((row.corruption, level, int(part.sources[index])), caption))
        by_corruption.append(found)
    by_corruption.sort(key=len, reverse=True)
    turns: dict[int, tuple[tuple[str, float, int], str]] = {}
    for each in chain.from_iterable(zip_longest(*by_corruption)):
        if each:
            turns.setdefault(each[0][2], each)
    chosen = list(turns.values())[:WON]
    return [place for place, _ in chosen], [caption for _, caption in chosen]


def _correct(model: ModelGroup, corruption: str, severity: float) -> Bool[np.ndarray, "seeds sources"]:
    parts = [suite.parts[corruption, severity] for suite in model.seeds]
    return np.stack([part.said == part.truths for part in parts])
