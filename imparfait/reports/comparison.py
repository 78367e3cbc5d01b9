"""The report of a comparison: its verdicts, and what lies behind them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.hardware import environment
from imparfait.core.storage import write_json
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import percent
from imparfait.evaluation.suite import CLEAN
from imparfait.reports.figures import accuracy_against_seconds, mistakes, paired_differences
from imparfait.reports.page import Plate, write_page
from imparfait.selection.comparison import Comparison, Verdict, points, signed
from imparfait.selection.profiling import CandidateProfile

SHOWN = 16  # images that one gets and the other does not, each way


def write_comparison(folder: Path, title: str, comparison: Comparison, data: LabelledImages) -> None:
    """`report.html`, its figures, `comparison.json` and `jobs.csv` in `folder`."""
    write_json(folder / "comparison.json", comparison.to_json())
    _write_jobs(folder / "jobs.csv", comparison)
    plates = [_seconds(comparison)]
    if comparison.verdicts:
        plates = [_differences(comparison), *plates, *_disagreements(comparison, data)]
    plan = comparison.plan
    facts: dict[str, dict[str, Any]] = {entry.name: entry.settings.model_dump() for entry in plan.entries}
    write_page(
        folder,
        "comparison.html",
        title=title,
        plates=plates,
        facts=facts | {"compute": environment(plan.entries[0].compute)},
        comparison=comparison,
        points=points,
        by_corruption=_by_alteration(comparison),
        tests=[(verdict, _tests(comparison, verdict)) for verdict in comparison.verdicts if comparison.is_full],
        by_class=_by_class(comparison),
    )


def _write_jobs(path: Path, comparison: Comparison) -> None:
    """A line a job: counts, seconds, and the cause where it failed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        counts = [f"right_{label.replace(' ', '_')}" for label in _labels(comparison)]
        writer.writerow(["contender", "seed", "fold", *counts, "images", "training_seconds", "cause", "key"])
        for entry, seed, number in comparison.plan.places():
            outcome = comparison.outcomes[entry.name, seed, number]
            correct = outcome.counts.tolist() or [""] * len(counts)
            seconds = round(outcome.training_seconds, 3)
            key = comparison.plan.job(entry, seed, number).key
            writer.writerow([entry.name, seed, number, *correct, len(outcome.sources), seconds, outcome.cause, key])


def _labels(comparison: Comparison) -> list[str]:
    """What each part is called: by its severity too where a corruption has several."""
    if not comparison.is_full:
        return [name for name, _ in comparison.plan.corruptions]
    return [name if name == CLEAN else f"{name} {level:.3g}" for name, level in comparison.plan.corruptions]


def _differences(comparison: Comparison) -> Plate:
    entries = {entry.name: entry for entry in comparison.plan.entries}
    pairs = {}
    for verdict in comparison.verdicts:
        better, other = (comparison.finished(entries[name]) for name in verdict.names)
        folds = [better[place].mean - other[place].mean for place in sorted(better.keys() & other.keys())]
        label = f"{verdict.names[0]}\nover {verdict.names[1]}"
        pairs[label] = (folds, verdict.difference.mean, verdict.difference.interval)
    return Plate(
        "differences",
        "Pair by pair, fold by fold",
        "Each small dot is one fold on which both were judged on the same images. Where the interval holds the line "
        "at 0, no difference is shown.",
        lambda theme: paired_differences(pairs, theme),
    )


def _seconds(comparison: Comparison) -> Plate:
    points = {
        entry.name: (entry.training_seconds(comparison.plan.fit), comparison.mean(entry), comparison.spread(entry))
        for entry in comparison.ranked
        if comparison.finished(entry)
    }
    return Plate(
        "accuracy_seconds",
        "Accuracy against seconds",
        "Higher and further left is better. The bars are one standard deviation of the jobs; the seconds are of one "
        "training with nothing beside it.",
        lambda theme: accuracy_against_seconds(points, theme),
    )


def _disagreements(comparison: Comparison, data: LabelledImages) -> list[Plate]:
    """Images that one of the two best reads correctly every time and the other never."""
    best, other = comparison.ranked[:2]
    n = comparison.plan.seeds * comparison.plan.folds
    if min(len(comparison.finished(best)), len(comparison.finished(other))) < n:
        return []
    plates = []
    for one, two in ((best, other), (other, best)):
        pixels, captions = _got_by_one(comparison, one, two, data)
        if not captions:
            continue
        told = f"what {two.name} said, and the severity" if comparison.is_full else f"and what {two.name} said"
        plates.append(
            Plate(
                f"{one.name}_not_{two.name}",
                f"Read by {one.name}, not by {two.name}",
                f"Held out, {one.name} read these correctly with every seed and {two.name} with none: the true class, "
                f"{told}.",
                lambda theme, pixels=pixels, captions=captions: mistakes(pixels, captions, theme),  # type: ignore[misc]
            )
        )
    return plates


def _got_by_one(
    comparison: Comparison, one: CandidateProfile, two: CandidateProfile, data: LabelledImages
) -> tuple[np.ndarray, list[str]]:
    mine, theirs = comparison.answers(one), comparison.answers(two)
    always = np.asarray(mine.correct.all(0) & ~theirs.correct.any(0))  # corruptions, n
    pixels, captions = [], []
    places = np.flatnonzero(always.any(0))
    for turn, place in enumerate(places[:: max(1, len(places) // SHOWN)][:SHOWN]):  # spread over the sources
        levels = np.flatnonzero(always[:, place])
        level = levels[turn % len(levels)]
        image = data.select(data.sources == mine.sources[place])
        name, severity = comparison.plan.corruptions[level]
        pixels.append(corrupt(image, name, severity).pixels[0])
        truth, said = comparison.classes[mine.truths[place]], comparison.classes[theirs.said[0, level, place]]
        at = f", {severity:.3g}" if comparison.is_full and severity else ""
        captions.append(f"{truth} → {said}{at}\n{name}")
    return np.stack(pixels) if pixels else data.pixels[:0], captions


def _by_alteration(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row a contender, a column a corruption, under their headings; of a full suite's many the other way round."""
    names = list(dict.fromkeys(name for name, _ in comparison.plan.corruptions))
    table = [("", *names)]
    for entry in comparison.ranked:
        shares = comparison.by_corruption(entry)
        table.append((entry.name, *(percent(shares[name]) if name in shares else "-" for name in names)))
    return list(zip(map(_written, table[0]), *table[1:], strict=True)) if comparison.is_full else table


def _written(name: str) -> str:
    """A corruption as reports write it: "fog-like" where it agrees with MNIST-C's only in kind."""
    return f"{name}-like" if name in CORRUPTIONS and CORRUPTIONS[name].in_kind else name


def _tests(comparison: Comparison, verdict: Verdict) -> list[tuple[str, ...]]:
    """A row a corruption of one pair: the difference in points, its interval, and p."""
    return [
        (_written(name), signed(each.difference.mean), points(each.difference.interval), f"{each.p:.2g}")
        for name, each in comparison.tested(verdict).items()
    ]


def _by_class(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row a class: the share of its images that each contender reads correctly, weighted as in the mean."""
    columns = []
    for entry in comparison.ranked:
        finished = list(comparison.finished(entry).values())
        if not finished:
            columns.append(["-"] * len(comparison.classes))
            continue
        truths = np.concatenate([outcome.truths for outcome in finished])
        correct = np.concatenate([outcome.hits / outcome.weights.sum() for outcome in finished])
        total = np.bincount(truths, minlength=len(comparison.classes))
        hits = np.bincount(truths, weights=correct, minlength=len(comparison.classes))
        columns.append([percent(hit / n) if n else "-" for hit, n in zip(hits, total, strict=True)])
    return list(zip(comparison.classes, *columns, strict=True))
