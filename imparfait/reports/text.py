"""Every sentence and formatted number about a result."""

from imparfait.evaluation.statistics import Interval, Verdict


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
    interval = found.interval if found.mean >= 0 else (-found.interval[1], -found.interval[0])
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
            f"more than {100 * verdict.detectable:.2f} would have been significant"
        )
    if len(verdict.single_runs) == 2:
        return f"{sentence}; each is a single training run, so this says nothing about their recipes"
    if verdict.single_runs:
        return f"{sentence}; {verdict.single_runs[0]} is a single training run, so this says nothing about its recipe"
    return sentence
