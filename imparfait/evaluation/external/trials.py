"""Trials of an external model on validation images: how many are correct with an input specification."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import log_softmax

from imparfait.core.compute import ARRAY_VALUES, images_at_once
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.adapter import as_array, kind_of_outputs, one_line, to_logits
from imparfait.evaluation.external.class_order import OrderTrial, try_order
from imparfait.evaluation.external.input_spec import Function, InputSpec, apply_spec

MIN_ADVANTAGE = 0.25  # of the way from the commonest class's share to 1, that the best accuracy must reach


@dataclass(frozen=True)
class SpecTrial:
    """`correct` of `total` images with this specification, and the log loss of their labels."""

    spec: InputSpec
    correct: int
    total: int
    log_loss: float
    predicted: np.ndarray = field(repr=False, compare=False, default_factory=lambda: np.zeros(0, np.int64))
    """The class of each image."""
    losses: np.ndarray = field(repr=False, compare=False, default_factory=lambda: np.zeros(0))
    """The log loss of each image."""

    @property
    def accuracy(self) -> float:
        """The share that is correct, 0..1."""
        return self.correct / self.total


def spread(data: LabelledImages, count: int) -> LabelledImages:
    """At most `count` images, evenly spread over the data, which may be ordered by class."""
    return data.select(np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(np.int64)))


def try_specs(
    function: Function, possible: Sequence[InputSpec], known_outputs: bool, data: LabelledImages
) -> list[SpecTrial]:
    """A trial of each specification that the model accepts; raises UserError when it accepts none."""
    trials, errors = [], []
    for spec in possible:
        try:
            trials.append(_try(function, spec, known_outputs, data))
        except UserError as error:
            errors.append(error)
        except Exception as error:  # an external function may raise anything
            errors.append(UserError(f"the model rejects images in layout {spec.layout}: {one_line(error)}"))
    if not trials:
        raise errors[0]
    return trials


def try_orders(function: Function, possible: Sequence[InputSpec], data: LabelledImages) -> OrderTrial | None:
    """The order of outputs that has most images correct, with any specification; None where none is beyond guessing."""
    best: OrderTrial | None = None
    for spec in possible:
        try:
            outputs = _outputs(function, data.pixels, spec)
        except Exception:  # another specification may do
            continue
        if outputs.ndim != 2 or outputs.dtype.kind not in "fiu" or not np.isfinite(outputs).all():
            continue
        order = try_order(outputs.argmax(1), data.labels, outputs.shape[1], data.classes)
        best = order if best is None or order.correct > best.correct else best
    return best if best and best.accuracy >= beyond_guessing(data) else None


def count_outputs(function: Function, possible: Sequence[InputSpec], data: LabelledImages) -> int | None:
    """How many numbers an image the model returns; None for labels, and where it accepts no specification."""
    images = data.pixels[:1].astype(np.float32) / 255
    for spec in possible:
        try:
            outputs = as_array(function(apply_spec(images, spec)))
        except Exception:  # another specification may do
            continue
        return int(outputs.shape[1]) if outputs.ndim == 2 and kind_of_outputs(outputs) != "labels" else None
    return None


def beyond_guessing(data: LabelledImages) -> float:
    """The accuracy a quarter of the way from always predicting the commonest class to all correct."""
    commonest = commonest_share(data)
    return commonest + MIN_ADVANTAGE * (1 - commonest)


def commonest_share(data: LabelledImages) -> float:
    """The share of the commonest class."""
    return float(np.bincount(data.labels, minlength=len(data.classes)).max() / len(data))


def _try(function: Function, spec: InputSpec, known_outputs: bool, data: LabelledImages) -> SpecTrial:
    outputs = _outputs(function, data.pixels, spec)
    if not known_outputs:
        spec = replace(spec, outputs=kind_of_outputs(outputs))
    logits = to_logits(outputs, spec.outputs, data.classes, len(data), spec.classes).astype(np.float64)
    if not np.isfinite(logits).all():
        raise UserError("the model returned values that are not finite")
    losses = -log_softmax(logits, 1)[np.arange(len(data)), data.labels]
    predicted = logits.argmax(1)
    correct = int((predicted == data.labels).sum())
    return SpecTrial(spec, correct, len(data), float(losses.mean()), predicted, losses)


def _outputs(function: Function, pixels: Pixels, spec: InputSpec) -> np.ndarray:
    """The outputs for all images, in parts where they are large, for memory."""
    step = images_at_once(spec.shape or pixels.shape[1:], len(pixels), ARRAY_VALUES)
    parts = []
    for start in range(0, len(pixels), step):
        images = pixels[start : start + step].astype(np.float32) / 255
        parts.append(as_array(function(apply_spec(images, spec))))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
