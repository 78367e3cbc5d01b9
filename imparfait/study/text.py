"""Every sentence about the study's claims and results."""

from collections.abc import Mapping, Sequence

from imparfait.core.counts import counted
from imparfait.evaluation.intervals import Interval
from imparfait.evaluation.statistics import Verdict
from imparfait.reports.text import duration, percent, percent_range, verdict_sentence
from imparfait.study.claims import SIMILAR, Claim, Study
from imparfait.study.final_runs import FinalRun
from imparfait.study.plan import Stage, StudyPlan

STATEMENTS: Mapping[Claim, str] = {
    "clean": "over 99 % on clean MNIST is easy",
    "corrupted": "the same network fails on corrupted digits",
    "augmented": "a CNN trained on the study's augmentation classifies 98 % of the 30,000 test images",
    "similar": "CNN×GRU is about as accurate",
    "slower": "CNN×GRU is considerably slower",
    "rnn": "an RNN alone does not beat a CNN",
    "two_convolutions": "two convolutions before each pooling are better than one",
    "follow_up_cnn": "follow-up: a CNN trained on the balanced augmentation reaches 98.29 %",
    "follow_up_gru": "follow-up: CNN+RNN, trained on the balanced augmentation, reaches 98.45 %",
}


def summary(study: Study) -> tuple[str, str]:
    """The result in two sentences: on the two networks, and on their augmentations."""
    clean, augmented = study.finals["cnn, clean only"], study.finals["cnn"]
    return (
        f"{verdict_sentence(study.verdict)}; cnn_gru takes {study.time_ratio:.1f} times as long to train "
        f"and has {study.size_ratio:.1f} times as many parameters.",
        f"Trained on clean digits only, cnn classifies {percent(clean.accuracy('clean'))} of clean digits and "
        f"{percent(clean.corrupted_accuracy)} of corrupted ones; trained on the study's augmentation, "
        f"{percent(augmented.accuracy('clean'))} and {percent(augmented.corrupted_accuracy)}.",
    )


def claim_rows(study: Study) -> list[tuple[str, str, str]]:
    """For each claim its statement, its outcome, and what was measured."""
    evidence = _evidence(study)
    return [(STATEMENTS[claim], outcome, evidence[claim]) for claim, outcome in study.outcomes().items()]


def final_rows(finals: Mapping[str, FinalRun]) -> list[tuple[str, ...]]:
    """For each final network its accuracies, their mean, and the duration of its training."""
    return [
        (
            final.name,
            *(percent(final.accuracy(corruption)) for corruption in final.confusion),
            percent(final.mean),
            duration(final.seconds),
        )
        for final in finals.values()
    ]


def stage_lines(plan: StudyPlan, stages: Sequence[Stage]) -> list[str]:
    """The stages with their jobs and predicted duration, and the total."""
    rows = [
        f"  {stage.name:36}{stage.jobs:>5} job{'s' * (stage.jobs != 1):1}{duration(stage.seconds):>10}"
        for stage in stages
    ]
    at_once = f"{counted(plan.pair.workers, 'job')} at once"
    return [
        f"predicted from measured throughput, {at_once}; finished work is not repeated:",
        *rows,
        f"  {'total':46}{duration(plan.seconds(stages)):>10}",
    ]


def _evidence(study: Study) -> dict[Claim, str]:
    clean, augmented, balanced = (study.finals[name] for name in ("cnn, clean only", "cnn", "cnn, balanced"))
    balanced_gru = study.finals.get("cnn_gru, balanced")
    loss = clean.accuracy("clean") - clean.corrupted_accuracy
    clean_accuracy = _with_interval(clean.accuracy("clean"), clean.interval_of("clean"))
    return {
        "clean": f"cnn, trained on clean digits only: {clean_accuracy}",
        "corrupted": f"{percent(clean.corrupted_accuracy)} of corrupted digits, {100 * loss:.1f} points less",
        "augmented": f"core mean {_with_interval(augmented.mean, augmented.interval)}",
        "similar": f"{verdict_sentence(study.verdict)} (similar: less than {100 * SIMILAR:g} points apart)",
        "slower": f"it takes {study.time_ratio:.1f} times as long to train",
        "rnn": _verdict_or_nothing(study.ablation_verdict("rnn")),
        "two_convolutions": _verdict_or_nothing(study.ablation_verdict("cnn_one_convolution")),
        "follow_up_cnn": f"core mean {_with_interval(balanced.mean, balanced.interval)}",
        "follow_up_gru": (
            f"core mean {_with_interval(balanced_gru.mean, balanced_gru.interval)}"
            if balanced_gru
            else "not in the time budget: 20 epochs of cnn_gru; --larger trains it"
        ),
    }


def _with_interval(share: float, interval: Interval) -> str:
    return f"{percent(share)} ({percent_range(interval)})"


def _verdict_or_nothing(verdict: Verdict | None) -> str:
    return verdict_sentence(verdict) if verdict else "too few jobs finished"
