"""The report of a comparison: its verdicts, tables and figures."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, write_json
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.intervals import Interval
from imparfait.evaluation.statistics import Verdict
from imparfait.evaluation.suite import CLEAN
from imparfait.reports.comparison_text import (
    comparison_headings,
    comparison_remarks,
    comparison_rows,
    mean_name,
    reduction_sentence,
)
from imparfait.reports.figures.comparisons import accuracy_against_seconds, paired_differences
from imparfait.reports.figures.runs import confusion, mistakes
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.text import corruption_label, percent, points, severity_number, signed_points, verdict_sentence
from imparfait.reports.translation import Language
from imparfait.selection.comparison import Comparison

TEST_HEADINGS = ("pair", "points", "95 %", "p, adjusted", "jobs", "over source images only, 95 %")
EXAMPLES = 16  # images that only one of two candidates classifies correctly, each way


def write_comparison(
    folder: Path, title: str, comparison: Comparison, data: LabelledImages, language: Language = "en"
) -> None:
    """Write `folder`, whole or not at all: `report.html`, figures, `comparison.json`, `plan.json` and `jobs.csv`."""
    with atomic_directory(folder) as unfinished:
        _write(unfinished, title, comparison, data, language)


def _write(folder: Path, title: str, comparison: Comparison, data: LabelledImages, language: Language) -> None:
    plan = comparison.plan
    (folder / "plan.json").write_text(plan.model_dump_json(indent=2), encoding="utf-8")
    write_json(folder / "comparison.json", comparison_json(comparison))
    _write_jobs(folder / "jobs.csv", comparison)
    figures = [accuracy_seconds_figure(comparison)]
    if comparison.verdicts:
        figures = [_differences(comparison), *figures, *_of_the_best_two(comparison, data)]
    test_rows, by_corruption = list(map(_test_row, comparison.verdicts)), _by_corruption(comparison)
    facts: dict[str, dict[str, Any]] = {profile.name: profile.settings.model_dump() for profile in plan.profiles}
    write_page(
        folder,
        "comparison.html",
        title=title,
        figures=figures,
        facts=facts | {"compute": environment(plan.profiles[0].compute)},
        language=language,
        classes=comparison.classes,
        names=comparison.ranked,
        comparison=comparison,
        headings=comparison_headings(comparison),
        rows=comparison_rows(comparison),
        remarks=comparison_remarks(comparison),
        reductions=list(map(reduction_sentence, plan.reductions)),
        mean_name=mean_name(comparison),
        verdict_sentence=verdict_sentence,
        test_headings=TEST_HEADINGS,
        test_rows=test_rows,
        by_corruption=by_corruption,
        latex=[
            LatexTable(
                f"{title} accuracies",
                f"{title}: {mean_name(comparison)}, standard deviation over jobs and training time.",
                comparison_headings(comparison),
                comparison_rows(comparison),
            ),
            LatexTable(
                f"{title} tests",
                f"{title}: differences in percentage points, with p adjusted by Holm.",
                TEST_HEADINGS,
                test_rows,
            ),
            LatexTable(
                f"{title} by corruption", f"{title}: accuracy by corruption.", by_corruption[0], by_corruption[1:]
            ),
        ],
        tests=[(verdict, _corruption_tests(verdict)) for verdict in comparison.verdicts if verdict.corruptions],
        by_class=_by_class(comparison),
    )


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as numbers, with the sentences about them."""
    content = comparison.to_json()
    content["verdicts"] = [
        {"sentence": verdict_sentence(verdict)} | numbers
        for verdict, numbers in zip(comparison.verdicts, content["verdicts"], strict=True)
    ]
    return content | {"remarks": comparison_remarks(comparison)}


def _write_jobs(path: Path, comparison: Comparison) -> None:
    """A row per job: counts, seconds, and the cause where it failed."""
    plan = comparison.plan
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        counts = [f"correct_{label.replace(' ', '_')}" for label in _condition_labels(comparison)]
        writer.writerow(["candidate", "seed", "fold", *counts, "images", "training_seconds", "cause", "key"])
        for slot in plan.slots():
            result = comparison.results[slot]
            correct = result.correct_counts.tolist() or [""] * len(counts)
            facts = [len(result.sources), round(result.training_seconds, 3), result.cause, plan.job(*slot).key]
            writer.writerow([*slot, *correct, *facts])


def _condition_labels(comparison: Comparison) -> list[str]:
    """A label per condition: the corruption, with its severity on the full suite."""
    if not comparison.is_full:
        return [name for name, _ in comparison.plan.corruptions]
    return [name if name == CLEAN else f"{name} {severity:.3g}" for name, severity in comparison.plan.corruptions]


def _differences(comparison: Comparison) -> PageFigure:
    return PageFigure(
        "differences",
        "Difference per fold, pair by pair",
        "Each small dot is a fold on which both candidates were evaluated on the same images. No difference is shown "
        "where the interval includes 0.",
        lambda theme: paired_differences(difference_rows(comparison, comparison.verdicts), theme),
    )


def difference_rows(comparison: Comparison, verdicts: list[Verdict]) -> dict[str, Any]:
    """For each verdict its label, and its differences per fold, mean and interval."""
    return {
        f"{verdict.better}\nover {verdict.other}": (
            comparison.fold_differences(*verdict.names).tolist(),
            verdict.difference.mean,
            verdict.difference.interval,
        )
        for verdict in verdicts
    }


def accuracy_seconds_figure(comparison: Comparison, caption: str = "", section: str = "") -> PageFigure:
    """Accuracy against training time, with the spread over jobs."""
    plan = comparison.plan
    points = {
        name: (plan.profile(name).training_seconds(plan.fit), mean, comparison.spread(name))
        for name in comparison.ranked
        if (mean := comparison.mean(name)) is not None
    }
    return PageFigure(
        "accuracy_seconds",
        "Accuracy against training time",
        caption
        or "Higher and further left is better. Bars: one standard deviation over jobs. Time: one training, alone.",
        lambda theme: accuracy_against_seconds(points, theme),
        section=section,
    )


def _of_the_best_two(comparison: Comparison, data: LabelledImages) -> list[PageFigure]:
    """Their confusion matrices, and images that one of them gets right; nothing where one of their jobs failed."""
    best, other = comparison.ranked[:2]
    if min(len(comparison.finished(best)), len(comparison.finished(other))) < comparison.planned:
        return []
    return [*confusion_figures(comparison, (best, other)), *_disagreements(comparison, best, other, data)]


def confusion_figures(comparison: Comparison, names: tuple[str, str]) -> list[PageFigure]:
    """The confusion matrices of two candidates, side by side."""
    figures = []
    for number, name in enumerate(names):
        found, n = comparison.out_of_fold(name), len(comparison.classes)
        places = found.truths * n + found.predicted.astype(np.int64)  # seeds, corruptions, n
        counts = np.bincount(places.ravel(), minlength=n * n).reshape(n, n)
        figures.append(
            PageFigure(
                f"confusion_{number}",
                f"Confusion matrix: {name}",
                "Rows: true class. Columns: predicted class. Coloured: mistakes. All held-out images, clean and "
                "corrupted, with every seed.",
                partial(confusion, counts, comparison.classes),
                beside=True,
            )
        )
    return figures


def _disagreements(comparison: Comparison, best: str, other: str, data: LabelledImages) -> list[PageFigure]:
    """Images that one of the two best candidates classifies correctly with every seed and the other with none."""
    figures = []
    for one, two in ((best, other), (other, best)):
        pixels, captions = correct_by_one(comparison, one, two, data)
        if not captions:
            continue
        severity = ", and the severity" if comparison.is_full else ""
        figures.append(
            PageFigure(
                f"{one}_not_{two}",
                f"Correct by {one}, not by {two}",
                f"Held-out images that {one} classified correctly with every seed and {two} with none: the true class, "
                f"the class predicted by {two}{severity}.",
                partial(mistakes, pixels, captions),
            )
        )
    return figures


def correct_by_one(comparison: Comparison, one: str, two: str, data: LabelledImages) -> tuple[np.ndarray, list[str]]:
    """Examples of images that `one` classifies correctly with every seed and `two` with none, and their captions."""
    mine, theirs = comparison.out_of_fold(one), comparison.out_of_fold(two)
    always = np.asarray(mine.correct.all(0) & ~theirs.correct.any(0))  # corruptions, n
    pixels, captions = [], []
    columns = np.flatnonzero(always.any(0))
    for turn, column in enumerate(columns[:: max(1, len(columns) // EXAMPLES)][:EXAMPLES]):  # spread over the sources
        rows = np.flatnonzero(always[:, column])
        row = rows[turn % len(rows)]
        image = data.select(data.sources == mine.sources[column])
        name, severity = comparison.plan.corruptions[row]
        pixels.append(corrupt(image, name, severity).pixels[0])
        classes = comparison.classes
        truth, predicted = classes[mine.truths[column]], classes[theirs.predicted[0, row, column]]
        at = f", {severity_number(name, severity)}" if comparison.is_full and severity else ""
        captions.append(f"{truth} → {predicted}{at}\n{corruption_label(name)}")
    return np.stack(pixels) if pixels else data.pixels[:0], captions


def _test_row(verdict: Verdict) -> tuple[str, ...]:
    """The numbers of one verdict, under TEST_HEADINGS."""
    return (
        f"{verdict.better} minus {verdict.other}",
        signed_points(abs(verdict.difference.mean)),
        points(_ahead(verdict)),
        f"{verdict.p:.2g}",
        f"{verdict.jobs}",
        points(verdict.by_source) if verdict.by_source else "–",
    )


def _ahead(verdict: Verdict) -> Interval:
    """The interval of the difference in the direction of the better one, as its sentence has it."""
    low, high = verdict.difference.interval
    low, high = (low, high) if verdict.difference.mean >= 0 else (-high, -low)
    return max(low, -1.0), min(high, 1.0)


def _by_corruption(comparison: Comparison) -> list[tuple[str, ...]]:
    """Accuracies with headings: a row per candidate and a column per corruption; transposed for the full suite."""
    names = list(dict.fromkeys(name for name, _ in comparison.plan.corruptions))
    table = [("candidate", *names)]
    for candidate in comparison.ranked:
        shares = comparison.by_corruption(candidate)
        table.append((candidate, *(percent(shares[name]) if name in shares else "-" for name in names)))
    table[0] = (table[0][0], *map(corruption_label, names))
    return list(zip(*table, strict=True)) if comparison.is_full else table


def _corruption_tests(verdict: Verdict) -> list[tuple[str, ...]]:
    """A row per corruption of one pair: the difference in points, its interval, and p."""
    return [
        (corruption_label(name), signed_points(test.difference.mean), points(test.difference.interval), f"{test.p:.2g}")
        for name, test in verdict.corruptions.items()
    ]


def _by_class(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row per class: each candidate's accuracy on it, weighted as in the mean."""
    columns = []
    for candidate in comparison.ranked:
        finished = list(comparison.finished(candidate).values())
        if not finished:
            columns.append(["-"] * len(comparison.classes))
            continue
        truths = np.concatenate([result.truths for result in finished])
        correct = np.concatenate([result.weighted_correct / result.weights.sum() for result in finished])
        total = np.bincount(truths, minlength=len(comparison.classes))
        counts = np.bincount(truths, weights=correct, minlength=len(comparison.classes))
        columns.append([percent(count / n) if n else "-" for count, n in zip(counts, total, strict=True)])
    return list(zip(comparison.classes, *columns, strict=True))
