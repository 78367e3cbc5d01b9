"""Inference of an external model's input specification: what is left open is tried on validation images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Literal

import numpy as np

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.adapter import listed
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.class_order import missing_name, output_columns, proposal, try_order
from imparfait.evaluation.external.disagreement import rivals, settled
from imparfait.evaluation.external.image_fit import shape_in_words
from imparfait.evaluation.external.input_spec import (
    FOREGROUNDS,
    MEAN_AND_STD,
    VALUE_RANGES,
    Function,
    InputSpec,
    SpecHint,
)
from imparfait.evaluation.external.possible_shapes import Taken, possible_shapes
from imparfait.evaluation.external.trials import (
    SpecTrial,
    beyond_guessing,
    commonest_share,
    count_outputs,
    spread,
    try_orders,
    try_specs,
)

FIRST_ROUND_IMAGES = 200  # for every possible specification
SECOND_ROUND_IMAGES = 1000  # for those within CLOSE_ACCURACY of the best
ORDER_IMAGES = 400  # to find the order of outputs, half of them kept aside
CLOSE_ACCURACY = 0.10  # 200 images do not separate smaller differences of accuracy
EQUAL_ACCURACY = 0.01  # 1,000 images do not separate smaller differences; the log loss decides among them

Origin = Literal["given", "declared", "observed", "inferred"]
"""Where a field comes from: the user, the model file, the model's outputs, or trials on validation images."""


@dataclass(frozen=True)
class InferredSpec:
    """The specification chosen, where each field comes from, and all trials: the chosen one, then the best first."""

    spec: InputSpec
    origins: dict[str, Origin]
    """For each of layout, value_range, foreground and outputs, and for others where they say something."""
    trials: tuple[SpecTrial, ...]
    fitted: str = ""
    """What is done to the images' channels and size, in words."""

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


def infer_spec(
    function: Function,
    declared: DeclaredSpec,
    data: LabelledImages,
    hint: SpecHint | None = None,
    *,
    of_files: bool = False,
) -> InferredSpec:
    """The specification of `function`: the user's `hint` first, then what its file `declared`, the rest by trial.

    `data` are validation images, of which 1,000 are used, or all where accuracy and log loss disagree. The most
    accurate specification is chosen; among those within a hundredth of it, the one with the lowest log loss. Images
    that came `of_files` are not brought to another size here, since their files can be read in it.
    Raises UserError when the model does not fit these images, when no trial is much better than guessing, when its
    outputs stand in another order, and when accuracy and log loss disagree by more than noise.
    """
    hint = hint or SpecHint()
    taken = possible_shapes(declared, data, hint, of_files)
    if not hint.layout and declared.layout in {each.layout for each in taken}:
        taken = [each for each in taken if each.layout == declared.layout]
    names = _known_names(declared, data, hint)
    outputs = hint.outputs or declared.outputs
    possible = _possible(declared, hint, taken, names or (), outputs or "logits", data)
    if names is None and (declared.num_classes or declared.class_names):
        _check_count(function, declared, data, possible)
    try:
        trials = try_specs(function, possible, bool(outputs), spread(data, FIRST_ROUND_IMAGES))
    except UserError:
        if names is None:
            _check_count(function, declared, data, possible)
        raise
    best = max(trial.accuracy for trial in trials)
    close = [trial for trial in trials if trial.accuracy >= best - CLOSE_ACCURACY]
    if len(possible) > 1 and len(close) > 1 and len(data) > FIRST_ROUND_IMAGES:
        again = try_specs(function, [t.spec for t in close], bool(outputs), spread(data, SECOND_ROUND_IMAGES))
        trials = again + [trial for trial in trials if trial not in close]
        close = again
    if names is None:
        _check_order(trials, data)
    if len(possible) > 1:
        _check_better_than_guessing(trials, declared, data, hint)
    best = max(trial.accuracy for trial in close)
    chosen = min((t for t in close if t.accuracy >= best - EQUAL_ACCURACY), key=lambda trial: trial.log_loss)
    against = rivals(chosen, trials, beyond_guessing(data))
    if against:
        against = [min(against, key=lambda trial: trial.log_loss)]
        specs = [chosen.spec, *(trial.spec for trial in against)]
        first, second = try_specs(function, specs, True, data)
        trials = [first, second, *(t for t in trials if t is not chosen and t not in against)]
        chosen = settled(first, second, data.labels)
    # Those on as many images first: an accuracy on 1,000 images may be above one on 10,000 by chance.
    others = sorted((t for t in trials if t is not chosen), key=lambda trial: (-trial.total, -trial.accuracy))
    spec = chosen.spec
    fitted = shape_in_words(data.pixels.shape[1:], spec.fit, spec.shape) if spec.shape else ""
    return InferredSpec(spec, _origins(declared, hint, taken, spec, fitted), (chosen, *others), fitted)


def _possible(
    declared: DeclaredSpec,
    hint: SpecHint,
    taken: Sequence[Taken],
    names: tuple[str, ...],
    outputs: str,
    data: LabelledImages,
) -> list[InputSpec]:
    """Every specification that the hint and the file leave open."""
    known_range = hint.value_range or (MEAN_AND_STD if hint.mean else declared.value_range)
    known_foreground = hint.foreground or declared.foreground
    foregrounds = [known_foreground] if known_foreground else list(FOREGROUNDS)
    specs = []
    for each in taken:
        channels = each.shape[0] if each.shape else data.channels
        ranges = [str(known_range)] if known_range else [r for r in VALUE_RANGES if r != "imagenet" or channels == 3]
        specs += [
            InputSpec(
                each.layout, value_range, foreground, outputs, each.fit, each.shape, hint.color or "rgb",
                tuple(hint.mean or ()), tuple(hint.std or ()), names,
            )
            for value_range, foreground in product(ranges, foregrounds)
        ]  # fmt: skip
    return specs


def _origins(
    declared: DeclaredSpec, hint: SpecHint, taken: Sequence[Taken], spec: InputSpec, fitted: str
) -> dict[str, Origin]:
    one_layout = len({each.layout for each in taken}) == 1
    origins: dict[str, Origin] = {
        "layout": "given" if hint.layout else "declared" if one_layout else "inferred",
        "value_range": "given" if hint.value_range or hint.mean else "declared" if declared.value_range else "inferred",
        "foreground": "given" if hint.foreground else "declared" if declared.foreground else "inferred",
        "outputs": "given" if hint.outputs else "declared" if declared.outputs else "observed",
    }
    if fitted:
        alternatives = len({each.fit for each in taken}) > 1
        origins["fit"] = "given" if hint.fit else "inferred" if alternatives else "declared"
    if hint.color:
        origins["color"] = "given"
    if spec.classes:
        origins["classes"] = "given" if hint.classes else "declared"
    return origins


def _known_names(declared: DeclaredSpec, data: LabelledImages, hint: SpecHint) -> tuple[str, ...] | None:
    """The names of the outputs in order: () where they are the data's classes; None where they are not known."""
    names = tuple(hint.classes or declared.class_names or ())
    if not names:
        return None
    if declared.num_classes not in (None, len(names), 1) and hint.classes:
        raise UserError(
            f"--classes names {len(names)} outputs",
            expected=f"{declared.num_classes}, as many as the model has",
            hint="name every output; those that are none of the data's classes are left out",
        )
    if names == tuple(data.classes):
        return names if hint.classes else ()
    if output_columns(names, data.classes) is not None:
        return names
    if hint.classes:
        raise UserError(
            f"--classes has no {missing_name(names, data.classes)!r} ({listed(names)})",
            expected=f"every class of these images, {listed(data.classes)}",
        )
    return None


def _check_count(
    function: Function, declared: DeclaredSpec, data: LabelledImages, possible: Sequence[InputSpec]
) -> None:
    """Raises UserError with --classes to write where outputs are not one a class, or have names of other classes."""
    classes, others = data.classes, declared.class_names
    count = declared.num_classes or count_outputs(function, possible, data)
    if others and not all(name.isdecimal() for name in others):
        received = f"the model has the classes {listed(others)}"
        expected = f"those of these images, {listed(classes)}"
    elif count in (None, len(classes)) or (count == 1 and len(classes) == 2):
        return
    else:
        received = f"the model has {counted(count, 'class', 'classes')}"
        expected = f"the {len(classes)} classes of these images, or names of its outputs in order"
    if count is not None and count < len(classes):
        raise UserError(received, expected=expected)
    raise UserError(
        received, expected=expected, hint=proposal(try_orders(function, possible, spread(data, ORDER_IMAGES)))
    )


def _check_order(trials: Sequence[SpecTrial], data: LabelledImages) -> None:
    """Raises UserError with the order of outputs to write, where one explains the images much better than ours."""
    tried = []
    for trial in trials:
        images = spread(data, trial.total)
        tried.append(try_order(trial.predicted, images.labels, len(data.classes), data.classes))
    order = max(tried, key=lambda each: each.accuracy)
    as_given = max(each.as_given / each.total for each in tried)
    if not order.is_better or order.accuracy < max(beyond_guessing(data), as_given + 0.1):
        return
    raise UserError(
        f"the model is correct on {as_given:.0%} of the validation images in the order {listed(data.classes)}",
        expected="its outputs in the order of the data's classes, or their names",
        hint=f"{proposal(order)} ({order.accuracy:.0%}); for the order as it is, --classes {','.join(data.classes)}",
    )


def _check_better_than_guessing(
    trials: Sequence[SpecTrial], declared: DeclaredSpec, data: LabelledImages, hint: SpecHint
) -> None:
    """Raises UserError below a quarter of the way from always predicting the commonest class to all correct."""
    best = max(trials, key=lambda trial: trial.accuracy)
    if best.accuracy >= beyond_guessing(data):
        return
    predicted = np.unique(np.concatenate([trial.predicted for trial in trials]))
    received = (
        f"the model predicts {data.classes[predicted[0]]} for every image, with any input specification"
        if len(predicted) == 1
        else f"the model is correct on at most {best.accuracy:.0%} of the validation images, with any input "
        "specification"
    )
    flags = {"layout": "--layout", "value_range": "--range", "foreground": "--foreground"}
    known = {name for name in flags if asdict(hint)[name] is not None or (name == "value_range" and hint.mean)}
    known |= {name for name in ("value_range", "foreground") if getattr(declared, name)}
    stated = " ".join(f"{flags[name]} {getattr(best.spec, name)}" for name in flags if name not in known)
    raise UserError(
        received,
        expected=f"far more than {commonest_share(data):.0%}, the share of the commonest class",
        hint=f"to evaluate it as it is, state how it takes images, such as {stated}",
    )
