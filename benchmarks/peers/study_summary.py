"""Scores and figure of study.py, from its rows per epoch."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator

from imparfait.core.storage import write_json
from imparfait.reports.figures.drawing import LIGHT, as_file, figure_on

GOAL = 98.0  # percent, core mean
CORE_SUITE = ("clean", "geometric", "shrunk")
EXACT, FAST, BETTER = "imparfait, float32", "imparfait, bfloat16", "imparfait, default recipe"
STEPS = {EXACT: "framework", FAST: "bfloat16", BETTER: "recipe and network"}
"""What each system changes relative to the previous one."""
DIFFERENCE = "largest_difference_of_probabilities_with_equal_weights"


def seconds_to(goal: float, rows: Sequence[dict]) -> float | None:
    """Training seconds until the core mean reaches `goal`, interpolated between epochs; None if not reached."""
    previous = None
    for row in rows:
        if row["core_mean"] >= goal:
            if previous is None:
                return row["seconds_so_far"]
            rise = row["core_mean"] - previous["core_mean"]
            share = (goal - previous["core_mean"]) / rise
            return previous["seconds_so_far"] + share * row["seconds"]
        previous = row
    return None


def over_seeds(values: Sequence[float | None], digits: int = 2) -> dict[str, object] | str:
    """Mean and range over seeds, where all seeds have a value."""
    reached = [value for value in values if value is not None]
    if not reached:
        return "not reached"
    rounded = [round(value, digits) if value is not None else "not reached" for value in values]
    if len(reached) < len(values):
        return {"seeds": rounded}
    mean = round(statistics.mean(reached), digits)
    return {"mean": mean, "range": [min(rounded), max(rounded)], "seeds": rounded}


def ratios(over: Sequence[float | None], under: Sequence[float | None]) -> list[float | None]:
    """Ratios seed by seed, None where one is missing."""
    return [a / b if a is not None and b is not None else None for a, b in zip(over, under, strict=True)]


def summary(courses: Mapping[str, Sequence[Sequence[dict]]]) -> dict:
    """Scores from the rows of each system, seed and epoch."""
    systems: dict[str, dict] = {}
    per_epoch, reached = {}, {}
    for name, seeds in courses.items():
        epoch_seconds = [row["seconds"] for rows in seeds for row in rows]
        per_epoch[name] = [statistics.median(row["seconds"] for row in rows) for rows in seeds]
        reached[name] = [seconds_to(GOAL, rows) for rows in seeds]
        last = [rows[-1] for rows in seeds]
        systems[name] = {
            "seconds_per_epoch": {
                "median": round(statistics.median(epoch_seconds), 2),
                "range": [min(epoch_seconds), max(epoch_seconds)],
                "epochs_measured": len(epoch_seconds),
            },
            f"seconds_to_{GOAL:g}_percent": over_seeds(reached[name]),
            "after_epochs": last[0]["epoch"],
            "core_mean": over_seeds([row["core_mean"] for row in last], 3),
            "correct": {part: [row["correct"][part] for row in last] for part in CORE_SUITE},
            "peak_memory_GiB": max(row["memory_GiB"] for row in last),
        }
        if "lead_over_keras" in last[0]:
            systems[name]["lead_over_keras"] = [[row["lead_over_keras"], row["lead_interval"]] for row in last]
    names = list(courses)
    factors = {}
    for previous, name in pairwise(names):
        seconds = reached if name == BETTER else per_epoch  # its epochs differ: only the time to the goal compares
        factors[STEPS[name]] = ratios(seconds[previous], seconds[name])
    product = [None if None in each else math.prod(each) for each in zip(*factors.values(), strict=True)]
    differences = [row[DIFFERENCE] for *_, row in courses[EXACT]]
    return {
        "systems": systems,
        "speed_up": {
            "of": f"framework, bfloat16: median seconds per epoch; recipe and network: seconds to {GOAL:g} %",
            **{name: over_seeds(each) for name, each in factors.items()},
            "product": over_seeds(product),
            f"keras's seconds to {GOAL:g} % / the default recipe's": over_seeds(
                ratios(reached["keras"], reached[BETTER])
            ),
        },
        "relative_to_keras": {
            name: {
                "seconds_per_epoch": over_seeds(ratios(per_epoch[name], per_epoch["keras"]), 3),
                f"seconds_to_{GOAL:g}_percent": over_seeds(ratios(reached[name], reached["keras"]), 3),
            }
            for name in names[1:]
        },
        DIFFERENCE: max(differences),
    }


def draw(courses: Mapping[str, Sequence[Sequence[dict]]]) -> bytes:
    """Core mean against training seconds: seeds thin, their mean thick."""
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
    axes.axhline(GOAL, color=LIGHT.ink, linewidth=1, linestyle="--")
    means = [row["core_mean"] for seeds in courses.values() for rows in seeds for row in rows]
    if max(means) > GOAL:
        axes.set_ylim(max(94.0, min(means) - 0.3), max(means) + 0.3)  # the first epochs are far below
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set(xlabel="seconds of training", ylabel="core mean in %, validation set")
    count = len(next(iter(courses.values())))
    title = f"mean of {count} seeds, each seed thin" if count > 1 else "1 seed"
    axes.legend(
        frameon=False, labelcolor=LIGHT.ink, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title
    )
    axes.get_legend().get_title().set(color=LIGHT.ink, fontsize=9)
    return as_file(figure, "png")


def report(out: Path, conditions: dict, systems: Iterable[str], done: Mapping[int, Sequence[dict]]) -> None:
    """Write scores and figure of the complete seeds."""
    seeds = sorted(done)
    courses = {name: [[row for row in done[seed] if row["system"] == name] for seed in seeds] for name in systems}
    write_json(out / "scores.json", {"conditions": conditions, "seeds": seeds} | (summary(courses) if seeds else {}))
    if seeds:
        (out / "core_mean_against_seconds.png").write_bytes(draw(courses))
