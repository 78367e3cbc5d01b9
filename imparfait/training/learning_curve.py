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
DRAWS = 500  # of the bootstrap
CERTAINTY = 0.9
MIN_IMAGES = 40  # training images, of which a quarter is the smallest fit
TRAINING_SHARE = 0.5  # spread between trainings, as a share of that of sampling the held-out images (results/LOG.md)


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

        The error rate is taken to fall with a power of the number of images, whose exponent is between 0 and 1. The
        interval is of a bootstrap of the held-out images, with the spread between trainings added to each fit and to
        the result; it is for evaluation on the same held-out images.
        Source: Hestness et al., "Deep learning scaling is predictable, empirically" (2017).
        """
        rng = np.random.default_rng(0)
        fits, held_out = self.correct.shape
        images, at = np.log(np.array(self.images, float)), np.log(factor * self.images[-1])
        best = _power_law(images, np.array([1 - self.accuracies[row] for row in range(fits)])[None], held_out)
        drawn = rng.multinomial(held_out, np.full(held_out, 1 / held_out), DRAWS) / held_out
        errors = 1 - drawn @ self.correct.T.astype(float)
        spread = TRAINING_SHARE * np.sqrt(np.maximum(errors, 1 / held_out) / held_out)
        slopes, starts = _power_law(images, errors + spread * rng.standard_normal(errors.shape), held_out)
        error = np.exp(starts + slopes * at)
        ends = np.sqrt(np.maximum(error, 1 / held_out) / held_out) * TRAINING_SHARE * rng.standard_normal(DRAWS)
        low, high = np.quantile(1 - error - ends, [(1 - certainty) / 2, (1 + certainty) / 2])
        # Where there are next to no errors the power law is of half an error: more images make nothing worse.
        expected = max(1 - float(np.exp(best[1] + best[0] * at)[0]), self.accuracies[-1])
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
        rows.append(_correct(part, held_out, settings, recipe, cache, device))
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
) -> Bool[np.ndarray, " n"]:
    run, network = new_run(recipe, enough_steps(settings, len(part)), part, device)
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


def _power_law(
    log_images: Float[np.ndarray, " fits"], errors: Float[np.ndarray, "draws fits"], held_out: int
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
    """Slope and intercept of the logarithm of the error rate, by weighted least squares; slopes from -1 to 0.

    The logarithm of an error rate e of n images has a variance of about (1 - e) / (n e).
    """
    kept = np.clip(errors, 0.5 / held_out, 1)  # no error at all is taken for half of one
    weights = kept / np.maximum(1 - kept, 1e-3)
    logs = np.log(kept)
    total = weights.sum(1)
    mean_x, mean_y = (weights * log_images).sum(1) / total, (weights * logs).sum(1) / total
    x = log_images - mean_x[:, None]
    slopes = np.clip((weights * x * (logs - mean_y[:, None])).sum(1) / (weights * x**2).sum(1), -1, 0)
    return slopes, mean_y - slopes * mean_x


def sentence(curve: LearningCurve) -> str:
    """What twice as many images would give, in words."""
    more = curve.extrapolate()
    now = 100 * curve.accuracies[-1]
    return (
        f"twice the images ({more.images:,}): {now:.1f} % → {100 * more.accuracy:.1f} % "
        f"({100 * more.low:.1f} to {100 * more.high:.1f} with 90 % certainty)"
    )


def neediest(
    curve: LearningCurve, held_out: LabelledImages, counts: Sequence[int], most: int = 3
) -> list[tuple[str, float, int]]:
    """The classes with the lowest recall after the largest fit: name, recall and training images."""
    recalls = [
        (float(curve.correct[-1][held_out.labels == label].mean()), label)
        for label in np.unique(held_out.labels).tolist()
    ]
    return [(held_out.classes[label], recall, counts[label]) for recall, label in sorted(recalls)[:most]]
