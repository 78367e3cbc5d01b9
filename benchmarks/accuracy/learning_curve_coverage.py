"""How often the interval of a learning curve holds what twice as many images gave, and how wide it is.

python benchmarks/accuracy/learning_curve_coverage.py [--draws 10] [--out results/learning-curve-coverage]

Seven kinds of classifiers of scikit-learn learn 22 data sets, drawn or shipped with scikit-learn; in two of them other
groups are held out. Each curve is of fits on a quarter to all of 40 to 1,600 inputs; then twice as many are fitted, and
predict the same 100 to 5,000 held-out ones (fewer of shipped sets). The rule was chosen on 11 of the data sets, among
those that cover 90 % by the interval score (Gneiting and Raftery 2007), and confirmed on the others. Intervals are of
90 %. About half an hour on a shared core.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

sys.path.insert(0, str(Path(__file__).parents[1]))

from accuracy.learning_curve_sets import Draw, Rng, sets
from tools.claims import write_claim

from imparfait.core.hardware import torch_threads
from imparfait.evaluation.intervals import group_interval
from imparfait.training.learning_curve import SHARES, LearningCurve

Quantiles = tuple[float, float, float]  # low, expected and high accuracy

LARGEST = (100, 200, 400, 800, 1600)  # fits of the curves
HELD_OUT = (100, 200, 500, 1000, 2000, 5000)


def classifiers(seed: int) -> dict[str, ClassifierMixin]:
    return {
        "logistic": LogisticRegression(max_iter=300),
        "neighbours": KNeighborsClassifier(),
        "svc": SVC(C=3),
        "forest": RandomForestClassifier(60, random_state=seed),
        "bayes": GaussianNB(),
        "mlp 32": MLPClassifier((32,), max_iter=80, random_state=seed),
        "mlp 128": MLPClassifier((128, 64), max_iter=40, random_state=seed),
    }


@dataclass(frozen=True)
class Known:
    """A learning curve, and the accuracy that twice the images gave on the same held-out ones."""

    data: str
    classifier: str
    curve: LearningCurve
    came: float


def known_curves(named: dict[str, Draw], draws: int) -> Iterator[Known]:
    """Of each data set and classifier as many as `draws`, each of other inputs, sizes and seeds."""
    for name, draw in named.items():
        for number in range(draws):
            for kind in classifiers(0):
                rng = np.random.default_rng([0, number, *f"{name} {kind}".encode()])
                largest, held_out = int(rng.choice(LARGEST)), int(rng.choice(HELD_OUT))
                (inputs, labels), (others, truth) = draw(rng, 2 * largest, held_out)
                sizes = [round(share * len(labels) / 2) for share in (*SHARES, 2)]
                rows = []
                for size in sizes:
                    classifier = classifiers(int(rng.integers(2**31)))[kind]
                    fitted = make_pipeline(StandardScaler(), classifier).fit(inputs[:size], labels[:size])
                    rows.append(fitted.predict(others) == truth)
                yield Known(name, kind, LearningCurve(tuple(sizes[:-1]), np.stack(rows[:-1])), float(rows[-1].mean()))


def earlier(curve: LearningCurve, factor: float = 2.0) -> Quantiles:
    """The rule until 29 November 2026: a power law without an asymptote, by a bootstrap of the held-out inputs."""
    rng, held_out = np.random.default_rng(0), curve.correct.shape[1]
    errors = bootstrapped(curve, rng)
    kept = np.clip(errors, 0.5 / held_out, 1)
    weights, logs = kept / np.maximum(1 - kept, 1e-3), np.log(kept)
    x = np.log(np.array(curve.images) / curve.images[-1])
    mean_x, mean_y = (np.average(np.broadcast_to(each, logs.shape), 1, weights) for each in (x, logs))
    x = x - mean_x[:, None]
    slopes = np.clip((weights * x * (logs - mean_y[:, None])).sum(1) / (weights * x**2).sum(1), -1, 0)
    error = np.exp(mean_y - slopes * mean_x + slopes * np.log(factor))
    return quantiles_of(error + spread(error, held_out, rng), curve)


def doubling(curve: LearningCurve) -> Quantiles:
    """Twice the inputs give 0.25 to 1.25 times what the last doubling gave; bootstrap and spread as above."""
    rng, held_out = np.random.default_rng(0), curve.correct.shape[1]
    errors = bootstrapped(curve, rng)
    gain = np.maximum(errors[:, SHARES.index(0.5)] - errors[:, -1], 0) * rng.uniform(0.25, 1.25, len(errors))
    error = np.maximum(errors[:, -1] - gain, 0)
    return quantiles_of(error + spread(error, held_out, rng), curve)


def package(curve: LearningCurve) -> Quantiles:
    """The rule of the package."""
    found = curve.extrapolate()
    return found.low, found.accuracy, found.high


def bootstrapped(curve: LearningCurve, rng: Rng, draws: int = 500) -> np.ndarray:
    """Error rates of each fit on resampled held-out inputs, with the spread between trainings."""
    held_out = curve.correct.shape[1]
    patterns, counts = np.unique(curve.correct.T, axis=0, return_counts=True)
    errors = 1 - rng.multinomial(held_out, counts / held_out, draws) @ patterns / held_out
    return errors + spread(errors, held_out, rng)


def spread(errors: np.ndarray, held_out: int, rng: Rng) -> np.ndarray:
    """Between trainings: half of that of sampling the held-out inputs."""
    return 0.5 * np.sqrt(np.maximum(errors, 1 / held_out) / held_out) * rng.standard_normal(errors.shape)


def quantiles_of(errors: np.ndarray, curve: LearningCurve) -> Quantiles:
    low, median, high = np.quantile(1 - errors, [0.05, 0.5, 0.95])
    expected = max(float(median), curve.accuracies[-1])
    return float(np.clip(low, 0, expected)), expected, float(np.clip(high, expected, 1))


RULES: dict[str, Callable[[LearningCurve], Quantiles]] = {"earlier": earlier, "doubling": doubling, "package": package}


def summary(known: list[Known], rule: Callable[[LearningCurve], Quantiles]) -> dict[str, Any]:
    low, expected, high = np.array([rule(each.curve) for each in known]).T
    came = np.array([each.came for each in known])
    below, above = low - came, came - high
    inside = (below <= 0) & (above <= 0)
    names, sets_of = np.unique([each.data for each in known], return_inverse=True)
    interval = group_interval(inside.astype(float), sets_of)
    assert interval
    return {
        "curves": len(known),
        "covered": round(float(inside.mean()), 4),
        "covered, 95 % interval over data sets": [round(each, 4) for each in interval.interval],
        "came below, above": [round(float((each > 0).mean()), 4) for each in (below, above)],
        "mean width": round(float((high - low).mean()), 4),
        "interval score": round(float((high - low + 20 * np.maximum(below, 0) + 20 * np.maximum(above, 0)).mean()), 4),
        "mean of expected minus came": round(float((expected - came).mean()), 4),
        "mean error": round(float(abs(expected - came).mean()), 4),
        "covered by data set": {
            str(name): round(float(inside[sets_of == number].mean()), 4) for number, name in enumerate(names)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10, help="curves of each data set and classifier")
    parser.add_argument("--half", nargs="*", choices=("choosing", "confirming"), default=["choosing", "confirming"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # the networks stop after a fixed number of epochs
    results: dict[str, Any] = {}
    with torch_threads(1):
        for half in options.half:
            known = list(known_curves(sets()[half], options.draws))
            results[half] = {name: summary(known, rule) for name, rule in RULES.items()}
            print(half, *(f"{name}: {found}" for name, found in results[half].items()), sep="\n", flush=True)
    if options.out:
        write_claim(options.out, results)


if __name__ == "__main__":
    main()
