"""Learning what trained networks say of an image: an ensemble, distilled into one network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.models.classifier import as_classifier, ensemble
from imparfait.models.loading import load_network, load_weights
from imparfait.training.loop import OOD_LABEL, State, Training
from imparfait.training.settings import TrainingSettings


class DistillationTraining(Training):
    """A training in which what teachers, as one, say of the very image shown is expected, instead of its label.

    Sources: Hinton et al., "Distilling the knowledge in a neural network", 2015, at temperature 1; teachers shown what
    the student is: Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", 2022.
    """

    def __init__(
        self,
        teachers: Sequence[nn.Module],
        model: nn.Module,
        data: LabelledImages,
        settings: TrainingSettings,
        compute: ComputeConfig | None = None,
        state: State | None = None,
    ):
        super().__init__(model, data, settings, compute, state)
        self.teacher = ensemble([as_classifier(each, self.compute) for each in teachers])

    def targets(self, source: Tensor, images: Tensor) -> Tensor:
        """What the teachers say; of images of nothing they know nothing."""
        said = torch.from_numpy(self.teacher(images.numpy())).softmax(1)
        return torch.where((self.labels[source] == OOD_LABEL)[:, None], super().targets(source, images), said)


def load_teachers(folders: Sequence[Path], data: LabelledImages) -> Mapping[str, nn.Module]:
    """The networks in these run folders, by the sha256 of their weights.

    Raises UserError when one does not take images such as `data`, has other classes, or comes twice.
    """
    teachers: dict[str, nn.Module] = {}
    for folder in folders:
        network, config = load_network(folder)
        mark = load_weights(folder).sha256
        if mark in teachers:
            raise UserError(f"{folder}: is a teacher already; leave it out, or name another run")
        if config.classes != tuple(data.classes):
            raise UserError(
                f"{folder}: tells {', '.join(config.classes)} apart; a teacher's classes are those of the images, "
                f"{', '.join(data.classes)}"
            )
        came = (config.input.channels, config.input.height, config.input.width)
        if came != (expected := data.pixels.shape[1:]):
            raise UserError(f"{folder}: takes images of {_in_words(came)}; these are of {_in_words(expected)}")
        teachers[mark] = network
    return teachers


def _in_words(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{height}×{width} pixels and {channels} channel{'s' * (channels > 1)}"
