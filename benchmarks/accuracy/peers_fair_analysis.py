"""Analysis of peers_fair.py: mean differences with seeds and images as crossed random effects, and a table."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from imparfait.evaluation.statistics import holm

OURS, PRIMARY = "default", ("stream", 60.0)
PRIMARY_AGAINST = ("plain", "deskew", "deotte", "keras-cnn")
FEW_STEPS = 0.85
"""Share of the median number of steps of the same contestant, below which a job was disturbed."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class CrossedMean:
    """The mean of a table of seeds and images, with the error for new seeds and new images."""

    mean: float
    error: float
    freedom: float

    @property
    def p(self) -> float:
        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        half = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error
        return self.mean - half, self.mean + half


def crossed_mean(values: np.ndarray) -> CrossedMean:
    """Mean of [seeds, images] where both are drawn at random and crossed.

    Its variance is (MS seeds + MS images - MS rest) / n, so what both share is not counted twice; never less than the
    part of the seeds or of the images alone. Degrees of freedom by Satterthwaite (Biometrics Bulletin 2, 1946).
    """
    seeds, images = values.shape
    by_seed, by_image, mean = values.mean(1), values.mean(0), float(values.mean())
    of_seeds = images * float(by_seed.var(ddof=1))
    of_images = seeds * float(by_image.var(ddof=1))
    rest = values - by_seed[:, None] - by_image + mean
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    total = max(of_seeds + of_images - of_rest, of_seeds, of_images)
    parts = of_seeds**2 / (seeds - 1) + of_images**2 / (images - 1) + of_rest**2 / ((seeds - 1) * (images - 1))
    freedom = max(total**2 / parts, seeds - 1) if parts else seeds - 1
    return CrossedMean(mean, float(np.sqrt(total / values.size)), freedom)


def shares_correct(row: Row) -> np.ndarray:
    """Of each scored image, the share of its conditions that were classified correctly; float64 [n]."""
    bits = [np.frombuffer(base64.b64decode(text), np.uint8) for text in row["correct_bits"].values()]
    return np.mean([np.unpackbits(each, count=row["scored_images"]) for each in bits], axis=0)


def compared(rows: Sequence[Row], first: str, second: str) -> tuple[CrossedMean, int] | None:
    """The first contestant less the second, over the seeds that both finished; None with fewer than two."""
    found = {(row["contestant"], row["seed"]): shares_correct(row) for row in rows}
    seeds = sorted(seed for name, seed in found if name == first and (second, seed) in found)
    if len(seeds) < 2:
        return None
    return crossed_mean(np.stack([found[first, seed] - found[second, seed] for seed in seeds])), len(seeds)


def analyse(rows: Sequence[Row], trials: Sequence[Row]) -> tuple[dict[str, Any], str]:
    """Scores for scores.json, and a table; the plan's primary comparison comes first."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["arm"], row["budget"]), []).append(row)
    scores: dict[str, Any] = {"primary": primary(groups.get(PRIMARY, [])), "parts": []}
    lines = [
        "| images | seconds | contestant | seeds | clean | geometric | shrunk | core mean (sd) | minus `default` |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (arm, budget), own in sorted(groups.items(), key=lambda each: (each[0][0] != "stream", each[0][1])):
        best_known = OURS if arm == "stream" else f"{OURS}-no-jitter"
        for name in sorted({row["contestant"] for row in own}):
            mine = [row for row in own if row["contestant"] == name]
            conditions = {
                each: float(np.mean([row["correct"][each] / row["scored_images"] for row in mine]))
                for each in mine[0]["correct"]
            }
            means = [row["core_mean"] for row in mine]
            spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
            part: dict[str, Any] = {
                "arm": arm, "budget": budget, "contestant": name, "seeds": len(mine), "accuracy": conditions,
                "core_mean": float(np.mean(means)), "sd": spread,
                "images_seen": float(np.mean([row["images_seen"] for row in mine])),
                "seconds": [row["seconds"] for row in mine], "threads_inside": mine[0]["threads_inside"],
                "precision": mine[0]["precision"], "factor": mine[0]["factor"],
                "load_average": [row["load_average"] for row in mine],
            }  # fmt: skip
            against = compared(own, name, best_known) if name != best_known else None
            if against:
                difference, seeds = against
                part["minus_default"] = {"mean": difference.mean, "interval": difference.interval(), "seeds": seeds}
            scores["parts"].append(part)
            lines.append(line_of(part, spread))
    edges = edge_factors(trials)
    scores |= {"tuned_at_the_edge": edges, "disturbed": (disturbed := disturbed_jobs(rows) + disturbed_jobs(trials))}
    notes = [
        f"Tuned to the end of the grid: {', '.join(edges) or 'none'}.",
        f"Disturbed by other work: {', '.join(disturbed) or 'none'}.",
    ]
    return scores, "\n".join([*lines, "", *notes, ""])


def line_of(part: Mapping[str, Any], spread: float | None) -> str:
    percent = " | ".join(f"{100 * part['accuracy'][name]:.2f}" for name in part["accuracy"])
    sd = f" ({100 * spread:.2f})" if spread is not None else ""
    difference = part.get("minus_default")
    less = (
        f"{100 * difference['mean']:+.2f} ({100 * difference['interval'][0]:+.2f} to "
        f"{100 * difference['interval'][1]:+.2f})"
        if difference
        else ""
    )
    return (
        f"| {part['arm']} | {part['budget']:g} | {part['contestant']} | {part['seeds']} | {percent} | "
        f"{100 * part['core_mean']:.2f}{sd} | {less} |"
    )


def primary(rows: Sequence[Row]) -> dict[str, Any]:
    """`default` less each other planned contestant: mean, 95 % interval, and Holm's adjusted p."""
    found = {name: result for name in PRIMARY_AGAINST if (result := compared(rows, OURS, name))}
    adjusted = holm([difference.p for difference, _ in found.values()]) if found else []
    return {
        name: {"mean": each.mean, "interval": each.interval(), "p": each.p, "p_holm": p, "seeds": seeds}
        for (name, (each, seeds)), p in zip(found.items(), adjusted, strict=True)
    }


def is_disturbed(row: Row, all_rows: Sequence[Row]) -> bool:
    """Whether other work took time from a job: a high load, or fewer steps than the same contestant makes elsewhere.

    Neither the seed nor the learning rate changes how long a step takes.
    """
    alike = [
        each["steps"] for each in all_rows if all(each[key] == row[key] for key in ("contestant", "arm", "budget"))
    ]
    return max(row["load_average"]) > row["threads_inside"] + 1 or row["steps"] < FEW_STEPS * float(np.median(alike))


def disturbed_jobs(rows: Sequence[Row]) -> list[str]:
    """Names of the jobs that other work disturbed."""
    return sorted(
        f"{row['arm']}-{row['contestant']}-{row['budget']:g}s-s{row['seed']}-x{row['factor']:g}"
        for row in rows
        if is_disturbed(row, rows)
    )


def best_factor(found: Mapping[float, float]) -> float:
    """The factor of the most accurate trial; among equals the nearest to 1."""
    return max(found, key=lambda factor: (found[factor], -abs(math.log2(factor))))


def edge_factors(trials: Sequence[Row]) -> list[str]:
    """Contestants whose best trial had the smallest or the largest learning rate."""
    groups: dict[str, dict[float, float]] = {}
    for row in trials:
        groups.setdefault(f"{row['contestant']} in {row['budget']:g} s", {})[row["factor"]] = row["core_mean"]
    return sorted(name for name, found in groups.items() if best_factor(found) in (min(found), max(found)))
