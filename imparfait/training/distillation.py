"""Knowledge distillation: a network learns the predictions of trained networks, its teachers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood.outlier_exposure import OOD_LABEL
from imparfait.models.classifier import combined, logits_of
from imparfait.models.loading import load_network, load_weights
from imparfait.models.pretrained import find_model
from imparfait.training.step import TargetFunction, smoothed_labels


def distillation_targets(teachers: Sequence[nn.Module], classes: int, compute: ComputeConfig) -> TargetFunction:
    """Targets for `Training`: what the ensemble of `teachers` predicts for the very image the student is shown.

    Out-of-distribution images, which teachers know nothing about, keep equal probabilities.
    Sources: Hinton et al., "Distilling the knowledge in a neural network", 2015, at temperature 1; same augmented
    image for both: Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", 2022.
    """
    if not teachers:
        raise UserError("no teachers", expected="at least one")

    def targets(labels: Tensor, images: Tensor) -> Tensor:
        predicted = combined(torch.stack([logits_of(network, images, compute) for network in teachers])).softmax(1)
        return torch.where((labels == OOD_LABEL)[:, None], smoothed_labels(labels, classes, 0.0), predicted)

    return targets


def load_teachers(runs: Sequence[str | Path], data: LabelledImages) -> Mapping[str, nn.Module]:
    """The networks of these run folders or pretrained models, by the sha256 of their weights.

    Raises UserError when one takes other images than `data`, has other classes, or is named twice.
    """
    teachers: dict[str, nn.Module] = {}
    for run in runs:
        folder = find_model(run)
        network, config = load_network(folder)
        sha256 = load_weights(folder).sha256
        if sha256 in teachers:
            raise UserError(f"{folder}: is a teacher already", hint="leave it out, or name another run")
        if config.classes != tuple(data.classes):
            raise UserError(
                f"{folder}: was trained on the classes {', '.join(config.classes)}",
                expected=f"a teacher for the classes of these images, {', '.join(data.classes)}",
            )
        shape = (config.input.channels, config.input.height, config.input.width)
        if shape != (own := data.pixels.shape[1:]):
            raise UserError(
                f"{folder}: takes images of {_describe(shape)}", expected=f"a teacher for images of {_describe(own)}"
            )
        teachers[sha256] = network
    return teachers


def _describe(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{height}×{width} pixels and {counted(channels, 'channel')}"
