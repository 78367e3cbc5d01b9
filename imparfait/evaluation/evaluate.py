"""Anybody's classifier on altered pictures: what is asked, and how."""

from collections.abc import Iterable
from itertools import chain

from imparfait.core.types import Classifier
from imparfait.corruptions import Alteration
from imparfait.data.dataset import AlteredImages, LabelledImages
from imparfait.data.load import load_data
from imparfait.evaluation.external.adapter import adapted
from imparfait.evaluation.external.base import Told
from imparfait.evaluation.external.infer_spec import Found, found
from imparfait.evaluation.external.input_spec import Function, Known
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.scores import evaluate as score
from imparfait.evaluation.suite import shown, the_full_suite, the_parts_of


def evaluate(
    classifier: Function,
    data: LabelledImages | Iterable[AlteredImages] | None = None,
    *,
    suite: Iterable[str | Alteration] | None = None,
    layout: str | None = None,
    range: str | int | None = None,
    ink: str | None = None,
    outputs: str | None = None,
) -> Scores:
    """Score any function from pictures to answers, on `data` altered.

    `data` are pictures (MNIST's development pictures, when none are given) or parts altered already, such as
    `the_three(pictures)`. `suite` are alterations, by name or as functions of one's own: `[*ALTERATIONS, mine]`; when
    none is given, the protocol's three. A function that is not asked as ours are (float32 `[n, channels, height,
    width]` in 0..1, logits out) says how: `layout` nhwc, nhw or flat; `range` 255, -1..1, mnist or imagenet; `ink`
    dark; `outputs` logits, probabilities or labels, else what the answers look like.
    Raises UserError when its answers are not one a class for each picture, or when it does not take such pictures.
    """
    if data is None:
        _, data = load_data("mnist").fitting()
    if isinstance(data, LabelledImages):
        data = shown(data, the_parts_of() if suite is None else the_full_suite(suite))
    if layout is None and range is None and ink is None and outputs is None:
        return score(classifier, data)
    parts = iter(data)
    first = next(parts)
    known = Known(layout or "nchw", range or "1", ink or "light", outputs)
    classifier, _ = understood(classifier, Told(), first.data, known)
    return score(classifier, chain([first], parts))


def understood(function: Function, told: Told, data: LabelledImages, known: Known) -> tuple[Classifier, Found]:
    """Another's model as a classifier: asked as it says, else as proves best on a few of the pictures `data`."""
    conventions = found(function, told, data, known)
    return adapted(function, conventions.conventions, data.classes), conventions
