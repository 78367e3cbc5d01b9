"""Evaluation of any classifiers on corrupted images: accuracy, comparison, calibration and OOD detection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import replace
from itertools import chain
from typing import TypedDict, Unpack, overload

from imparfait.core.errors import UserError
from imparfait.core.progress import ShowProgress, watch_with
from imparfait.core.types import Classifier
from imparfait.corruptions import CorruptionFunction
from imparfait.data.dataset import ConditionImages, LabelledImages
from imparfait.data.load import load_data
from imparfait.evaluation.external.adapter import adapt
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import InferredSpec, infer_spec
from imparfait.evaluation.external.input_spec import Function, SpecHint
from imparfait.evaluation.model_comparison import Evaluation, assess
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores, score_conditions
from imparfait.evaluation.suite import apply_conditions, conditions_for

Data = LabelledImages | Iterable[ConditionImages] | None
EXPECTED = "a function from arrays of images to logits"
Suite = str | Iterable[str | CorruptionFunction]


class SpecArguments(TypedDict, total=False):
    """The arguments of `evaluate` that say how a function takes images and what it returns."""

    layout: str | None
    value_range: str | int | None
    foreground: str | None
    outputs: str | None
    classes: Sequence[str] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    color: str | None
    fit: str | None
    side: int | None


@overload
def evaluate(
    models: Function,
    data: Data = None,
    *,
    suite: Suite = "core",
    progress: ShowProgress = False,
    **spec: Unpack[SpecArguments],
) -> Scores: ...
@overload
def evaluate(
    models: Mapping[str, Function],
    data: LabelledImages | None = None,
    *,
    suite: Suite = "core",
    progress: ShowProgress = False,
    **spec: Unpack[SpecArguments],
) -> Evaluation: ...
def evaluate(
    models: Function | Mapping[str, Function],
    data: Data = None,
    *,
    suite: Suite = "core",
    layout: str | None = None,
    value_range: str | int | None = None,
    foreground: str | None = None,
    outputs: str | None = None,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    color: str | None = None,
    fit: str | None = None,
    side: int | None = None,
    progress: ShowProgress = False,
) -> Scores | Evaluation:
    """Evaluate any function from images to predictions, or several by name, on corrupted images.

    `data` are images (MNIST's validation images by default) or, for one function, conditions already made, such as
    `core_suite(images)`. `suite` is "core", "digits", "photo", or a list of corruptions: names, or your own functions.
    One function gives Scores. A mapping of names to functions gives an Evaluation, which also compares them and
    holds their calibration and OOD detection; models of `open_model` that differ only in their seed form one.
    A function that does not take float32 `[n, channels, height, width]` in 0..1 and return logits says so: `layout`
    nhwc, nhw, flat or flat-chw; `value_range` 255, -1..1, mnist or imagenet, or `mean` and `std` of each channel;
    `color` bgr; `foreground` dark; `fit` pad, resize or crop to a square of `side` pixels; `outputs` logits,
    probabilities, sigmoid or labels (inferred by default); `classes` the names of its outputs in order. `progress`
    True draws a bar over the conditions; a function is called with how many are done and the total. Results have
    `to_frame()` and `plot()`.
    Raises UserError when a function does not take such images or does not return one output per class and image.

    >>> _, validation = imparfait.load_data("mnist").train_val()
    >>> few = validation.select(range(50))
    >>> scores = imparfait.evaluate(imparfait.load_classifier("digits"), few)
    >>> scores.scores[0].correct, scores.scores[0].total
    (50, 50)
    """
    if data is None:
        _, data = load_data("mnist").train_val()
    if (fit is None) != (side is None):
        raise UserError(f"fit {fit!r} with side {side}", expected="both, such as fit='pad', side=32")
    hint = SpecHint(layout, value_range, foreground, outputs, classes, mean, std, color, fit, side)
    is_ours = hint == SpecHint()
    if not is_ours:
        known_range = hint.value_range or (None if hint.mean else "1")
        hint = replace(hint, layout=layout or "nchw", value_range=known_range, foreground=foreground or "light")
    for model in models.values() if isinstance(models, Mapping) else (models,):
        _check_function(model)
    if isinstance(models, Mapping):
        assert isinstance(data, LabelledImages), "several models are evaluated on images, not on conditions"
        images, conditions = data, conditions_for(suite, data)

        def watched(title: str) -> Iterable[ConditionImages]:
            return watch_with(progress, title)(apply_conditions(images, conditions), len(conditions))

        named = {
            name: model if is_ours else wrap_external(model, DeclaredSpec(), images, hint)[0]
            for name, model in models.items()
        }
        suites = {
            name: SuiteResult(score_conditions(model, watched(f"evaluating {name}"))) for name, model in named.items()
        }
        groups = {name: str(getattr(model, "group", name)) for name, model in models.items()}
        thresholds = {name: getattr(model, "threshold", None) for name, model in models.items()}
        return assess(suites, named, images, groups, thresholds)
    if isinstance(data, LabelledImages):
        of_suite = list(conditions_for(suite, data))
        data, total = apply_conditions(data, of_suite), len(of_suite)
    else:
        total = len(data) if isinstance(data, Sized) else 0  # conditions may be made one after the other
    made = iter(watch_with(progress, "evaluating")(data, total))
    if is_ours:
        return score_conditions(models, made)
    first = next(made)
    classifier, _ = wrap_external(models, DeclaredSpec(), first.data, hint)
    return score_conditions(classifier, chain([first], made))


def wrap_external(
    function: Function, declared: DeclaredSpec, data: LabelledImages, hint: SpecHint, *, of_files: bool = False
) -> tuple[Classifier, InferredSpec]:
    """An external model as a classifier, and its input/output specification: hinted, declared, or tried on `data`."""
    inferred = infer_spec(function, declared, data, hint, of_files=of_files)
    return adapt(function, inferred.spec, data.classes), inferred


def _check_function(model: object) -> None:
    """Raises UserError for a name and for a network of PyTorch, which takes tensors and no arrays."""
    if isinstance(model, str):
        hint = f"write load_classifier({model!r}), or open_model({model!r}) for a file of another library"
        raise UserError(f"evaluate was given the name {model!r}", expected=EXPECTED, hint=hint)
    if any(f"{base.__module__}.{base.__name__}" == "torch.nn.modules.module.Module" for base in type(model).__mro__):
        raise UserError(
            f"evaluate was given {type(model).__name__}, a network of PyTorch",
            expected=EXPECTED,
            hint="write as_classifier(model)",
        )
    if not callable(model):
        raise UserError(f"evaluate was given {type(model).__name__}", expected=EXPECTED)
