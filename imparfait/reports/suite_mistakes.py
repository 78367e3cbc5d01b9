"""The mistakes of a suite's models: images, and a table of confusions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from jaxtyping import Bool, Int

from imparfait.core.types import Pixels
from imparfait.corruptions import ALL_CORRUPTIONS, CorruptionFunction
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import CorruptionSummary, SuiteResult
from imparfait.evaluation.suite import CLEAN, Condition
from imparfait.reports.figures.drawing import shown_name
from imparfait.reports.figures.fonts import shown_classes
from imparfait.reports.figures.runs import mistakes
from imparfait.reports.figures.suites import rows_of_mistakes
from imparfait.reports.page import PageFigure
from imparfait.reports.text import corruption_label, crossing_level, severity_number

MISTAKES_PER_CORRUPTION = 6
BREAKING_CORRUPTIONS = 7  # shown of one image; with the clean one, two rows of four
DISAGREEMENTS = 18  # images that one model classifies correctly and the other does not
CONFUSIONS = 3  # most frequent ones, listed per family

Place = tuple[str, float, int]
"""Corruption, severity and source image."""


@dataclass(frozen=True, eq=False)
class ImageMaker:
    """The source images, from which corrupted copies are made again to be shown."""

    data: LabelledImages
    functions: Mapping[str, CorruptionFunction]
    """The user's own corruptions."""

    def can_make(self, corruption: str) -> bool:
        """Whether the function of this corruption is known."""
        return corruption in self.functions or corruption in ALL_CORRUPTIONS

    def make(self, corruption: str, severity: float, sources: Int[np.ndarray, " n"]) -> Pixels:
        """Exactly the pixels that were evaluated, in the order of `sources`."""
        order = np.argsort(self.data.sources)
        rows = order[np.searchsorted(self.data.sources[order], sources)]
        function = None if corruption == CLEAN else self.functions.get(corruption) or ALL_CORRUPTIONS[corruption]
        return Condition(corruption, severity, "", function).apply(self.data.select(rows)).data.pixels

    def make_all(self, places: Sequence[Place]) -> Pixels:
        """An image for each (corruption, severity, source); those of one condition are made together."""
        made: dict[int, np.ndarray] = {}
        for condition in {place[:2] for place in places}:
            indices = [index for index, place in enumerate(places) if place[:2] == condition]
            pixels = self.make(*condition, np.array([places[index][2] for index in indices]))
            made |= zip(indices, pixels, strict=True)
        return np.stack([made[index] for index in range(len(places))])


def breaking_figure(
    suite: SuiteResult, summaries: Sequence[CorruptionSummary], images: ImageMaker
) -> PageFigure | None:
    """One image under the corruptions that break the model first, at the first severity where they do."""
    breaking = [
        (summary.crossing.severity, summary)
        for summary in summaries
        if summary.crossing.severity and len(summary.severities) > 1 and images.can_make(summary.corruption)
    ]
    first = [
        (next((level for level in summary.severities if level >= severity), summary.severities[-1]), summary)
        for severity, summary in sorted(breaking, key=lambda pair: pair[0])[:BREAKING_CORRUPTIONS]
    ]
    if not first:
        return None
    # An image that is typical: correct while clean and at each lower severity, wrong from there on.
    fits = 100.0 * suite.clean.correct
    for severity, summary in first:
        for level in summary.severities:
            correct = suite.conditions[summary.corruption, level].correct
            fits = fits + (correct == (level < severity)) / len(summary.severities)
    source = int(suite.clean.sources[fits.argmax()])
    places = [(CLEAN, 0.0, source), *((summary.corruption, severity, source) for severity, summary in first)]
    labels = [
        f"{shown_name(corruption_label(summary.corruption))}\n{severity_number(summary.corruption, severity)}"
        for severity, summary in first
    ]
    captions = ["clean", *labels]
    pixels = images.make_all(places)
    return PageFigure(
        "where_it_breaks",
        "Where it breaks",
        "An image that is classified correctly while clean, under the corruptions that break the model first, each at "
        f"the first severity with an accuracy below {crossing_level(suite.is_of_photos)}.",
        lambda theme: mistakes(pixels, captions, theme, columns=min(4, len(captions))),
        section="top",
    )


def mistake_figures(suite: SuiteResult, summaries: Sequence[CorruptionSummary], images: ImageMaker) -> list[PageFigure]:
    """A figure per family: the most confident mistakes under each corruption, no source twice."""
    families: dict[str, dict[str, tuple[Pixels, list[str]]]] = {}
    classes = shown_classes(suite.scores.classes)
    for summary in summaries:
        if images.can_make(summary.corruption):
            worst = confident_mistakes(suite, summary)
            if worst:
                pixels = images.make_all([(each.corruption, each.severity, each.source) for each in worst])
                captions = [
                    f"{classes[each.truth]} → {classes[each.predicted]}\n"
                    f"{severity_number(each.corruption, each.severity)}, {100 * each.confidence:.0f} %"
                    for each in worst
                ]
                family = families.setdefault(summary.family, {})
                family[corruption_label(summary.corruption)] = (pixels, captions)
    return [
        PageFigure(
            f"mistakes_{family}",
            family,
            "",
            lambda theme, rows=rows: rows_of_mistakes(rows, MISTAKES_PER_CORRUPTION, theme),  # type: ignore[misc]
            beside=True,
            section="mistakes",
        )
        for family, rows in families.items()
    ]


@dataclass(frozen=True)
class Mistake:
    """One image under one condition that is classified wrongly; classes by index."""

    corruption: str
    severity: float
    source: int
    truth: int
    predicted: int
    confidence: float


def confident_mistakes(suite: SuiteResult, summary: CorruptionSummary) -> list[Mistake]:
    """The most confident mistakes under one corruption, no source image twice."""
    ranked = []
    for severity in summary.severities:
        result = suite.conditions[summary.corruption, severity]
        predicted, wrong = result.predicted, np.flatnonzero(~result.correct)
        confidence = result.probabilities[wrong].max(1)
        for rank in np.argsort(-confidence, kind="stable")[: 5 * MISTAKES_PER_CORRUPTION]:  # sources may repeat
            row = wrong[rank]
            classes = int(result.truths[row]), int(predicted[row])
            ranked.append(
                Mistake(summary.corruption, severity, int(result.sources[row]), *classes, float(confidence[rank]))
            )
    by_source: dict[int, Mistake] = {}
    for mistake in sorted(ranked, key=lambda mistake: -mistake.confidence):
        by_source.setdefault(mistake.source, mistake)
    return list(by_source.values())[:MISTAKES_PER_CORRUPTION]


@dataclass(frozen=True)
class Confusion:
    """One class predicted instead of another."""

    truth: str
    predicted: str
    share: float
    """Of all mistakes of the family."""
    corruption: str
    """The corruption under which it is most frequent."""


def confusions(
    suite: SuiteResult, summaries: Sequence[CorruptionSummary]
) -> list[tuple[str, int, int, list[Confusion]]]:
    """For each family: the number of mistakes, the number of images, and the most frequent confusions."""
    families: dict[str, dict[str, np.ndarray]] = {}
    for summary in summaries:
        levels = [suite.conditions[summary.corruption, severity].confusion() for severity in summary.severities]
        families.setdefault(summary.family, {})[corruption_label(summary.corruption)] = np.sum(levels, 0)
    rows = []
    classes = suite.scores.classes
    for family, by_corruption in families.items():
        total = np.sum(list(by_corruption.values()), 0)
        wrong = total - np.diag(total.diagonal())
        pairs = []
        for cell in np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]:
            truth, predicted = divmod(int(cell), len(classes))
            if wrong[truth, predicted]:
                counts = {name: int(matrix[truth, predicted]) for name, matrix in by_corruption.items()}
                most = max(counts, key=counts.__getitem__)
                share = wrong[truth, predicted] / wrong.sum()
                pairs.append(Confusion(classes[truth], classes[predicted], share, most))
        rows.append((family, int(wrong.sum()), int(total.sum()), pairs))
    return rows


def disagreement_figures(models: Sequence[ModelGroup], images: ImageMaker) -> list[PageFigure]:
    """Images that one model gets right with every seed and another with none: the first against the next two."""
    figures = []
    for number, other in enumerate(models[1:3]):
        for way, (right, wrong) in enumerate(((models[0], other), (other, models[0]))):
            places, captions = _disagreements(right, wrong, images)
            if places:
                pixels = images.make_all(places)
                figures.append(
                    PageFigure(
                        f"disagreement_{number}_{way}",
                        f"Correct by {right.name}, wrong by {wrong.name}",
                        f"Every seed of {right.name} is correct, none of {wrong.name}. Captions: true class → "
                        f"prediction of {wrong.name}, corruption, severity.",
                        lambda theme, pixels=pixels, captions=captions: mistakes(  # type: ignore[misc]
                            pixels, captions, theme, columns=6
                        ),
                        section="disagreements",
                    )
                )
    return figures


def _disagreements(right: ModelGroup, wrong: ModelGroup, images: ImageMaker) -> tuple[list[Place], list[str]]:
    """Places and captions: in turn from the corruptions with most disagreements, mildest first, no source twice."""
    first, second = right.seeds[0], wrong.seeds[0]
    classes = shown_classes(first.scores.classes)
    by_corruption = []
    for summary in first.corruptions:
        label, captioned = shown_name(corruption_label(summary.corruption)), []
        for level in summary.severities:
            if (summary.corruption, level) in second.conditions and images.can_make(summary.corruption):
                result = second.conditions[summary.corruption, level]
                predicted = result.predicted
                only = _correct(right, summary.corruption, level).all(0)
                only &= ~_correct(wrong, summary.corruption, level).any(0)
                for row in np.flatnonzero(only):
                    shown = f"{label} {severity_number(summary.corruption, level)}"
                    caption = f"{classes[result.truths[row]]} → {classes[predicted[row]]}\n{shown}"
                    captioned.append(((summary.corruption, level, int(result.sources[row])), caption))
        by_corruption.append(captioned)
    by_corruption.sort(key=len, reverse=True)
    by_source: dict[int, tuple[Place, str]] = {}
    for entry in chain.from_iterable(zip_longest(*by_corruption)):
        if entry:
            by_source.setdefault(entry[0][2], entry)
    chosen = list(by_source.values())[:DISAGREEMENTS]
    return [place for place, _ in chosen], [caption for _, caption in chosen]


def _correct(model: ModelGroup, corruption: str, severity: float) -> Bool[np.ndarray, "seeds sources"]:
    return np.stack([suite.conditions[corruption, severity].correct for suite in model.seeds])
