"""Every sentence and formatted number about an evaluation; those about comparisons and searches use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from imparfait.core.storage import printable
from imparfait.data.corrupted import CORE_SUITE
from imparfait.evaluation.intervals import GroupInterval, Interval
from imparfait.evaluation.robustness import CROSSING_ACCURACY, CROSSING_SHARE, CorruptionSummary, SuiteResult
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.statistics import Verdict
from imparfait.evaluation.suspect_labels import SuspectLabel

if TYPE_CHECKING:
    from imparfait.data.sealed_test import TestAccess
    from imparfait.evaluation.external.infer_spec import InferredSpec
    from imparfait.reports.evaluation import EvaluationReport

NONE = "–"  # an empty cell of a table
LOWEST_RECALLS = 3  # classes in a sentence
SCORES_HEADINGS = ("images", "correct", "accuracy", "95 % interval")
MUCH_WIDER = 1.25  # times the interval over images: images of one group then are alike, whatever the chance of sampling
UNKNOWN_TRAINING = "Its training data are not known; they may have contained these images."


def percent(share: float) -> str:
    """0.9968 as "99.68 %"."""
    return f"{100 * share:.2f} %"


def percent_range(interval: Interval) -> str:
    """(0.9955, 0.9977) as "99.55 – 99.77"."""
    return " – ".join(f"{100 * end:.2f}" for end in interval)


def points(interval: Interval) -> str:
    """A difference's interval (-0.0005, 0.0009) as "−0.05 to 0.09", in percentage points."""
    return " to ".join(f"{100 * end:.2f}" for end in interval).replace("-", "\N{MINUS SIGN}")


def signed_points(share: float) -> str:
    """A difference of -0.0005 as "−0.05", in percentage points."""
    return f"{100 * share:+.2f}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    """Seconds as "45 s", "12 min" or "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def verdict_sentence(verdict: Verdict) -> str:
    """Which of a pair is better, and by how much; or that no difference is shown, and which would have been."""
    found = verdict.difference
    low, high = found.interval if found.mean >= 0 else (-found.interval[1], -found.interval[0])
    interval = max(low, -1.0), min(high, 1.0)  # the t test does not know that accuracies end at 0 and 1
    pair, ahead = f"{verdict.better} and {verdict.other}", f"{100 * abs(found.mean):.2f} points"
    if verdict.is_significant:
        sentence = f"{verdict.better} is better than {verdict.other} by {ahead} (95 %: {points(interval)})"
    elif found.error == 0:
        where = f"on each of {verdict.jobs} folds" if verdict.jobs else "on all images"
        sentence = f"{pair}: no difference shown: {ahead} {where}, so there is no spread to test by"
    else:
        after = f" after correction for {verdict.pairs} pairs" if interval[0] > 0 else ""
        sentence = (
            f"{pair}: no difference shown{after}: {ahead} (95 %: {points(interval)}); "
            + (f"more than {100 * verdict.detectable:.2f} would have been significant" if verdict.detectable < 1
               else "with so little data no difference would have been significant")
        )  # fmt: skip
    if len(verdict.single_runs) == 2:
        return f"{sentence}; each is a single training run, so this says nothing about their recipes"
    if verdict.single_runs:
        return f"{sentence}; {verdict.single_runs[0]} is a single training run, so this says nothing about its recipe"
    return sentence


def corruption_label(corruption: str) -> str:
    """A name in words: "glass blur (similar)" where it only resembles the published one; the user's own as it is."""
    from imparfait.corruptions import ALL_CORRUPTIONS, PHOTO

    known = ALL_CORRUPTIONS.get(corruption)
    if known is None:
        return corruption
    return f"{corruption.removeprefix(PHOTO).replace('_', ' ')}{' (similar)' if known.in_kind else ''}"


def severity_number(corruption: str, severity: float) -> str:
    """A severity as reports show it: "0.6", and for photographs the published level, "3"."""
    from imparfait.corruptions import PHOTO
    from imparfait.corruptions.photo.levels import LEVELS

    return f"{LEVELS * severity if corruption.startswith(PHOTO) else severity:.3g}"


def severity_text(corruption: str, severity: float) -> str:
    """ "severity 0.6", and for photographs "level 3"."""
    from imparfait.corruptions import PHOTO

    return f"{'level' if corruption.startswith(PHOTO) else 'severity'} {severity_number(corruption, severity)}"


def crossing_level(is_of_photos: bool) -> str:
    """The accuracy below which a model counts as broken, in words."""
    return f"{100 * CROSSING_SHARE:.0f} % of the clean accuracy" if is_of_photos else f"{100 * CROSSING_ACCURACY:.0f} %"


def crossing_text(summary: CorruptionSummary) -> str:
    """The severity or level where accuracy falls below 95 %, with its interval: "0.32 (0.30 – 0.34)"."""
    found = summary.crossing

    def shown(severity: float) -> str:
        return severity_number(summary.corruption, severity) if summary.is_of_photos else f"{severity:.2f}"

    if len(summary.severities) == 1:  # nothing is known between clean and this one level
        return "at its only level" if summary.accuracy < CROSSING_ACCURACY else "not reached"
    if found.severity is None:
        return "not reached" if found.low is None else f"not reached (≥ {shown(found.low)})"
    if found.severity == 0:
        return "already clean"
    if found.severity < summary.severities[0]:  # a straight line from clean cannot tell where
        return f"below {severity_number(summary.corruption, summary.severities[0])}"
    low, high = ("beyond" if end is None else shown(end) for end in (found.low, found.high))
    return f"{shown(found.severity)} ({low} – {high})"


def breaking_sentences(summaries: Sequence[CorruptionSummary]) -> list[str]:
    """Under which corruption a model breaks first, where it is worst, and which corruptions it withstands."""
    lowest = min(summaries, key=lambda summary: min(summary.accuracies))
    at = int(np.argmin(lowest.accuracies))
    level = crossing_level(lowest.is_of_photos)
    hardest = f"{corruption_label(lowest.corruption)} at {severity_text(lowest.corruption, lowest.severities[at])}"
    worst = f"lowest accuracy: {percent(lowest.accuracies[at])}, under {hardest}"
    if any(summary.crossing.severity == 0 for summary in summaries):
        return [f"Accuracy is below {level} even on clean images; {worst}."]
    # Below a single level nothing is known.
    reached = [s for s in summaries if s.crossing.severity is not None and len(s.severities) > 1]
    sentences = [f"{worst[0].upper()}{worst[1:]}."]
    if reached:
        first = min(reached, key=lambda summary: summary.crossing.severity or 0)
        scale = "level" if first.is_of_photos else "severity"
        where = f"under {corruption_label(first.corruption)}, at {scale} {crossing_text(first)}"
        sentences = [f"Accuracy first falls below {level} {where}; {worst}."]
    unbroken = [corruption_label(s.corruption) for s in summaries if s.crossing.severity is None]
    return [*sentences, f"Never below {level}: {', '.join(unbroken)}."] if unbroken else sentences


def mean_label(scores: Scores) -> str:
    """The name of the mean over conditions."""
    names = tuple((score.corruption, score.severity) for score in scores.scores)
    plain = "core mean" if names == CORE_SUITE else f"mean of {len(names)} conditions"
    return "suite mean" if scores.is_full else plain


def scores_rows(scores: Scores) -> list[tuple[str, str, str, str]]:
    """A table row per condition and for the mean, under SCORES_HEADINGS."""
    names = [score.corruption for score in scores.scores]
    rows = [
        (
            corruption_label(score.corruption)
            + (f" {severity_number(score.corruption, score.severity)}" if names.count(score.corruption) > 1 else ""),
            f"{score.correct}/{score.total}",
            percent(score.accuracy),
            percent_range(score.interval),
        )
        for score in scores.scores
    ]
    of_mean = percent_range(scores.shown_mean_interval) if scores.shown_mean_interval else NONE
    mean = (mean_label(scores), "", percent(scores.mean), of_mean)
    return [*rows, mean] if len(rows) > 1 else rows


def recall_sentence(scores: Scores) -> str:
    """The recalls of the classes under the first condition: their mean, and the lowest with their images."""
    first = scores.conditions[0]
    confusion = first.confusion()
    totals = confusion.sum(1)
    known = np.flatnonzero(totals)
    recalls = confusion.diagonal()[known] / totals[known]
    lowest = [
        f"{printable(scores.classes[known[at]], 40)} {percent(recalls[at])} of {totals[known[at]]:,}"
        for at in recalls.argsort(kind="stable")[:LOWEST_RECALLS]
    ]
    missing = [printable(name, 40) for name, total in zip(scores.classes, totals, strict=True) if not total]
    without = f"; no images of {', '.join(missing[:LOWEST_RECALLS])}" if missing else ""
    without += f" and {len(missing) - LOWEST_RECALLS} more classes" if len(missing) > LOWEST_RECALLS else ""
    mean = f"{percent(recalls.mean())} in the mean"
    return f"recall by class, {first.corruption}: {mean}; lowest {', '.join(lowest)}{without}"


def suspects_sentence(suspects: Sequence[SuspectLabel], classes: Sequence[str], files: Sequence[str]) -> str:
    """How many labels are probably wrong, and the most suspect; empty for none."""
    if not suspects:
        return ""
    first = suspects[0]
    name = files[first.source] if files else f"image {first.source}"
    label, likely = (printable(classes[index], 40) for index in (first.label, first.likely))
    return (
        f"{len(suspects)} label{'s are' if len(suspects) > 1 else ' is'} perhaps wrong, such as {printable(name)}, "
        f"labelled {label} and predicted {likely}, {percent(first.probability)}: see suspect_labels.csv"
    )


def group_sentence(images: Interval, groups: GroupInterval | None, known: int = 0) -> str:
    """The interval over groups beside the one over images, and which to expect; empty without groups.

    `known` of the groups have training images too.
    """
    if groups is None:
        return f"{known} of its groups {_have(known)} training images too: expect less on new groups" if known else ""
    over = f"95 %: {points(images)} over images, {points(groups.interval)} over {groups.groups} groups"
    if known:
        return f"{over}; {known} of them {_have(known)} training images too: expect less on new groups"
    wider = groups.interval[1] - groups.interval[0] > MUCH_WIDER * (images[1] - images[0])
    return f"{over}: expect the wider on images of new groups" if wider else over


def _have(count: int) -> str:
    return "have" if count > 1 else "has"


def suite_summary(suite: SuiteResult) -> str:
    """The headline accuracies of a model, in one line."""
    parts = [f"clean {percent(suite.clean.score.accuracy)}"]
    parts += [f"core mean {percent(suite.core_mean)}"] if suite.core_mean is not None else []
    parts += [f"ImageNet-C's 15 {percent(suite.imagenet_c_mean)}"] if suite.imagenet_c_mean is not None else []
    return ", ".join([*parts, f"suite mean {percent(suite.mean)}"] if suite.is_full else parts)


def access_sentence(access: TestAccess) -> str:
    """How often the test set has been used."""
    return f"test access {access.times} to these images, according to the ledger {access.ledger}"


def spec_sentence(spec: InferredSpec) -> str:
    """How an external model takes its input, where that is known from, and how clearly."""
    taken = _spec_fields(spec)
    fields = ", ".join(f"{name.replace('_', ' ')} {value} ({spec.origins[name]})" for name, value in taken.items())
    if len(spec.trials) < 2:
        return fields
    best, other = spec.trials[:2]
    differs = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in asdict(other.spec).items()
        if name in spec.origins and value != getattr(spec.spec, name)
    ]
    return (
        f"{fields}; {best.correct} of {best.total} validation images correct ({best.accuracy:.1%}), next best "
        f"({', '.join(differs)}) {other.accuracy:.1%}; log loss {best.log_loss:.2g} and {other.log_loss:.2g}"
    )


def _spec_fields(spec: InferredSpec) -> dict[str, str]:
    """The fields of a specification that say something, in words."""
    taken = {name: str(getattr(spec.spec, name)) for name in spec.origins}
    if spec.spec.mean:
        mean, std = (",".join(f"{value:g}" for value in values) for values in (spec.spec.mean, spec.spec.std))
        taken["value_range"] = f"mean {mean} and std {std}"
    if spec.spec.outputs == "sigmoid":
        taken["outputs"] = "sigmoid, divided by their sum"
    if spec.fitted:
        taken["fit"] = spec.fitted
    if spec.spec.classes:
        taken["classes"] = f"by name, {len(spec.spec.classes)} outputs"
    return taken


Table = tuple[Sequence[str], list[tuple[str, ...]], Sequence[str]]
"""Headings, rows, and a last row that stands apart."""


def evaluation_table(report: EvaluationReport) -> Table:
    """The table that `evaluate` prints: conditions, corruptions or models."""
    suites = list(report.suites.items())
    if report.evaluation is None:
        *conditions, mean = scores_rows(suites[0][1].scores)
        return SCORES_HEADINGS, [*conditions], mean
    if len(suites) > 1:
        return ("model", "accuracy"), [(name, suite_summary(suite)) for name, suite in suites], ()
    suite = suites[0][1]
    rows = [
        (corruption_label(one.corruption), percent(one.accuracy), percent(min(one.accuracies)))
        for one in suite.corruptions
    ]
    return ("corruption", "mean", "worst"), [*rows], ("suite mean", percent(suite.mean), "")


def evaluation_lines(report: EvaluationReport) -> list[str]:
    """What `evaluate` prints below the table: verdicts, inputs of external models, images, and the report's path."""
    lines = []
    if report.evaluation:
        lines = list(map(verdict_sentence, report.evaluation.verdicts))
        lines = [suite_summary(suite) for suite in report.suites.values()] if len(report.suites) == 1 else lines
    lines += [f"input of {name}: {note}" for name, note in report.notes.items()]
    return [*lines, report.measured_on, *report.over_groups, f"report: {report.folder / 'report.html'}"]
