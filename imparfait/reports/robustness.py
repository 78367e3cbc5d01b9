"""The report of a full suite: what one model or several survive, and what breaks them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.model_comparison import ModelGroup, Verdict
from imparfait.evaluation.robustness import ENOUGH, CorruptionSummary, Z
from imparfait.evaluation.scores import percent, percents
from imparfait.evaluation.suite import Condition
from imparfait.evaluation.uncertainty import CalibrationReport, OodReport
from imparfait.reports.figures import curves, heat_map
from imparfait.reports.page import Plate, write_page
from imparfait.reports.suite_confidence import (
    REFUSAL_HEADINGS,
    TRUST_HEADINGS,
    confidence_plate,
    refusal_lines,
    trust_lines,
)
from imparfait.reports.suite_mistakes import A_ROW, ImageLookup, broken, confusions, won_and_lost, worst_mistakes
from imparfait.reports.suite_tables import (
    HEADINGS,
    NONE,
    core_suite,
    lines,
    mnist_c,
    rows_of,
    share,
    where,
    write_long_csv,
    write_tables,
)

BESIDE = 2  # heat maps side by side: more could not be read on a phone
MODELS = 4  # whose curves are drawn into one panel


def write_report(
    folder: Path,
    *,
    title: str,
    conditions: str,
    seen: str,
    models: Sequence[ModelGroup],
    verdicts: Sequence[Verdict],
    trust: Mapping[str, Sequence[CalibrationReport]],
    refusals: Mapping[str, Sequence[OodReport]],
    data: LabelledImages,
    facts: Mapping[str, Mapping[str, Any]],
    parts: Sequence[Condition] = (),
    corruption_error: Mapping[str, Mapping[str, float]] | None = None,
    asked: Mapping[str, str] | None = None,
    disputed: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """`report.html`, its figures, `table.csv`, `table.tex` and `scores.csv` in `folder`.

    `data` are the source images; corrupted ones are made again to be shown, the user's own corruptions by what
    `parts` say of them. Single answers are those of the first model's first seed.
    """
    errors = corruption_error or {}
    rows = {model.name: _ordered(rows_of(model)) for model in models}
    write_tables(folder, {model: rows[model.name] for model in models}, errors)
    write_long_csv(folder / "scores.csv", models)
    images = ImageLookup(data, {part.corruption: part.alter for part in parts if part.alter})
    first = models[0]
    suite, own_rows = first.seeds[0], rows[first.name]
    columns = len(HEADINGS) if any(errors.values()) else len(HEADINGS) - 1  # the last is the corruption error
    breaking = broken(suite, own_rows, images)
    write_page(
        folder,
        "robustness.html",
        title=title,
        plates=[
            *([breaking] if breaking else []),
            *_maps(rows, verdicts),
            _curves(models, rows),
            confidence_plate(models),
            *worst_mistakes(suite, own_rows, images),
            *won_and_lost(models, images),
        ],
        facts=facts,
        conditions=conditions,
        seen=seen,
        models=models,
        verdicts=verdicts,
        overview=[_overview(model, rows[model.name]) for model in models],
        breaks={model.name: _breaks(model, rows[model.name]) for model in models},
        headings=HEADINGS[:columns],
        tables={
            model.name: [line[:columns] for line in lines(model, rows[model.name], errors.get(model.name, {}))]
            for model in models
        },
        has_errors=any(errors.values()),
        trust_headings=TRUST_HEADINGS,
        trust={name: trust_lines(each) for name, each in trust.items()},
        refusal_headings=REFUSAL_HEADINGS,
        refusals={
            name: [
                refusal_lines(one for one in each if one.has_right_answer == answerable) for answerable in (True, False)
            ]
            for name, each in refusals.items()
        },
        confusions=confusions(suite, own_rows),
        a_row=A_ROW,
        shown=f"{first.name}, its first seed" if len(first.seeds) > 1 else first.name,
        flawless=[row.name for row in own_rows if min(row.accuracies) == 1],
        asked=asked or {},
        disputed=disputed or {},
        percent=percent,
    )


def _ordered(rows: Sequence[CorruptionSummary]) -> list[CorruptionSummary]:
    """Family by family, the worst first, and so within them."""
    families: dict[str, list[CorruptionSummary]] = {}
    for row in sorted(rows, key=lambda row: row.accuracy):
        families.setdefault(row.family, []).append(row)
    by_mean = sorted(families.values(), key=lambda each: float(np.mean([row.accuracy for row in each])))
    return [row for family in by_mean for row in family]


def _overview(model: ModelGroup, rows: Sequence[CorruptionSummary]) -> tuple[str, ...]:
    """The headlines of a model: mean, interval, spread, clean, the three, MNIST-C's, and what breaks it first."""
    each = model.by_source()
    half = Z * float(each.std(ddof=1)) / len(each) ** 0.5
    interval = percents((max(0.0, model.mean - half), min(1.0, model.mean + half)))
    clean = float(np.mean([suite.clean.score.accuracy for suite in model.seeds]))
    spread = NONE if model.spread is None else f"{100 * model.spread:.2f}"
    numbers = (percent(model.mean), interval, spread, percent(clean), share(core_suite(model)), share(mnist_c(model)))
    return (model.name, *numbers)


def _breaks(model: ModelGroup, rows: Sequence[CorruptionSummary]) -> list[str]:
    """What breaks it first, where it is worst, and what it survives, in sentences."""
    lowest = min(rows, key=lambda row: min(row.accuracies))
    at = int(np.argmin(lowest.accuracies))
    worst = f"{percent(lowest.accuracies[at])} under {lowest.name} at severity {lowest.severities[at]:g}"
    if any(row.crossing.severity == 0 for row in rows):
        return [f"Even as they are, fewer than {100 * ENOUGH:.0f} % are read. It is worst at {worst}."]
    # Of what has one level only, nothing is known below it.
    reached = [row for row in rows if row.crossing.severity is not None and len(row.severities) > 1]
    unbroken = [row.name for row in rows if row.crossing.severity is None]
    said = [f"It is worst at {worst}."]
    if reached:
        first = min(reached, key=lambda row: row.crossing.severity or 0)
        broke = f"It breaks first under {first.name}: below {100 * ENOUGH:.0f} %, severity {where(first)}"
        said = [f"{broke}; it is worst at {worst}."]
    if unbroken:
        said.append(f"Never below {100 * ENOUGH:.0f} %: {', '.join(unbroken)}.")
    return said


def _maps(rows: Mapping[str, Sequence[CorruptionSummary]], verdicts: Sequence[Verdict]) -> list[Plate]:
    """Accuracy by corruption and severity, models two by two; and, of two, their difference."""
    first = next(iter(rows.values()))
    families: dict[str, list[str]] = {}
    for row in first:
        families.setdefault(row.family, []).append(row.name)
    levels = sorted({severity for row in first for severity in row.severities})
    columns = [*(f"{level:g}" for level in levels), "mean"]
    order = [row.corruption for row in first]
    panels = {name: _panel({row.corruption: row for row in each}, order, levels) for name, each in rows.items()}
    plates = []
    names = list(panels)
    for start in range(0, len(names), BESIDE):
        some = {name: panels[name] for name in names[start : start + BESIDE]}
        plates.append(
            Plate(
                f"heat_map_{start // BESIDE}" if start else "heat_map",
                "Corruption by severity" if not start else "… and the next",
                "Accuracy in %: a row a corruption, a column a severity, families and rows with the worst on top. The "
                "deeper the colour, the more errors; bold is below 95 %. What has no degrees has one cell."
                if not start
                else "",
                lambda theme, some=some: heat_map(families, columns, some, theme),  # type: ignore[misc]
                square=len(some) == 1,
                section="map",
            )
        )
    if len(names) == 2:
        difference = {"": panels[names[0]] - panels[names[1]]}
        plates.append(
            Plate(
                "difference",
                f"{names[0]} less {names[1]}",
                f"In points: blue where {names[0]} is ahead, orange where {names[1]} is. The cells are not tested; the "
                "table of tests says which corruptions differ.",
                lambda theme: heat_map(families, columns, difference, theme, signed=True),
                square=True,
                section="map",
            )
        )
    return plates


def _panel(rows: Mapping[str, CorruptionSummary], order: Sequence[str], levels: Sequence[float]) -> np.ndarray:
    panel = np.full((len(order), len(levels) + 1), np.nan)
    for place, name in enumerate(order):
        if name in rows:
            for severity, accuracy in zip(rows[name].severities, rows[name].accuracies, strict=True):
                if severity in levels:
                    panel[place, levels.index(severity)] = accuracy
            panel[place, -1] = rows[name].accuracy
    return panel


def _curves(models: Sequence[ModelGroup], rows: Mapping[str, Sequence[CorruptionSummary]]) -> Plate:
    panels: dict[str, dict[str, np.ndarray]] = {}
    several = len(models) > 1
    for model in models[:MODELS]:
        scores = [suite.clean.score for suite in model.seeds]
        clean = np.mean([[score.accuracy, *score.interval] for score in scores], 0)
        for row in rows[model.name]:
            low, high = np.array(row.intervals).T
            line = np.stack([row.severities, row.accuracies, low, high])
            panel, name = (row.name, model.name) if several else (row.family, row.name)
            panels.setdefault(panel, {})[name] = np.column_stack([[0.0, *clean], line])
    return Plate(
        "curves",
        "Accuracy over severity",
        "In %, from the images as they are at 0; the bands are 95 % intervals (Wilson's), the fine line is at 95 %. "
        "Dotted: what has one level only."
        + (" Of several seeds, the mean." if any(len(model.seeds) > 1 for model in models) else "")
        + (f" The first {MODELS} models." if len(models) > MODELS else ""),
        lambda theme: curves(panels, 4 if several else 2, theme, named_at_their_ends=not several),
        section="curves",
    )
