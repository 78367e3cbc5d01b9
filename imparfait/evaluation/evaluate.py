"""Anybody's classifier on corrupted images: what is asked, and how."""

from collections.abc import Iterable
from itertools import chain

from imparfait.core.types import Classifier
from imparfait.corruptions import CorruptionFunction
from imparfait.data.dataset import ConditionImages, LabelledImages
from imparfait.data.load import load_data
from imparfait.evaluation.external.adapter import adapt
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import InferredSpec, infer_spec
from imparfait.evaluation.external.input_spec import Function, SpecHint
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.scores import evaluate as score
from imparfait.evaluation.suite import conditions_from, full_suite, shown


def evaluate(
    classifier: Function,
    data: LabelledImages | Iterable[ConditionImages] | None = None,
    *,
    suite: Iterable[str | CorruptionFunction] | None = None,
    layout: str | None = None,
    range: str | int | None = None,
    ink: str | None = None,
    outputs: str | None = None,
) -> Scores:
    """Score any function from images to answers, on `data` corrupted.

    `data` are images (MNIST's validation images, when none are given) or parts corrupted already, such as
    `core_suite(images)`. `suite` are corruptions, by name or as functions of one's own: `[*CORRUPTIONS, mine]`; when
    none is given, the core suite. A function that is not asked as ours are (float32 `[n, channels, height,
    width]` in 0..1, logits out) says how: `layout` nhwc, nhw or flat; `range` 255, -1..1, mnist or imagenet; `ink`
    dark; `outputs` logits, probabilities or labels, else what the answers look like.
    Raises UserError when its answers are not one a class for each image, or when it does not take such images.
    """
    if data is None:
        _, data = load_data("mnist").fitting()
    if isinstance(data, LabelledImages):
        data = shown(data, conditions_from() if suite is None else full_suite(suite))
    if layout is None and range is None and ink is None and outputs is None:
        return score(classifier, data)
    parts = iter(data)
    first = next(parts)
    known = SpecHint(layout or "nchw", range or "1", ink or "light", outputs)
    classifier, _ = wrap_external(classifier, DeclaredSpec(), first.data, known)
    return score(classifier, chain([first], parts))


def wrap_external(
    function: Function, told: DeclaredSpec, data: LabelledImages, known: SpecHint
) -> tuple[Classifier, InferredSpec]:
    """Another's model as a classifier: asked as it says, else as proves best on a few of the images `data`."""
    conventions = infer_spec(function, told, data, known)
    return adapt(function, conventions.conventions, data.classes), conventions
