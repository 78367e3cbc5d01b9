"""Learning curve: accuracy by number of training images, and what twice as many would give."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.hardware import torch_threads
from imparfait.core.rng import CounterRng
from imparfait.core.storage import atomic_write, fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import subsample
from imparfait.evaluation.scores import probabilities_of
from imparfait.models.classifier import as_classifier
from imparfait.training.run import new_run
from imparfait.training.settings import TrainingSettings, enough_steps

SHARES = (0.25, 0.5, 0.75, 1.0)
CURVES, DRAWS = 20_000, 4000  # drawn from the priors, and by their weights from these
CERTAINTY = 0.9
MIN_IMAGES = 40  # training images, of which a quarter is the smallest fit
# Uniform priors, chosen in results/learning-curve-coverage. A c below 0 is of errors that fall faster than a power law.
ASYMPTOTE = (-1.0, 1.0)  # c, as a share of the error rate of the largest fit
EXPONENT = (0.0, 1.0)  # b
SPREAD = (0.5, 3.0)  # between trainings, as a share of that of sampling the held-out images; its logarithm is uniform


@dataclass(frozen=True)
class Extrapolation:
    """The accuracy to expect, 0..1, with an interval."""

    images: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Which held-out images are classified correctly after training on each number of images."""

    images: tuple[int, ...]
    correct: Bool[np.ndarray, "fits held_out"]

    @property
    def accuracies(self) -> list[float]:
        """Of each fit, 0..1."""
        return [float(row.mean()) for row in self.correct]

    def extrapolate(self, factor: float = 2.0, certainty: float = CERTAINTY) -> Extrapolation:
        """The accuracy with `factor` times as many images as the largest fit, with an interval.

        The error rate of n images is taken to be c + a n^-b: many such curves are drawn, with broad priors of
        asymptote c, exponent b and the spread between trainings, and weighted by their likelihood given the fits. The
        expected accuracy is their median; the interval is of one training, evaluated on the same held-out images.
        Source of the form: Viering and Loog, "The shape of learning curves: a review" (2023).
        """
        rng = np.random.default_rng(0)
        errors, held_out = 1 - np.array(self.accuracies), self.correct.shape[1]
        drawn = _drawn_errors(np.array(self.images) / self.images[-1], errors, held_out, factor, rng)
        low, median, high = np.quantile(1 - drawn, [(1 - certainty) / 2, 0.5, (1 + certainty) / 2])
        expected = max(float(median), self.accuracies[-1])  # more images make nothing worse
        low, high = float(np.clip(low, 0, expected)), float(np.clip(high, expected, 1))
        return Extrapolation(round(factor * self.images[-1]), expected, low, high)


def learning_curve(
    fit: LabelledImages,
    held_out: LabelledImages,
    settings: TrainingSettings,
    recipe: str,
    *,
    shares: Sequence[float] = SHARES,
    cache: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Iterator[LearningCurve]:
    """Train on these shares of `fit`, a quarter to all of it, and predict `held_out`; a curve after each.

    Images are left out by class, with groups whole groups at a time. With `cache`, a folder, finished fits are kept
    there, and the same call continues. Raises UserError for fewer than 40 images.
    """
    check_enough(fit, held_out)
    sizes: list[int] = []
    rows: list[np.ndarray] = []
    for share in shares:
        part = _part(fit, share)
        sizes.append(len(part))
        rows.append(_correct(part, held_out, settings, recipe, cache, device, threads))
        yield LearningCurve(tuple(sizes), np.stack(rows))


def check_enough(fit: LabelledImages, held_out: LabelledImages) -> None:
    """Raises UserError where the training images are too few for a learning curve."""
    if len(fit) < MIN_IMAGES:
        raise UserError(
            f"{counted(len(fit), 'training image')}, and {len(held_out)} held out for validation",
            expected=f"at least {MIN_IMAGES} training images for a learning curve",
            hint="add images",
        )


def _correct(
    part: LabelledImages,
    held_out: LabelledImages,
    settings: TrainingSettings,
    recipe: str,
    cache: Path | None,
    device: str,
    threads: int | None,
) -> Bool[np.ndarray, " n"]:
    run, network = new_run(recipe, enough_steps(settings, len(part)), part, device, threads)
    file = cache / f"{fingerprint(run.hash, held_out.fingerprint(), torch.__version__)[:16]}.json" if cache else None
    if file and file.exists():
        return np.array(json.loads(file.read_text(encoding="utf-8")), bool)
    for _ in run.training(network):
        pass
    classifier = as_classifier(network, run.compute)
    with torch_threads(run.compute.threads):
        probabilities = probabilities_of(classifier, held_out.pixels, len(held_out.classes))
    correct: np.ndarray = probabilities.argmax(1) == held_out.labels
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, json.dumps(correct.astype(int).tolist()).encode())
    return correct


def _part(data: LabelledImages, share: float) -> LabelledImages:
    """About this share of the images: of each class, or with groups whole groups in random order."""
    if share == 1 or data.groups is None:
        return subsample(data, round(share * len(data)))
    groups, sizes = np.unique(data.groups, return_counts=True)
    rng = CounterRng(0, "learning curve", 0, torch.from_numpy(groups.astype(np.int64)))
    order = rng.bits("order").argsort().numpy()
    fewer = order[np.cumsum(sizes[order]) - sizes[order] < share * len(data)]
    return data.select(np.isin(data.groups, groups[fewer]))


def _drawn_errors(
    sizes: Float[np.ndarray, " fits"],
    errors: Float[np.ndarray, " fits"],
    held_out: int,
    factor: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, " draws"]:
    """Error rates of trainings on `factor` times the images of the largest fit, whose size is 1 in `sizes`."""
    sampling = np.sqrt(np.maximum(errors, 1 / held_out) / held_out)
    least, most = np.log(SPREAD)
    spread = np.exp(rng.uniform(least, most, CURVES))
    asymptote, exponent = rng.uniform(*ASYMPTOTE, CURVES), rng.uniform(*EXPONENT, CURVES)
    last = errors[-1] + 2 * SPREAD[1] * sampling[-1] * rng.uniform(-1, 1, CURVES)
    last = np.maximum(last, 0.1 / held_out)
    falls = last * (1 - asymptote)  # a, where the largest fit has size 1
    expected = (last * asymptote)[:, None] + falls[:, None] * sizes ** -exponent[:, None]
    deviations = spread[:, None] * sampling
    log_likelihood = -(((errors - expected) / deviations) ** 2 / 2 + np.log(deviations)).sum(1)
    weights = np.exp(log_likelihood - log_likelihood.max())
    kept = rng.choice(CURVES, DRAWS, p=weights / weights.sum())
    rates = np.maximum((last * asymptote + falls * factor**-exponent)[kept], 0)
    again = spread[kept] * np.sqrt(np.maximum(rates, 1 / held_out) / held_out)
    result: np.ndarray = rates + again * rng.standard_normal(DRAWS)
    return result


def neediest(
    curve: LearningCurve, held_out: LabelledImages, counts: Sequence[int], most: int = 3
) -> list[tuple[str, float, int]]:
    """The classes with the lowest recall after the largest fit: name, recall and training images."""
    recalls = [
        (float(curve.correct[-1][held_out.labels == label].mean()), label)
        for label in np.unique(held_out.labels).tolist()
    ]
    return [(held_out.classes[label], recall, counts[label]) for recall, label in sorted(recalls)[:most]]
