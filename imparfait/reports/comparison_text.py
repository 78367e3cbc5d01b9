"""Every sentence and table row about plans, comparisons and searches."""

from collections import Counter

import numpy as np

from imparfait.core.counts import counted
from imparfait.evaluation.intervals import wilson_interval
from imparfait.evaluation.suite import CLEAN
from imparfait.reports.text import duration, group_sentence, percent, points, signed_points, verdict_sentence
from imparfait.selection.comparison import Comparison
from imparfait.selection.intervals import AllImages
from imparfait.selection.plan import Plan, Reduction
from imparfait.selection.search import SearchRun
from imparfait.selection.search_result import ENOUGH_REPEATS, MethodComparison, SearchResult
from imparfait.selection.search_space import Value, values_of

REDUCTION_EFFECTS = {
    "seeds": "smaller differences will not be significant",
    "epochs": "candidates are compared at an earlier stage of training",
    "images": "all candidates are less accurate than they could be",
}
PIXEL_SETTINGS = ("augmentation", "ood_fraction", "batch_size", "epochs", "seed")
"""Where these agree, candidates are trained on identical pixels."""


def plan_lines(plan: Plan) -> list[str]:
    """Jobs and their predicted duration, a line per candidate."""
    n = plan.seeds * plan.folds
    lines = [
        f"{profile.name}: {n} jobs × {plan.job_seconds(profile.name):.1f} s "
        f"({_counted(profile.settings.epochs, 'epoch')} of {plan.fit:,} images, "
        f"batch size {profile.settings.batch_size}, {profile.train_throughput:,.0f} images/s alone)"
        for profile in plan.profiles
    ]
    total = f"{len(plan.profiles) * n} jobs, {plan.workers} at once: about {duration(plan.seconds)}"
    return [*lines, total, *map(reduction_sentence, plan.reductions)]


def reduction_sentence(reduction: Reduction) -> str:
    """What a plan gave up to keep within its time, and the effect."""
    planned, wanted = (", ".join(f"{n:,}" for n in dict.fromkeys(ns)) for ns in (reduction.planned, reduction.wanted))
    noun = reduction.what.removesuffix("s") if planned == "1" else reduction.what
    return f"{planned} {noun} instead of {wanted} to keep within the time: {REDUCTION_EFFECTS[reduction.what]}"


def mean_name(comparison: Comparison) -> str:
    """The name of the accuracy that is compared."""
    return "suite mean" if comparison.is_full else "core mean"


def comparison_headings(comparison: Comparison) -> tuple[str, ...]:
    """Column headings of `comparison_rows`."""
    return "candidate", mean_name(comparison), "sd", "jobs", "training", "images/s", "parameters"


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row per candidate, the best first."""
    rows: list[tuple[str, ...]] = []
    for name in comparison.ranked:
        mean, spread, profile = comparison.mean(name), comparison.spread(name), comparison.plan.profile(name)
        n, planned = len(comparison.finished(name)), comparison.planned
        rows.append(
            (
                name,
                "-" if mean is None else percent(mean),
                "-" if spread is None else f"{100 * spread:.2f}",
                f"{n}" if n == planned else f"{n} of {planned}",
                f"{profile.training_seconds(comparison.plan.fit):,.1f} s",
                f"{profile.train_throughput:,.0f}",
                f"{profile.num_parameters:,}",
            )
        )
    return rows


def comparison_remarks(comparison: Comparison) -> list[str]:
    """The conditions of the table."""
    plan = comparison.plan
    images = "all" if plan.images is None else f"{plan.sources:,} of the"
    computes = " or ".join(sorted({str(profile.compute) for profile in plan.profiles}))
    remarks = [
        f"sd over jobs: {plan.folds} folds × {_counted(plan.seeds, 'seed')} of {images} training images, "
        + ("each fold one group" if plan.leave_one_group_out else "with a new random split per seed"),
        f"training time and images/s measured alone on {computes}",
    ]
    if plan.groups:
        remarks.append(
            "no group is on both sides of a split; in the mean all folds count the same, whatever their size"
        )
        found = {profile.name: comparison.all_images(profile.name) for profile in plan.profiles}
        remarks += [f"{name}: {_on_all_images(own)}" for name, own in found.items() if own]
    if comparison.is_full:
        n = len({name for name, _ in plan.corruptions} - {CLEAN})
        remarks.append(
            f"the mean is over {counted(n, 'corruption')}, each averaged over its severities; clean is not included"
        )
    differing = [n for n in PIXEL_SETTINGS if len({getattr(p.settings, n) for p in plan.profiles}) > 1]
    remarks.append(
        f"not trained on identical pixels: the candidates differ in {' and '.join(differing)}"
        if differing
        else "all candidates were trained on identical pixels"
    )
    other_epochs = [p for p in plan.profiles if p.own_epochs != p.settings.epochs]
    if other_epochs:
        listed = ", ".join(f"{p.name} {p.settings.epochs} instead of {p.own_epochs}" for p in other_epochs)
        remarks.append(f"evaluated after other epochs than their own: {listed}")
    for profile in plan.profiles:
        causes = Counter(comparison.causes(profile.name))
        remarks += [f"{profile.name}: {_counted(n, 'job')} failed: {cause}" for cause, n in causes.items()]
    remarks += _failure_rates(comparison)
    if len(comparison.verdicts) > 1:
        remarks.append(f"the verdicts are adjusted for {len(comparison.verdicts)} pairs (Holm)")
    return remarks


def _failure_rates(comparison: Comparison) -> list[str]:
    """How often trainings failed, apart from the accuracies of the others; nothing where none did."""
    failed = {profile.name: len(comparison.causes(profile.name)) for profile in comparison.plan.profiles}
    if not any(failed.values()):
        return []
    planned = comparison.planned
    rates = ", ".join(
        f"{name} {n} of {planned} (95 %: {points(wilson_interval(n, planned))} %)" for name, n in failed.items()
    )
    return [f"failed trainings are counted apart, and accuracies compared where both trained: {rates}"]


def comparison_sentences(comparison: Comparison) -> list[str]:
    """The conditions of the table, then the verdicts."""
    return [*comparison_remarks(comparison), *map(verdict_sentence, comparison.verdicts)]


def search_plan(run: SearchRun) -> str:
    """What a search varies, its jobs, and their predicted duration."""
    search = run.searches[0]
    start = f"{_counted(search.start.epochs, 'epoch')} and batch size {search.start.batch_size} at the start"
    varied = ", ".join(search.space)
    jobs = f"{counted(run.num_jobs, 'job')} × about {run.job_seconds:.1f} s, {run.executor.workers} at once"
    return f"{run.profile.name} ({start}), varying {varied}: {jobs}: {duration(run.seconds)}"


def best_so_far(run: SearchRun) -> str:
    """The best accuracy that a running search has seen."""
    best = run.best
    return f"best so far {percent(best.mean)}" if best and best.mean is not None else ""


def search_headings(result: SearchResult) -> tuple[str, str, str]:
    """Column headings of `search_rows`."""
    return "setting", f"at the start ({result.name})", "found"


def search_rows(result: SearchResult) -> list[tuple[str, str, str]]:
    """Each setting that was varied: its starting value and the value found."""
    if not result.best:
        return []
    before = values_of(result.start, result.space)
    return [(name, _short(before.get(name, "-")), _short(value)) for name, value in result.best[1].values.items()]


def search_sentences(result: SearchResult) -> list[str]:
    """The accuracy of the settings found, whether they are better than the starting ones, and what failed."""
    sentences = [_accuracy_sentence(result)]
    if result.best and result.best[1].settings == result.start:
        sentences.append(f"no better settings than those of {result.name} were found")
    elif result.verdict:
        sentences.append(verdict_sentence(result.verdict))
    if result.method_comparison:
        sentences.append(method_sentence(result.method_comparison))
    if result.all_images:
        sentences.append(f"the settings found: {_on_all_images(result.all_images)}")
    for what, causes in (("trials", result.trial_causes), ("jobs on fresh splits", result.confirmation_causes)):
        failed = [cause for cause in causes if cause]
        if failed:
            sentences.append(f"{len(failed)} of {len(causes)} {what} failed, for example: {failed[0]}")
    return [*sentences, f"each job trained on {result.fit:,} images and was evaluated on {result.held_out:,} others"]


def _accuracy_sentence(result: SearchResult) -> str:
    if not result.best or result.accuracy is None or result.interval is None:
        return "nothing was found: no winner finished its jobs"
    during = result.best[1].mean
    assert during is not None
    return (
        f"accuracy of the settings found: {percent(result.accuracy)} on splits and seeds that no trial used "
        f"(95 %: {points(result.interval)}); {percent(during)} in the search itself"
    )


def method_sentence(methods: MethodComparison) -> str:
    """How two search methods compare at equal cost."""
    n, difference = len(methods.differences), methods.difference
    if n == 0:
        return f"{methods.second} and {methods.first} cannot be compared: no repeat has a winner of both"
    ahead = f"{signed_points(float(np.mean(methods.differences)))} points"
    sentence = f"{methods.second} minus {methods.first}, at equal cost, {_counted(n, 'repeat')}: {ahead}"
    if not difference or not methods.is_tested:
        spread = f" ({points((min(methods.differences), max(methods.differences)))})" if n > 1 else ""
        return f"{sentence}{spread}; described, not tested, with fewer than {ENOUGH_REPEATS} repeats"
    low, high = difference.interval
    shown = "a difference" if low > 0 or high < 0 else "no difference shown"
    return f"{sentence} (95 %: {points((low, high))}): {shown}"


def _on_all_images(found: AllImages) -> str:
    return f"{percent(found.accuracy)} of all held-out images; {group_sentence(found.interval, found.group_interval)}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
