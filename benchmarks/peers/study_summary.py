"""What study.py found: the rows of its epochs as scores and as a figure."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator

from imparfait.core.storage import write_json
from imparfait.reports.figures import LIGHT, as_png
from imparfait.reports.figures.drawing import figure_on

WANTED = 98.0  # percent, on the core mean
CORE_SUITE = ("clean", "geometric", "shrunk")
EXACT, FAST, BETTER = "imparfait, float32", "imparfait, bfloat16", "imparfait, default recipe"
STEPS = {EXACT: "engine", FAST: "bfloat16", BETTER: "recipe and network"}
"""What each system changes of the one before it."""
APART = "largest_difference_of_probabilities_with_equal_weights"


def seconds_to(expected: float, rows: Sequence[dict]) -> float | None:
    """Seconds of training until the core mean is `expected`, in a line between epochs; None: not reached."""
    before = None
    for row in rows:
        if row["core_mean"] >= expected:
            if before is None:
                return row["seconds_so_far"]
            rise = row["core_mean"] - before["core_mean"]
            share = (expected - before["core_mean"]) / rise
            return before["seconds_so_far"] + share * row["seconds"]
        before = row
    return None


def over_seeds(values: Sequence[float | None], digits: int = 2) -> dict[str, object] | str:
    """Mean and range; there is none where a seed has not reached what is asked."""
    reached = [value for value in values if value is not None]
    if not reached:
        return "not reached"
    told = [round(value, digits) if value is not None else "not reached" for value in values]
    if len(reached) < len(values):
        return {"each_seed": told}
    mean = round(statistics.mean(reached), digits)
    return {"mean": mean, "range": [min(told), max(told)], "each_seed": told}


def ratios(over: Sequence[float | None], under: Sequence[float | None]) -> list[float | None]:
    return [a / b if a is not None and b is not None else None for a, b in zip(over, under, strict=True)]


def summary(courses: Mapping[str, Sequence[Sequence[dict]]]) -> dict:
    """What the rows say, of each system the epochs of each seed."""
    systems: dict[str, dict] = {}
    pace, reached = {}, {}
    for name, seeds in courses.items():
        every = [row["seconds"] for rows in seeds for row in rows]
        pace[name] = [statistics.median(row["seconds"] for row in rows) for rows in seeds]
        reached[name] = [seconds_to(WANTED, rows) for rows in seeds]
        last = [rows[-1] for rows in seeds]
        systems[name] = {
            "seconds_an_epoch": {
                "median": round(statistics.median(every), 2),
                "range": [min(every), max(every)],
                "epochs_measured": len(every),
            },
            f"seconds_to_{WANTED:g}_percent": over_seeds(reached[name]),
            "after_epochs": last[0]["epoch"],
            "core_mean": over_seeds([row["core_mean"] for row in last], 3),
            "correct": {part: [row["correct"][part] for row in last] for part in CORE_SUITE},
            "peak_memory_GiB": max(row["memory_GiB"] for row in last),
        }
        if "ahead_of_keras" in last[0]:
            systems[name]["ahead_of_keras"] = [[row["ahead_of_keras"], row["ahead_interval"]] for row in last]
    names = list(courses)
    factors = {}
    for before, name in pairwise(names):
        of = reached if name == BETTER else pace  # its epochs are others: only the whole way can be compared
        factors[STEPS[name]] = ratios(of[before], of[name])
    product = [None if None in each else math.prod(each) for each in zip(*factors.values(), strict=True)]
    apart = [row[APART] for *_, row in courses[EXACT]]
    return {
        "systems": systems,
        "speed_up": {
            "of": f"executor, bfloat16: median seconds an epoch; recipe and network: seconds to {WANTED:g} %",
            **{name: over_seeds(each) for name, each in factors.items()},
            "product": over_seeds(product),
            f"keras's seconds to {WANTED:g} % / the default recipe's": over_seeds(
                ratios(reached["keras"], reached[BETTER])
            ),
        },
        "relative_to_keras": {
            name: {
                "seconds_an_epoch": over_seeds(ratios(pace[name], pace["keras"]), 3),
                f"seconds_to_{WANTED:g}_percent": over_seeds(ratios(reached[name], reached["keras"]), 3),
            }
            for name in names[1:]
        },
        APART: max(apart),
    }


def drawn(courses: Mapping[str, Sequence[Sequence[dict]]]) -> bytes:
    """The core mean against seconds of training: each seed thin, the mean over seeds thick."""
    figure, axes = figure_on(LIGHT, 10, 4.2)
    for index, (name, seeds) in enumerate(courses.items()):
        colour = LIGHT.series[index]
        lines = np.array([[[row["seconds_so_far"], row["core_mean"]] for row in rows] for rows in seeds])
        for line in lines:
            axes.plot(*line.T, color=colour, linewidth=0.8, alpha=0.5)
        axes.plot(
            *lines.mean(0).T,
            "osD^"[index] + "-",
            color=colour,
            linewidth=2,
            markersize=5,
            label=name.replace("keras", "Keras, float32"),
        )
    axes.axhline(WANTED, color=LIGHT.ink, linewidth=1, linestyle="--")
    every = [row["core_mean"] for seeds in courses.values() for rows in seeds for row in rows]
    if max(every) > WANTED:
        axes.set_ylim(max(94.0, min(every) - 0.3), max(every) + 0.3)  # the first epochs are far below the rest
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set(xlabel="seconds of training", ylabel="core mean in %, validation images")
    count = len(next(iter(courses.values())))
    title = f"mean of {count} seeds, each seed thin" if count > 1 else "1 seed"
    axes.legend(
        frameon=False, labelcolor=LIGHT.ink, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title
    )
    axes.get_legend().get_title().set(color=LIGHT.ink, fontsize=9)
    return as_png(figure)


def tell(out: Path, conditions: dict, systems: Iterable[str], done: Mapping[int, Sequence[dict]]) -> None:
    """Write what the complete seeds say, and draw it."""
    seeds = sorted(done)
    courses = {name: [[row for row in done[seed] if row["system"] == name] for seed in seeds] for name in systems}
    write_json(out / "scores.json", {"conditions": conditions, "seeds": seeds} | (summary(courses) if seeds else {}))
    if seeds:
        (out / "accuracy_against_seconds.png").write_bytes(drawn(courses))
