"""The report of a suite: accuracy under each corruption, comparisons, calibration, OOD detection and mistakes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.types import Classifier
from imparfait.corruptions import ALL_CORRUPTIONS
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.intervals import mean_interval
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup
from imparfait.evaluation.robustness import CorruptionSummary
from imparfait.evaluation.statistics import Verdict
from imparfait.evaluation.suite import Condition
from imparfait.reports.gallery import suite_gallery
from imparfait.reports.page import write_page
from imparfait.reports.suite_confidence import (
    CALIBRATION_HEADINGS,
    OOD_HEADINGS,
    calibration_rows,
    confidence_figure,
    ood_rows,
)
from imparfait.reports.suite_figures import accuracy_maps, confusion_figures, hardest, severity_curves
from imparfait.reports.suite_mistakes import (
    MISTAKES_PER_CORRUPTION,
    ImageMaker,
    breaking_figure,
    confusions,
    disagreement_figures,
    mistake_figures,
)
from imparfait.reports.suite_saliency import worst_figure
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
    signed_points,
    verdict_sentence,
)
from imparfait.reports.translation import Language


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
    classifier: Classifier | None = None,
    notes: Mapping[str, str] | None = None,
    without_label_errors: Mapping[str, tuple[float, float]] | None = None,
    language: Language = "en",
) -> None:
    """Write `report.html`, its figures, `table.csv`, `table.tex` and `scores.csv` in `folder`.

    `circumstances` says what was evaluated on which images, `overlap` what the training had in common with the suite,
    `notes` how external models take their input. `data` are the source images, from which corrupted ones are made
    again to be shown; `conditions` hold the user's own corruptions. Single predictions are of the first model's first
    seed, the `classifier` with which occlusion maps are made. `without_label_errors` has clean accuracy by model, with
    and without MNIST's label errors.
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
    kept = hardest(summaries)
    drawn = {name: [summary for summary in each if summary.corruption in kept] for name, each in summaries.items()}
    breaking, worst = breaking_figure(suite, own, images), worst_figure(suite, images, classifier)
    write_page(
        folder,
        "robustness.html",
        title=title,
        figures=[
            *([breaking] if breaking else []),
            *accuracy_maps(drawn),
            severity_curves(models, drawn),
            confidence_figure(models),
            *([worst] if worst else []),
            *mistake_figures(suite, drawn[first.name], images),
            *disagreement_figures(models, images),
            *confusion_figures(models),
        ],
        facts=facts,
        language=language,
        names={model.name for model in models} | images.functions.keys() - ALL_CORRUPTIONS.keys(),
        circumstances=circumstances,
        overlap=overlap,
        models=models,
        verdicts=verdicts,
        sentences=list(map(verdict_sentence, verdicts)),
        overview=[_overview(model) for model in models],
        gallery=suite_gallery(suite, images),
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
        shown_of=(len(kept), len(own)),
        classes=suite.scores.classes,
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
    interval = percent_range(mean_interval(model.by_source(), len(model.seeds) * len(model.seeds[0].conditions)))
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
