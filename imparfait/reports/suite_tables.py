"""The table of a suite by corruption, and its files: CSV for programs, LaTeX for papers."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imparfait.core.names import as_cell
from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import CROSSING_RESAMPLES, CorruptionSummary
from imparfait.evaluation.statistics import Crossing, crossing
from imparfait.evaluation.suite import CLEAN
from imparfait.reports.latex import LatexTable, write_latex
from imparfait.reports.text import NONE, corruption_label, crossing_level, crossing_text

HEADINGS = ("corruption", "family", "mean, %", "MNIST-C, %", "core, %", f"below {crossing_level(False)} from", "CE")
PHOTO_HEADINGS = ("corruption", "family", "mean, %", "worst, %", f"below {crossing_level(True)} from level")
MEAN = "mean"


def summaries_of(model: ModelGroup) -> list[CorruptionSummary]:
    """A summary per corruption; for several seeds their mean, and where that mean falls below 95 %."""
    by_seed = [{summary.corruption: summary for summary in suite.corruptions} for suite in model.seeds]
    if len(by_seed) == 1:
        return list(by_seed[0].values())
    return [_mean_summary(model, [summaries[name] for summaries in by_seed]) for name in by_seed[0]]


def _mean_summary(model: ModelGroup, summaries: Sequence[CorruptionSummary]) -> CorruptionSummary:
    first = summaries[0]
    conditions = [(CLEAN, 0.0), *((first.corruption, severity) for severity in first.severities)]
    correct = np.stack([np.mean([suite.conditions[one].correct for suite in model.seeds], 0) for one in conditions])
    broken = float(np.mean([suite.crossing_accuracy for suite in model.seeds]))
    return replace(
        first,
        accuracies=tuple(correct[1:].mean(1).tolist()),
        intervals=tuple(map(tuple, np.mean([summary.intervals for summary in summaries], 0).tolist())),
        crossing=crossing(np.array([0.0, *first.severities]), correct, broken, resamples=CROSSING_RESAMPLES),
        mnist_c=_mean([summary.mnist_c for summary in summaries]),
        core=_mean([summary.core for summary in summaries]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of all; None where any is missing."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if len(numbers) == len(values) else None


def mnist_c_mean(model: ModelGroup) -> float | None:
    """The mean over MNIST-C's 15 corruptions and over seeds, where all are in the suite."""
    return _mean([suite.mnist_c_mean for suite in model.seeds])


def imagenet_c_mean(model: ModelGroup) -> float | None:
    """The mean over ImageNet-C's 15 corruptions and over seeds, where all are in the suite."""
    return _mean([suite.imagenet_c_mean for suite in model.seeds])


def core_mean(model: ModelGroup) -> float | None:
    """The core mean over seeds, where all its conditions are in the suite."""
    return _mean([suite.core_mean for suite in model.seeds])


def _number(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.2f}"


def table_rows(
    model: ModelGroup, summaries: Sequence[CorruptionSummary], errors: Mapping[str, float]
) -> list[tuple[str, ...]]:
    """The table for readers under HEADINGS, with the mean last; `errors` are corruption errors, or none.

    For corruptions of photographs it is under PHOTO_HEADINGS.
    """
    if summaries[0].is_of_photos:
        photo_rows = [
            (
                corruption_label(summary.corruption),
                summary.family,
                _number(summary.accuracy),
                _number(min(summary.accuracies)),
                crossing_text(summary),
            )
            for summary in summaries
        ]
        worst = min(min(summary.accuracies) for summary in summaries)
        return [*photo_rows, (MEAN, "", _number(model.mean), _number(worst), "")]
    rows = [
        (
            corruption_label(summary.corruption),
            summary.family,
            _number(summary.accuracy),
            _number(summary.mnist_c),
            _number(summary.core),
            crossing_text(summary),
            f"{errors[summary.corruption]:.2f}" if summary.corruption in errors else NONE,
        )
        for summary in summaries
    ]
    mean_error = f"{np.mean(list(errors.values())):.2f}" if errors else NONE
    return [*rows, (MEAN, "", _number(model.mean), _number(mnist_c_mean(model)), "", "", mean_error)]


def write_tables(
    folder: Path, models: Mapping[ModelGroup, Sequence[CorruptionSummary]], errors: Mapping[str, Mapping[str, float]]
) -> None:
    """`table.csv`, in shares with empty cells for missing values, and `table.tex`, as readers see it."""
    tables = []
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = ["model", "corruption", "family", "mean", "mnist_c", "core"]
        is_of_photos = any(own[0].is_of_photos for own in models.values())
        below = "below_90_of_clean_from" if is_of_photos else "below_95_from"
        writer.writerow([*columns, below, f"{below}_low", f"{below}_high", "corruption_error"])
        for model, summaries in models.items():
            own = errors.get(model.name, {})
            rows = table_rows(model, summaries, own)
            headings = HEADINGS if len(rows[0]) == len(HEADINGS) else PHOTO_HEADINGS
            caption = f"{model.name}: accuracy by corruption, in percent."
            tables.append(LatexTable(f"{model.name} by corruption", caption, headings, rows, left=2, total=True))
            for summary in summaries:
                at = summary.crossing if len(summary.severities) > 1 else Crossing(None, None, None)
                numbers = [summary.accuracy, summary.mnist_c, summary.core, at.severity, at.low, at.high]
                numbers.append(own.get(summary.corruption))
                writer.writerow([as_cell(model.name), as_cell(summary.corruption), summary.family, *map(_six, numbers)])
    write_latex(folder, tables)


def _six(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def write_counts(path: Path, models: Sequence[ModelGroup]) -> None:
    """Counts of correct predictions as CSV: a line per model, seed, corruption, severity and class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "corruption", "severity", "class", "correct", "total"])
        for model in models:
            for seed, suite in enumerate(model.seeds):
                for result in suite.scores.conditions:
                    counts = result.confusion()
                    by_class = zip(suite.scores.classes, counts.diagonal(), counts.sum(1), strict=True)
                    for name, correct, total in by_class:
                        condition = [result.corruption, f"{result.severity:.6g}"]
                        writer.writerow([as_cell(model.name), seed, *condition, as_cell(name), correct, total])
