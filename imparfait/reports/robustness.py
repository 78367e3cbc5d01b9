"""The report of a suite: accuracy under each corruption, comparisons, calibration, OOD detection and mistakes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.corruptions.photo.levels import LEVELS
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup
from imparfait.evaluation.robustness import CorruptionSummary, normal_interval
from imparfait.evaluation.statistics import Verdict
from imparfait.evaluation.suite import Condition
from imparfait.reports.figures.suites import curves, heat_map
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.suite_confidence import (
    CALIBRATION_HEADINGS,
    OOD_HEADINGS,
    calibration_rows,
    confidence_figure,
    ood_rows,
)
from imparfait.reports.suite_mistakes import (
    MISTAKES_PER_CORRUPTION,
    ImageMaker,
    breaking_figure,
    confusions,
    disagreement_figures,
    mistake_figures,
)
from imparfait.reports.suite_tables import (
    HEADINGS,
    PHOTO_HEADINGS,
    core_mean,
    imagenet_c_mean,
    mnist_c_mean,
    summaries_of,
    table_rows,
    write_counts,
    write_tables,
)
from imparfait.reports.text import (
    NONE,
    breaking_sentences,
    corruption_label,
    crossing_level,
    percent,
    percent_range,
    points,
    severity_number,
    signed_points,
    verdict_sentence,
)

MAPS_SIDE_BY_SIDE = 2  # heat maps; more would not be legible on a phone
MAX_CURVES = 4  # models in one panel


def write_report(
    folder: Path,
    *,
    title: str,
    circumstances: str,
    overlap: str,
    evaluation: Evaluation,
    data: LabelledImages,
    facts: Mapping[str, Mapping[str, Any]],
    conditions: Sequence[Condition] = (),
    notes: Mapping[str, str] | None = None,
    without_label_errors: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Write `report.html`, its figures, `table.csv`, `table.tex` and `scores.csv` in `folder`.

    `circumstances` says what was evaluated on which images, `overlap` what the training had in common with the suite,
    `notes` how external models take their input. `data` are the source images, from which corrupted ones are made
    again to be shown; `conditions` hold the user's own corruptions. Single predictions are of the first model's first
    seed. `without_label_errors` has clean accuracy by model, with and without MNIST's label errors.
    """
    models, verdicts, errors = evaluation.models, evaluation.verdicts, evaluation.corruption_errors
    summaries = {model.name: _ordered(summaries_of(model)) for model in models}
    write_tables(folder, {model: summaries[model.name] for model in models}, errors)
    write_counts(folder / "scores.csv", models)
    images = ImageMaker(
        data, {condition.corruption: condition.function for condition in conditions if condition.function}
    )
    first = models[0]
    suite, own = first.seeds[0], summaries[first.name]
    headings = PHOTO_HEADINGS if suite.is_of_photos else HEADINGS
    columns = len(HEADINGS) if any(errors.values()) else len(HEADINGS) - 1  # the last is the corruption error
    breaking = breaking_figure(suite, own, images)
    write_page(
        folder,
        "robustness.html",
        title=title,
        figures=[
            *([breaking] if breaking else []),
            *_maps(summaries, verdicts),
            _curves(models, summaries),
            confidence_figure(models),
            *mistake_figures(suite, own, images),
            *disagreement_figures(models, images),
        ],
        facts=facts,
        circumstances=circumstances,
        overlap=overlap,
        models=models,
        verdicts=verdicts,
        sentences=list(map(verdict_sentence, verdicts)),
        overview=[_overview(model) for model in models],
        breaking={model.name: breaking_sentences(summaries[model.name]) for model in models},
        headings=headings[:columns],
        is_of_photos=suite.is_of_photos,
        level=crossing_level(suite.is_of_photos),
        tables={
            model.name: [row[:columns] for row in table_rows(model, summaries[model.name], errors.get(model.name, {}))]
            for model in models
        },
        has_errors=any(errors.values()),
        tests=[(verdict, _tests(verdict)) for verdict in verdicts],
        calibration_headings=CALIBRATION_HEADINGS,
        calibration={name: calibration_rows(reports) for name, reports in evaluation.calibration.items()},
        ood_headings=OOD_HEADINGS,
        ood={
            name: [
                ood_rows(report for report in reports if report.resembles_classes == resembling)
                for resembling in (False, True)
            ]
            for name, reports in evaluation.ood.items()
        },
        confusions=confusions(suite, own),
        mistakes_per_corruption=MISTAKES_PER_CORRUPTION,
        shown_model=f"{first.name}, first seed" if len(first.seeds) > 1 else first.name,
        flawless=[corruption_label(summary.corruption) for summary in own if min(summary.accuracies) == 1],
        notes=notes or {},
        without_label_errors=without_label_errors or {},
        percent=percent,
    )


def _ordered(summaries: Sequence[CorruptionSummary]) -> list[CorruptionSummary]:
    """By family, the least accurate first, and so within families."""
    families: dict[str, list[CorruptionSummary]] = {}
    for summary in sorted(summaries, key=lambda summary: summary.accuracy):
        families.setdefault(summary.family, []).append(summary)
    by_mean = sorted(families.values(), key=lambda family: float(np.mean([summary.accuracy for summary in family])))
    return [summary for family in by_mean for summary in family]


def _overview(model: ModelGroup) -> tuple[str, ...]:
    """The headline numbers: name, mean, interval, sd over seeds, clean, core mean, MNIST-C or ImageNet-C mean."""
    interval = percent_range(normal_interval(model.mean, model.by_source()))
    clean = float(np.mean([suite.clean.score.accuracy for suite in model.seeds]))
    spread = NONE if model.spread is None else f"{100 * model.spread:.2f}"
    published = imagenet_c_mean(model) if model.seeds[0].is_of_photos else mnist_c_mean(model)
    others = (NONE if mean is None else percent(mean) for mean in (core_mean(model), published))
    return (model.name, percent(model.mean), interval, spread, percent(clean), *others)


def _tests(verdict: Verdict) -> list[tuple[str, ...]]:
    """A table row per corruption of a pair: difference in points, interval, adjusted p."""
    return [
        (
            corruption_label(name),
            signed_points(test.difference.mean),
            points(test.difference.interval),
            f"{test.p:.2g}",
        )
        for name, test in verdict.corruptions.items()
    ]


def _maps(summaries: Mapping[str, Sequence[CorruptionSummary]], verdicts: Sequence[Verdict]) -> list[PageFigure]:
    """Accuracy by corruption and severity, two models at a time; for two models also their difference."""
    first = next(iter(summaries.values()))
    families: dict[str, list[str]] = {}
    for summary in first:
        families.setdefault(summary.family, []).append(corruption_label(summary.corruption))
    levels = sorted({severity for summary in first for severity in summary.severities})
    columns = [*(severity_number(first[0].corruption, level) for level in levels), "mean"]
    is_of_photos = first[0].is_of_photos
    order = [summary.corruption for summary in first]
    panels = {name: _panel({one.corruption: one for one in own}, order, levels) for name, own in summaries.items()}
    figures = []
    names = list(panels)
    for start in range(0, len(names), MAPS_SIDE_BY_SIDE):
        pair = {name: panels[name] for name in names[start : start + MAPS_SIDE_BY_SIDE]}
        figures.append(
            PageFigure(
                f"heat_map_{start // MAPS_SIDE_BY_SIDE}" if start else "heat_map",
                "Accuracy by corruption and severity" if not start else "… and the next models",
                f"In %: a row per corruption, a column per {'level' if is_of_photos else 'severity'}, the least "
                "accurate families and corruptions first. The stronger the colour, the more errors"
                + ("." if is_of_photos else "; bold below 95 %. Corruptions without degrees have one cell.")
                if not start
                else "",
                lambda theme, pair=pair: heat_map(families, columns, pair, theme, bold=not is_of_photos),  # type: ignore[misc]
                square=len(pair) == 1,
                section="map",
            )
        )
    if len(names) == 2:
        difference = {"": panels[names[0]] - panels[names[1]]}
        figures.append(
            PageFigure(
                "difference",
                f"{names[0]} minus {names[1]}",
                f"In percentage points: blue where {names[0]} is ahead, orange where {names[1]} is. Cells are not "
                "tested; the table of tests shows which corruptions differ significantly.",
                lambda theme: heat_map(families, columns, difference, theme, signed=True),
                square=True,
                section="map",
            )
        )
    return figures


def _panel(summaries: Mapping[str, CorruptionSummary], order: Sequence[str], levels: Sequence[float]) -> np.ndarray:
    panel = np.full((len(order), len(levels) + 1), np.nan)
    for row, name in enumerate(order):
        if name in summaries:
            for severity, accuracy in zip(summaries[name].severities, summaries[name].accuracies, strict=True):
                if severity in levels:
                    panel[row, levels.index(severity)] = accuracy
            panel[row, -1] = summaries[name].accuracy
    return panel


def _curves(models: Sequence[ModelGroup], summaries: Mapping[str, Sequence[CorruptionSummary]]) -> PageFigure:
    panels: dict[str, dict[str, np.ndarray]] = {}
    several, is_of_photos = len(models) > 1, models[0].seeds[0].is_of_photos
    for model in models[:MAX_CURVES]:
        scores = [suite.clean.score for suite in model.seeds]
        clean = np.mean([[score.accuracy, *score.interval] for score in scores], 0)
        for summary in summaries[model.name]:
            low, high = np.array(summary.intervals).T
            line = np.stack([summary.severities, summary.accuracies, low, high])
            label = corruption_label(summary.corruption)
            panel, name = (label, model.name) if several else (summary.family, label)
            panels.setdefault(panel, {})[name] = np.column_stack([[0.0, *clean], line])
    return PageFigure(
        "curves",
        "Accuracy over level" if is_of_photos else "Accuracy over severity",
        "In %, from clean images at 0. Bands are 95 % intervals (Wilson)"
        + ("." if is_of_photos else ", the fine line is at 95 %. Dotted: corruptions with one level.")
        + (" For several seeds, their mean." if any(len(model.seeds) > 1 for model in models) else "")
        + (f" The first {MAX_CURVES} models." if len(models) > MAX_CURVES else ""),
        lambda theme: curves(
            panels, 4 if several else 2, theme, named_at_their_ends=not several, levels=LEVELS * is_of_photos
        ),
        section="curves",
    )
