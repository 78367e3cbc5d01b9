"""Short trainings that find which augmentation the classes of photographs allow, instead of assuming it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import stdtr

from imparfait.core.code_digest import package_digest
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.storage import fingerprint, get, put
from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import plainly
from imparfait.data.photo_augmentation import STRENGTHS, photo_augmentation
from imparfait.data.splits import split, subsample
from imparfait.evaluation.scores import probabilities_of
from imparfait.models.classifier import as_classifier
from imparfait.training.history import train
from imparfait.training.loop import network_for
from imparfait.training.settings import MIN_BATCH, TrainingSettings

PILOT_IMAGES = 4000  # at most; half a minute at 32 pixels a side
PILOT_STEPS, PILOT_BATCH = 400, 64
PILOT_NETWORK: dict[str, Any] = {"model": "resnet", "model_args": {"filters": 16, "depth": 1}, "learning_rate": 0.01}
HELD_OUT_SHARE = 1 / 4
CHANGES = ("mirrored", "recoloured")
LEVEL = 0.05
MIN_HELD_OUT = 40  # images; fewer show nothing
PILOTS_FOLDER, SUFFIX = ".pilots", ".json"  # in the folder of the runs, where their results are kept


@dataclass(frozen=True)
class Pilot:
    """Accuracy on held-out images, 0..1, after a short training with each augmentation; and the one to use."""

    images: int
    """Held-out images."""
    accuracies: dict[str, float]
    """By augmentation: each strength, then the best strength with mirrored images and with changed colours."""
    augmentation: str

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {100 * accuracy:.1f} %" for name, accuracy in self.accuracies.items())
        return (
            f"augmentation {self.augmentation}: of {self.images:,} held-out images short trainings got right: {shown}"
        )


def run_pilots(
    data: LabelledImages, settings: TrainingSettings, watch: Watch = plainly, store: Path | None = None
) -> Pilot | None:
    """Short trainings of a small network on part of `data`, evaluated on the rest; by group where there are any.

    First how strong the augmentation should be: clothes on a plain ground lose by what photographs of meters need.
    Short trainings favour a weak one, so it must be shown to be better (a paired t test at 5 %). With groups it stays
    the strongest: those to come, such as other meters, differ more than a short training can tell. Then what the
    classes allow: a mirrored ant is an ant, a mirrored 2 is no 2; such a change is used where it is more accurate on
    the held-out images. None where the images are too few to hold some out. The result is kept in the folder `store`,
    and equal pilots of the same code are not run again.
    """
    try:
        fit, held_out = split(subsample(data, PILOT_IMAGES), HELD_OUT_SHARE)
    except UserError:
        return None
    if len(held_out) < MIN_HELD_OUT:
        return None
    key = fingerprint("pilot", settings, data.fingerprint(), data.grouping(), package_digest(), torch.__version__)
    if store and store.exists() and (content := get(store, key, SUFFIX)):
        return Pilot(**json.loads(content))
    batch = min(PILOT_BATCH, max(MIN_BATCH, len(fit) // 8))
    epochs = max(1, round(PILOT_STEPS * batch / len(fit)))
    small = settings.model_copy(update=PILOT_NETWORK | {"epochs": epochs, "batch_size": batch})
    found: dict[str, np.ndarray] = {}

    strengths = list(STRENGTHS)[: None if data.groups is None else 1]

    def names() -> Iterator[str]:  # the later ones depend on what was found with the first
        yield from strengths
        yield from (photo_augmentation(_strength(found), **{change: True}) for change in CHANGES)

    for name in watch(names(), len(strengths) + len(CHANGES)):
        found[name] = _accuracies(fit, held_out, small.model_copy(update={"augmentation": name}))
    strength, means = _strength(found), {name: float(each.mean()) for name, each in found.items()}
    changes = {change: means[photo_augmentation(strength, **{change: True})] > means[strength] for change in CHANGES}
    pilot = Pilot(len(held_out), means, photo_augmentation(strength, **changes))
    if store:
        store.mkdir(parents=True, exist_ok=True)
        put(store, key, json.dumps(asdict(pilot)).encode(), SUFFIX)
    return pilot


def _accuracies(fit: LabelledImages, held_out: LabelledImages, settings: TrainingSettings) -> np.ndarray:
    """Of a small network after a short training, by image; with groups by group, which stand for those to come."""
    network, compute = network_for(settings, fit), ComputeConfig()
    for _ in train(network, fit, settings, compute):
        pass
    probabilities = probabilities_of(as_classifier(network, compute), held_out.pixels, len(held_out.classes))
    correct: np.ndarray = (probabilities.argmax(1) == held_out.labels).astype(float)
    if held_out.groups is None:
        return correct
    return np.array([correct[held_out.groups == group].mean() for group in np.unique(held_out.groups)])


def _strength(found: dict[str, np.ndarray]) -> str:
    """The strongest augmentation, or the most accurate of those that are shown to be better than it."""
    strongest, *weaker = (name for name in STRENGTHS if name in found)
    better = [name for name in weaker if _shown_better(found[name] - found[strongest])]
    return max(better, key=lambda name: float(found[name].mean()), default=strongest)


def _shown_better(differences: np.ndarray) -> bool:
    """Whether a one-sided t test at `LEVEL` shows these paired differences to be above 0."""
    mean, freedom = differences.mean(), len(differences) - 1
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return bool(mean > 0 and (error == 0 or stdtr(freedom, -mean / error) < LEVEL))
