"""Two models that should give equal predictions: which difference of preprocessing explains that they do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import softmax

from imparfait.core.errors import UserError
from imparfait.core.types import Labels, Logits, Probabilities, Watch
from imparfait.evaluation.external.adapter import as_array, kind_of_outputs, to_logits
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.image_fit import Images
from imparfait.evaluation.external.input_spec import FOREGROUNDS, VALUE_RANGES, Function, InputSpec, apply_spec
from imparfait.evaluation.external.resampling import FRAMES, KERNELS, bring_to

AS_REFERENCE = "the reference's pixels"
FIRST_IMAGES = 16  # for each of about 400 candidates
SECOND_IMAGES = 64  # for the finalists
FINALISTS = 16
EQUAL_SHARE = 0.99  # of images with the same label, from which on predictions count as equal
EQUAL_DIFFERENCE = 0.005  # in the mean of all probabilities: what rounding and another resize library leave
NOISE = 0.001  # of that difference, below which a candidate is no better than one with fewer changes
TEMPERATURES = np.geomspace(0.25, 4, 17)  # by which logits are divided: a calibrated model and its export differ in it
RANGE_WORDS = {
    "1": "0..1", "255": "0..255", "mnist": "0..1 by MNIST's mean and deviation",
    "imagenet": "0..1 by ImageNet's mean and deviation",
}  # fmt: skip


@dataclass(frozen=True)
class Preprocessing:
    """How a model gets its input: what is kept and the resize kernel, or the pixels that the reference gets."""

    spec: InputSpec
    frame: str = AS_REFERENCE
    kernel: str = ""

    @property
    def parts(self) -> dict[str, str]:
        """What it consists of, in words."""
        pixels = self.frame if not self.kernel else f"{self.frame}, {self.kernel}"
        foreground = "as they are" if self.spec.foreground == "light" else "inverted"
        return {
            "pixels": pixels,
            "values": RANGE_WORDS.get(self.spec.value_range, self.spec.value_range),
            "colours": self.spec.color.upper(),
            "light and dark": foreground,
            "layout": self.spec.layout,
        }


@dataclass(frozen=True)
class Agreement:
    """How far a model with this preprocessing gives the reference's predictions."""

    preprocessing: Preprocessing
    same: int
    """Images with the same label."""
    total: int
    difference: float
    """Mean absolute difference of the probabilities, at the best temperature."""
    temperature: float = 1.0
    """By which the model's logits are divided for that."""

    @property
    def is_equal(self) -> bool:
        """Whether the predictions are the same but for rounding."""
        return self.same >= EQUAL_SHARE * self.total and self.difference <= EQUAL_DIFFERENCE


@dataclass(frozen=True)
class Explanation:
    """How far two models agree, and with which preprocessing they agree best."""

    as_reference: Agreement
    """With the preprocessing of the reference, as far as the model takes it."""
    best: Agreement
    without: dict[str, Agreement]
    """The best preprocessing, each part that differs from the reference's set back to it, by the part's name."""


@dataclass(frozen=True, eq=False)
class Pages:
    """Images as files have them, and as the reference gets them."""

    levels: Sequence[np.ndarray]
    """[height, width, channels] in 0..1, each of its own size."""
    shown: Images
    probabilities: Probabilities
    """The reference's."""
    classes: Sequence[str]

    @property
    def labels(self) -> Labels:
        """The reference's predictions."""
        return np.asarray(self.probabilities.argmax(1))

    def part(self, count: int) -> "Pages":
        """At most `count` of them, evenly spread."""
        rows = np.unique(np.linspace(0, len(self.levels) - 1, min(count, len(self.levels))).astype(int))
        return Pages([self.levels[row] for row in rows], self.shown[rows], self.probabilities[rows], self.classes)


def explain(
    function: Function,
    declared: DeclaredSpec,
    pages: Pages,
    reference: InputSpec,
    watch: Watch | None = None,
) -> Explanation:
    """The preprocessing with which `function` comes closest to the reference's predictions.

    Tried are value ranges, the order of colours, inverted light and dark, what is kept of an image and how it is
    resized. `declared` is what the model's file says of its input, `reference` how the reference takes its
    own. Raises UserError where the model takes no such images.
    """
    _, channels, height, width = pages.shown.shape
    layout, shape = input_shape(declared, (channels, height, width))
    specs = list(_specs(layout, shape, declared, reference))
    own = Preprocessing(specs[0])
    if (equal := _tried(function, [own], pages, None)) and equal[0].is_equal:
        return Explanation(equal[0], equal[0], {})
    candidates = [Preprocessing(spec) for spec in specs]
    candidates += [Preprocessing(spec, frame, kernel) for frame, kernel in product(FRAMES, KERNELS) for spec in specs]
    trials = _tried(function, candidates, pages.part(FIRST_IMAGES), watch)
    if not trials:  # the error of a candidate says why
        _tried(function, candidates[:1], pages.part(FIRST_IMAGES), None, required=True)
    few = pages.part(SECOND_IMAGES)
    finalists = [trial.preprocessing for trial in sorted(trials, key=_closeness)[:FINALISTS]]
    found = min(_tried(function, finalists, few, None), key=_closeness)
    found = _simplest(function, found, own, few)
    parts = dict(_set_back(found.preprocessing, own))
    wanted = [own, found.preprocessing, *parts.values()]
    as_reference, measured, *others = _tried(function, wanted, pages, None, required=True)
    return Explanation(as_reference, measured, dict(zip(parts, others, strict=True)))


def _simplest(function: Function, found: Agreement, own: Preprocessing, pages: Pages) -> Agreement:
    """With the parts set back to the reference's that explain nothing."""
    while True:
        candidates = [each for _, each in _set_back(found.preprocessing, own)]
        simpler = [
            trial
            for trial in _tried(function, candidates, pages, None)
            if trial.difference <= found.difference + NOISE and trial.same >= found.same - 1
        ]
        if not simpler:
            return found
        found = min(simpler, key=_closeness)


def input_shape(declared: DeclaredSpec, own: tuple[int, int, int]) -> tuple[str, tuple[int, int, int]]:
    """Layout, and channels, height and width, of a model by its declared shape; what is left open is as `own`."""
    shape, (channels, height, width) = declared.shape, own
    if shape is None:
        return declared.layout or "nchw", own
    if len(shape) == 4 and not {1, 3, None} & {shape[1], shape[3]}:
        raise UserError(f"a model whose input has the shape {shape}", expected="images with 1 or 3 channels")
    if len(shape) == 4:
        is_last = declared.layout == "nhwc" or (
            declared.layout is None and shape[3] in (1, 3) and shape[1] not in (1, 3)
        )
        parts = (shape[3], shape[1], shape[2]) if is_last else shape[1:]
        return "nhwc" if is_last else "nchw", tuple(a or b for a, b in zip(parts, own, strict=True))  # type: ignore[return-value]
    if len(shape) == 3:
        return "nhw", (1, shape[1] or height, shape[2] or width)
    if len(shape) == 2 and shape[1] in (None, channels * height * width):
        return "flat", own
    if len(shape) == 2 and shape[1] == height * width:
        return "flat", (1, height, width)
    raise UserError(f"a model whose input has the shape {shape}", expected=f"images such as the reference's {own}")


def _specs(
    layout: str, shape: tuple[int, int, int], declared: DeclaredSpec, reference: InputSpec
) -> Iterator[InputSpec]:
    """Every specification to try: first the reference's own values, as far as the file does not declare others."""
    ranges = [declared.value_range] if declared.value_range else [reference.value_range, *VALUE_RANGES]
    colors = [reference.color, *({"rgb", "bgr"} - {reference.color})] if shape[0] == 3 else ["rgb"]
    foregrounds = [reference.foreground, *(name for name in FOREGROUNDS if name != reference.foreground)]
    layouts = ["flat", "flat-chw"] if layout == "flat" and shape[0] > 1 else [layout]
    for layout, value_range, foreground, color in product(layouts, dict.fromkeys(ranges), foregrounds, colors):
        if value_range != "imagenet" or shape[0] == 3:
            yield InputSpec(layout, value_range, foreground, "logits", "", shape, color, reference.mean, reference.std)


def _tried(
    function: Function,
    candidates: Sequence[Preprocessing],
    pages: Pages,
    watch: Watch | None,
    *,
    required: bool = False,
) -> list[Agreement]:
    """The agreement with each candidate that the model takes; with `required`, any error of the model is raised."""
    found, brought, images = [], None, None
    for each in watch(candidates, len(candidates)) if watch else candidates:
        if images is None or brought != (each.frame, each.kernel):  # equal ones follow each other
            brought, images = (each.frame, each.kernel), _brought(each, pages)
        try:
            logits = _logits(function, each, images, pages.classes)
        except UserError:
            if required:
                raise
            continue
        found.append(_agreement(each, logits, pages))
    return found


def _agreement(each: Preprocessing, logits: Logits, pages: Pages) -> Agreement:
    same = int((logits.argmax(1) == pages.labels).sum())
    differences = [
        float(np.abs(softmax(logits.astype(np.float64) / temperature, 1) - pages.probabilities).mean())
        for temperature in TEMPERATURES
    ]
    best = int(np.argmin(differences))
    if differences[len(TEMPERATURES) // 2] <= differences[best] + NOISE:
        best = len(TEMPERATURES) // 2  # 1
    return Agreement(each, same, len(logits), differences[best], float(TEMPERATURES[best]))


def _brought(each: Preprocessing, pages: Pages) -> Images:
    """The images in the model's size, 0..1."""
    assert each.spec.shape is not None
    if each.kernel:
        return np.stack([bring_to(levels, each.frame, each.kernel, *each.spec.shape) for levels in pages.levels])
    if pages.shown.shape[1:] == each.spec.shape:
        return pages.shown
    return np.stack(
        [bring_to(shown.transpose(1, 2, 0), "stretched", "area", *each.spec.shape) for shown in pages.shown]
    )


def _logits(function: Function, each: Preprocessing, images: Images, classes: Sequence[str]) -> Logits:
    outputs = as_array(function(apply_spec(images, replace(each.spec, shape=None))))
    logits = to_logits(outputs, kind_of_outputs(outputs), classes, len(images))
    if not np.isfinite(logits).all():
        raise UserError("the model returned values that are not finite", expected="finite numbers for every image")
    return logits


def _closeness(agreement: Agreement) -> tuple[float, int]:
    return agreement.difference, -agreement.same


def _set_back(best: Preprocessing, own: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    """`best` with each part that differs from `own` set back to it."""
    for name, field in (
        ("values", "value_range"),
        ("colours", "color"),
        ("light and dark", "foreground"),
        ("layout", "layout"),
    ):
        if getattr(best.spec, field) != getattr(own.spec, field):
            yield name, replace(best, spec=replace(best.spec, **{field: getattr(own.spec, field)}))
    if (best.frame, best.kernel) != (own.frame, own.kernel):
        yield "pixels", replace(best, frame=own.frame, kernel=own.kernel)
