"""Inference of an external model's input specification: what is left open is tried on validation images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from scipy.special import log_softmax

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.adapter import kind_of_outputs, listed, one_line, to_logits
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.input_spec import (
    FOREGROUNDS,
    LAYOUTS,
    VALUE_RANGES,
    Function,
    InputSpec,
    SpecHint,
    apply_spec,
)

FIRST_ROUND_IMAGES = 200  # for every possible specification
SECOND_ROUND_IMAGES = 1000  # for those within CLOSE_ACCURACY of the best
CLOSE_ACCURACY = 0.10  # 200 images do not separate smaller differences of accuracy
EQUAL_ACCURACY = 0.01  # 1,000 images do not separate smaller differences; the log loss decides among them
MIN_ADVANTAGE = 0.25  # of the way from the commonest class's share to 1, that the best accuracy must reach

Origin = Literal["given", "declared", "observed", "inferred"]
"""Where a field comes from: the user, the model file, the model's outputs, or trials on validation images."""


@dataclass(frozen=True)
class SpecTrial:
    """`correct` of `total` images with this specification, and the log loss of their labels."""

    spec: InputSpec
    correct: int
    total: int
    log_loss: float

    @property
    def accuracy(self) -> float:
        """The share that is correct, 0..1."""
        return self.correct / self.total


@dataclass(frozen=True)
class InferredSpec:
    """The specification chosen, where each field comes from, and all trials: the chosen one, then the best first."""

    spec: InputSpec
    origins: dict[str, Origin]
    """For each of layout, value_range, foreground and outputs."""
    trials: tuple[SpecTrial, ...]

    @property
    def accuracy(self) -> float:
        """With the chosen specification, on the validation images of its trial."""
        return self.trials[0].accuracy

    @property
    def margin(self) -> float | None:
        """How much more accurate the choice is than the next best; None where there was one possibility.

        It can be a little below 0: among equals the log loss decides.
        """
        return self.accuracy - self.trials[1].accuracy if len(self.trials) > 1 else None

    @property
    def is_ambiguous(self) -> bool:
        """Whether a less accurate specification has a lower log loss, so that the user should state what is true.

        A sign of a model that is not trained to its end, or that none of the specifications fits. The study's
        `cnn_gru` after 376 steps, whose batch normalisation lags behind, has 90 % on 0..255 and 80 % on its own
        0..1, at log losses of 2.2 and 0.6.
        """
        best = self.trials[0]
        return any(trial.log_loss < best.log_loss and trial.total == best.total for trial in self.trials[1:])


def infer_spec(
    function: Function, declared: DeclaredSpec, data: LabelledImages, hint: SpecHint | None = None
) -> InferredSpec:
    """The specification of `function`: the user's `hint` first, then what its file `declared`, the rest by trial.

    `data` are validation images, of which at most 1,000 are used. The most accurate specification is chosen; among
    those within a hundredth of it, the one with the lowest log loss. Raises UserError when the model does not fit
    these images, or when no trial is much better than guessing.
    """
    hint = hint or SpecHint()
    _check_classes(declared, data)
    layouts = [hint.layout] if hint.layout else _layouts(declared, data)
    if not hint.layout and declared.layout in layouts:
        layouts = [declared.layout]
    known_range = hint.value_range or declared.value_range
    ranges = [name for name in VALUE_RANGES if name != "imagenet" or data.channels == 3]
    ranges = [str(known_range)] if known_range else ranges
    known_foreground = hint.foreground or declared.foreground
    foregrounds = [known_foreground] if known_foreground else list(FOREGROUNDS)
    outputs = hint.outputs or declared.outputs
    possible = [InputSpec(*fields, outputs or "logits") for fields in product(layouts, ranges, foregrounds)]

    trials = _trials(function, possible, bool(outputs), _spread(data, FIRST_ROUND_IMAGES))
    best = max(trial.accuracy for trial in trials)
    close = [trial for trial in trials if trial.accuracy >= best - CLOSE_ACCURACY]
    if len(possible) > 1:
        if len(close) > 1 and len(data) > FIRST_ROUND_IMAGES:
            again = _trials(function, [t.spec for t in close], bool(outputs), _spread(data, SECOND_ROUND_IMAGES))
            trials = again + [trial for trial in trials if trial not in close]
            close = again
        _check_better_than_guessing(max(trial.accuracy for trial in trials), data, hint)
    best = max(trial.accuracy for trial in close)
    chosen = min((t for t in close if t.accuracy >= best - EQUAL_ACCURACY), key=lambda trial: trial.log_loss)
    others = sorted((t for t in trials if t is not chosen), key=lambda trial: -trial.accuracy)
    origins: dict[str, Origin] = {
        "layout": "given" if hint.layout else "declared" if len(layouts) == 1 else "inferred",
        "value_range": "given" if hint.value_range else "declared" if declared.value_range else "inferred",
        "foreground": "given" if hint.foreground else "declared" if declared.foreground else "inferred",
        "outputs": "given" if hint.outputs else "declared" if declared.outputs else "observed",
    }
    return InferredSpec(chosen.spec, origins, (chosen, *others))


def _check_classes(declared: DeclaredSpec, data: LabelledImages) -> None:
    if declared.num_classes is not None and declared.num_classes != len(data.classes):
        raise UserError(
            f"the model has {declared.num_classes} classes", expected=f"the {len(data.classes)} classes of these images"
        )
    if declared.class_names is not None and declared.class_names != data.classes:
        raise UserError(
            f"the model has the classes {listed(declared.class_names)}",
            expected=f"those of these images, {listed(data.classes)}",
        )


def _layouts(declared: DeclaredSpec, data: LabelledImages) -> list[str]:
    """The layouts in which these images have the declared shape; all layouts where no shape is declared."""
    _, channels, height, width = data.pixels.shape
    shapes = {
        "nchw": (channels, height, width),
        "nhwc": (height, width, channels),
        "flat": (height * width * channels,),
    }
    shapes |= {"nhw": (height, width)} if channels == 1 else {}
    if declared.shape is None:
        return [layout for layout in LAYOUTS if layout in shapes]
    expected = declared.shape[1:]
    fitting = [
        layout
        for layout in LAYOUTS
        if len(shapes.get(layout, ())) == len(expected)
        and all(length in (None, own) for length, own in zip(expected, shapes[layout], strict=True))
    ]
    if not fitting:
        shape = " by ".join("any" if length is None else str(length) for length in expected)
        raise UserError(
            f"these images are {height} by {width} with {channels} channel{'s' * (channels > 1)}",
            expected=f"images of {shape}, as the model takes",
            hint="load them in the model's size (--size, size=)",
        )
    return fitting


def _spread(data: LabelledImages, count: int) -> LabelledImages:
    """At most `count` images, evenly spread over the data, which may be ordered by class."""
    return data.select(np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(np.int64)))


def _trials(
    function: Function, possible: Sequence[InputSpec], known_outputs: bool, data: LabelledImages
) -> list[SpecTrial]:
    """A trial of each specification that the model accepts; raises UserError when it accepts none."""
    trials, errors = [], []
    images = data.pixels.astype(np.float32) / 255
    for spec in possible:
        try:
            trials.append(_try(function, spec, known_outputs, images, data))
        except UserError as error:
            errors.append(error)
        except Exception as error:  # an external function may raise anything
            errors.append(UserError(f"the model rejects images in layout {spec.layout}: {one_line(error)}"))
    if not trials:
        raise errors[0]
    return trials


def _try(
    function: Function, spec: InputSpec, known_outputs: bool, images: np.ndarray, data: LabelledImages
) -> SpecTrial:
    outputs = function(apply_spec(images, spec))
    if not known_outputs:
        spec = replace(spec, outputs=kind_of_outputs(outputs))
    logits = to_logits(outputs, spec.outputs, data.classes, len(data)).astype(np.float64)
    if not np.isfinite(logits).all():
        raise UserError("the model returned values that are not finite")
    log_likelihoods = log_softmax(logits, 1)[np.arange(len(data)), data.labels]
    correct = int((logits.argmax(1) == data.labels).sum())
    return SpecTrial(spec, correct, len(data), float(-log_likelihoods.mean()))


def _check_better_than_guessing(accuracy: float, data: LabelledImages, hint: SpecHint) -> None:
    """Raises UserError below a quarter of the way from always predicting the commonest class to all correct."""
    commonest = np.bincount(data.labels, minlength=len(data.classes)).max() / len(data)
    if accuracy < commonest + MIN_ADVANTAGE * (1 - commonest):
        flags = {"layout": "--layout", "value_range": "--range", "foreground": "--foreground"}
        open_flags = ", ".join(flag for field, flag in flags.items() if asdict(hint)[field] is None)
        raise UserError(
            f"the model is correct on at most {accuracy:.0%} of the validation images, with any input specification",
            expected=f"far more than {commonest:.0%}, the share of the commonest class",
            hint=f"if it was trained on such images, state how it takes them: {open_flags}",
        )
