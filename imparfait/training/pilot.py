"""Short trainings that find which augmentation the classes of photographs allow, instead of assuming it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.types import Watch
from imparfait.data.augmentation import photo_augmentation
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import plainly
from imparfait.data.splits import split, subsample
from imparfait.evaluation.scores import probabilities_of
from imparfait.models.classifier import as_classifier
from imparfait.training.loop import network_for, train
from imparfait.training.settings import MIN_BATCH, TrainingSettings

PILOT_IMAGES = 4000  # at most; half a minute at 32 pixels a side
PILOT_STEPS, PILOT_BATCH = 400, 64
PILOT_NETWORK: dict[str, Any] = {"model": "resnet", "model_args": {"filters": 16, "depth": 1}, "learning_rate": 0.01}
HELD_OUT_SHARE = 1 / 4
MIN_HELD_OUT = 40  # images; fewer show nothing


@dataclass(frozen=True)
class Pilot:
    """Accuracy on held-out images, 0..1, after training with and without a change; and the augmentation to use."""

    images: int
    """Held-out images."""
    natural: float
    mirrored: float
    """Half of the training images mirrored."""
    recoloured: float
    """Half of the training images as negatives, half with swapped channels."""
    augmentation: str
    """With those changes that made the held-out accuracy higher."""

    def __str__(self) -> str:
        shown = [f"{100 * share:.1f} %" for share in (self.natural, self.mirrored, self.recoloured)]
        return (
            f"augmentation {self.augmentation}: in short trainings {shown[0]} of {self.images:,} held-out images, "
            f"{shown[1]} with mirrored ones, {shown[2]} with negatives and swapped colours"
        )


def run_pilots(data: LabelledImages, settings: TrainingSettings, watch: Watch = plainly) -> Pilot | None:
    """Three short trainings of a small network on part of `data`, evaluated on the rest; by group where there are any.

    A mirrored ant is an ant, a mirrored 2 is no 2: a change is used where training with it is more accurate on the
    held-out images. None where the images are too few to hold some out.
    """
    try:
        fit, held_out = split(subsample(data, PILOT_IMAGES), HELD_OUT_SHARE)
    except UserError:
        return None
    if len(held_out) < MIN_HELD_OUT:
        return None
    batch = min(PILOT_BATCH, max(MIN_BATCH, len(fit) // 8))
    epochs = max(1, round(PILOT_STEPS * batch / len(fit)))
    small = settings.model_copy(update=PILOT_NETWORK | {"epochs": epochs, "batch_size": batch})
    natural, mirrored, recoloured = (
        _accuracy(fit, held_out, small.model_copy(update={"augmentation": name}))
        for name in watch(("photo", "mirrored_photo", "recoloured_photo"), 3)
    )
    best = photo_augmentation(mirrored=mirrored > natural, recoloured=recoloured > natural)
    return Pilot(len(held_out), natural, mirrored, recoloured, best)


def _accuracy(fit: LabelledImages, held_out: LabelledImages, settings: TrainingSettings) -> float:
    """Of a small network after a short training; with groups the mean over groups, which stand for those to come."""
    network, compute = network_for(settings, fit), ComputeConfig()
    for _ in train(network, fit, settings, compute):
        pass
    probabilities = probabilities_of(as_classifier(network, compute), held_out.pixels, len(held_out.classes))
    correct = probabilities.argmax(1) == held_out.labels
    if held_out.groups is None:
        return float(correct.mean())
    return float(np.mean([correct[held_out.groups == group].mean() for group in np.unique(held_out.groups)]))
