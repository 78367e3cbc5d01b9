"""How often the 95 % intervals of a mean and of a difference cover the truth, on predictions of real networks.

Two networks (`quick`, seeds 0 and 1) classify validation images under the digits suite and the core suite. Groups of
conditions give populations of source images from 90 to 99.9 %. Of each, samples are drawn with replacement, and the
truth is the population's mean. Bootstrap intervals of the same samples are shown beside. To the populations come drawn
ones, with sources of a beta distribution. The constant of `mean_interval` was chosen on predictions of `digits` and
`digits-clean` for other images.

python benchmarks/reliability/interval_coverage.py --out results/interval-coverage
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

import imparfait
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.intervals import Interval, difference_interval, mean_interval
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import apply_conditions, conditions_from, full_suite

SAMPLES = 2000  # for each row
SIZES = (60, 200, 1000, 10_000)
BANDS = ((0.999, 1.0), (0.995, 0.999), (0.985, 0.995), (0.95, 0.985), (0.85, 0.95))  # accuracies of conditions
FULL_IMAGES = slice(4000, 6500)  # the constant was chosen on the first 1,500
CORRELATIONS = (0.05, 0.3, 0.6)  # between the copies of a drawn source

Population = tuple[str, np.ndarray, int]
"""A name, the share of correct copies of each source, and the number of copies."""


def predictions(seed: int, train: LabelledImages, validation: LabelledImages) -> dict[str, np.ndarray]:
    """Which images one network gets right, bool [conditions, n], by suite."""
    settings = imparfait.RECIPES["quick"].settings.model_copy(update={"seed": seed})
    model = imparfait.build(settings.model, channels=train.channels, classes=len(train.classes))
    list(imparfait.train(model, train, settings))
    classifier = imparfait.as_classifier(model)
    few = validation.select(np.arange(len(validation))[FULL_IMAGES])
    suites = {"core": (conditions_from(), validation), "digits": (full_suite(), few)}
    return {
        name: np.concatenate(
            [[score_conditions(classifier, [one]).conditions[0].correct] for one in apply_conditions(data, conditions)]
        )
        for name, (conditions, data) in suites.items()
    }


def populations(correct: dict[str, np.ndarray]) -> Iterator[Population]:
    """Populations of source images from a network's predictions, and drawn ones."""
    yield "core suite", correct["core"].mean(0), len(correct["core"])
    full = correct["digits"]
    yield "digits suite", full.mean(0), len(full)
    accuracies = full.mean(1)
    for low, high in BANDS:
        rows = full[(low <= accuracies) & (accuracies < high)]
        if len(rows):
            yield f"conditions of {100 * low:g} to {100 * high:g} %", rows.mean(0), len(rows)
    random = np.random.default_rng(0)
    for copies, correlation in ((copies, each) for copies in (3, 32) for each in CORRELATIONS):
        for accuracy in (0.9, 0.97, 0.99, 0.995, 0.999):
            scale = 1 / correlation - 1
            shares = random.binomial(copies, random.beta(scale * accuracy, scale * (1 - accuracy), 200_000)) / copies
            yield f"drawn, {copies} copies, correlation {correlation}", shares, copies


def bootstrap(shares: np.ndarray, random: np.random.Generator) -> Interval:
    """The percentile bootstrap over source images that `mean_interval` has replaced."""
    values, counts = np.unique(shares, return_counts=True)
    means = random.multinomial(len(shares), counts / len(shares), 1000) @ values / len(shares)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def coverage(population: Population, n: int, random: np.random.Generator) -> dict[str, Any]:
    """A row of the result: how often the intervals of samples of `n` sources cover the population's mean."""
    name, shares, copies = population
    truth = float(shares.mean())
    found: dict[str, list[Interval]] = {"interval": [], "bootstrap": []}
    for number in range(SAMPLES):
        sample = random.choice(shares, n)
        found["interval"].append(mean_interval(sample, copies))
        if number < SAMPLES // 4:
            found["bootstrap"].append(bootstrap(sample, random))
    row: dict[str, Any] = {"population": name, "accuracy": round(truth, 5), "copies": copies, "sources": n}
    for method, intervals in found.items():
        low, high = np.array(intervals).T
        row[method] = {
            "coverage": round(float(np.mean((low <= truth + 1e-12) & (truth <= high + 1e-12))), 4),
            "mean_width": round(float(np.mean(high - low)), 5),
        }
    return row


def difference_coverage(name: str, ahead: np.ndarray, n: int, random: np.random.Generator) -> dict[str, object]:
    """The same for the difference of two networks."""
    truth = float(ahead.mean())
    intervals = [difference_interval(random.choice(ahead, n)) for _ in range(SAMPLES)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    return {"population": name, "difference": round(truth, 5), "sources": n, "coverage": round(float(covered), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    train, validation = imparfait.load_data("mnist").train_val()
    first, second = (predictions(seed, train, validation) for seed in (0, 1))
    random = np.random.default_rng(1)
    rows = []
    for population in populations(first):
        for n in SIZES:
            rows.append(coverage(population, n, random))
            print(rows[-1], flush=True)
    differences = []
    for suite, correct in first.items():
        ahead = correct.mean(0) - second[suite].mean(0)
        differences += [difference_coverage(f"{suite} suite, two seeds", ahead, n, random) for n in SIZES]
        worse = correct[0].astype(float) - correct[-1]  # clean against the last condition: a real difference
        differences += [difference_coverage(f"{suite} suite, two conditions", worse, n, random) for n in SIZES]
    shares = {
        method: {
            "lowest": min(row[method]["coverage"] for row in rows),
            "highest": max(row[method]["coverage"] for row in rows),
            "rows_from_93_to_97": sum(0.93 <= row[method]["coverage"] <= 0.97 for row in rows),
            "rows_under_93": sum(row[method]["coverage"] < 0.93 for row in rows),
            "rows": len(rows),
        }
        for method in ("interval", "bootstrap")
    }
    print(shares, *differences, sep="\n")
    write_claim(options.out, {"samples": SAMPLES, "summary": shares, "means": rows, "differences": differences})


if __name__ == "__main__":
    main()
