"""Two models that should agree, such as a trained one and its export: what each predicts for the same image files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from imparfait.core.compute import usable_cores
from imparfait.core.errors import UserError
from imparfait.core.types import Watch
from imparfait.data.images.centre_crop import CentreCrop
from imparfait.data.images.decode import Page, read_pages
from imparfait.data.images.levels import Levels
from imparfait.data.images.normalize import normalize
from imparfait.evaluation.external.adapter import as_array, kind_of_outputs, to_logits
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.input_spec import MEAN_AND_STD, Function, InputSpec, SpecHint, apply_spec
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.external.preprocessing import Explanation, Pages, explain, input_shape
from imparfait.evaluation.external.remote import RemoteModel, is_url
from imparfait.evaluation.external.resampling import bring_to
from imparfait.inference.predictor import Predictor
from imparfait.models.pretrained import PRETRAINED

MAX_IMAGES = 500  # of the files given, evenly spread: 1 in 200 that differs is seen
MAX_KEPT_PIXELS = 300_000_000  # of all pages together: 3.6 GB in colour


@dataclass(frozen=True)
class PairResult:
    """How far two models agree, what explains the difference, and on which images."""

    explanation: Explanation
    images: int
    reference_input: str
    """How the reference got its input, in words."""


def compare_pair(
    reference: str | Path,
    other: str | Path,
    files: Sequence[str | Path],
    *,
    hint: SpecHint | None = None,
    centre: CentreCrop | None = None,
    size: int | None = None,
    watch: Watch | None = None,
) -> PairResult:
    """Find the preprocessing with which `other` gives the predictions of `reference` for these image files.

    Either is a run folder, a pretrained model's name, a model file, which runs in a sandbox, my_model.py:predict or
    the address of a model behind HTTP. A run takes images as in its training. How others take them is stated by `hint`,
    `centre` and `size`, for the reference only.
    Raises UserError where a model or an image cannot be read, and where the two have other classes.
    """
    with ExitStack() as stack:
        pages, spec, words = _reference(stack, str(reference), _spread(files), hint or SpecHint(), centre, size)
        function, declared = _function(stack, str(other))
        try:
            found = explain(function, declared, pages, spec, watch)
        except UserError as error:
            raise UserError(f"{other}: {error}") from error
        return PairResult(found, len(pages.levels), words)


def _reference(
    stack: ExitStack,
    model: str,
    files: Sequence[str | Path],
    hint: SpecHint,
    centre: CentreCrop | None,
    size: int | None,
) -> tuple[Pages, InputSpec, str]:
    if _is_own(model):
        predictor = _predictor(model)
        shown, levels = [], []
        for page in _pages(files):
            shown.append(normalize(page, predictor.input_format).pixels)
            levels.append(page.pixels)
        pixels = np.stack(shown)
        words = f"as in its training: {predictor.input_format.normalization}"
        images = pixels.astype(np.float32) / 255
        return Pages(levels, images, predictor.predict_proba(pixels), predictor.classes), InputSpec(), words
    function, declared = _function(stack, model)
    levels = [page.pixels for page in _pages(files)]
    kept = [centre.of(each) for each in levels] if centre else levels
    side = (size, size) if size else kept[0].shape[:2]
    channels = 3 if declared.shape else max(each.shape[2] for each in kept)
    layout, shape = input_shape(declared, (channels, *side))
    spec = InputSpec(
        hint.layout or layout,
        str(hint.value_range or (MEAN_AND_STD if hint.mean else declared.value_range or "1")),
        hint.foreground or "light",
        hint.outputs or "logits",
        color=hint.color or "rgb",
        mean=tuple(hint.mean or ()),
        std=tuple(hint.std or ()),
    )
    images = np.stack([bring_to(each, "stretched", "area", *shape) for each in kept])
    outputs = as_array(function(apply_spec(images, spec)))
    count = max(2, outputs.shape[1]) if outputs.ndim == 2 else int(outputs.max()) + 1
    classes = tuple(hint.classes or declared.class_names or map(str, range(count)))
    kind = hint.outputs or declared.outputs or kind_of_outputs(outputs)
    if not np.isfinite(outputs).all():
        raise UserError(f"{model}: the model returned values that are not finite", expected="finite numbers")
    probabilities = softmax(to_logits(outputs, kind, classes, len(images)).astype(np.float64), 1).astype(np.float32)
    words = f"{centre or 'stretched'} to {shape[1]}×{shape[2]}, range {spec.value_range}, {spec.color}"
    return Pages(levels, images, probabilities, classes), spec, words


def _is_own(model: str) -> bool:
    return model in PRETRAINED or Path(model).is_dir()


def _predictor(model: str) -> Predictor:
    from imparfait.inference.loading import load_predictor

    return load_predictor(model, usable_cores())


def _function(stack: ExitStack, model: str) -> tuple[Function, DeclaredSpec]:
    """A model as a function of arrays, and what is known of its input."""
    if is_url(model):
        remote = stack.enter_context(RemoteModel(model))
        return remote, remote.declared
    if ".py:" in model:
        from imparfait.inference.open_model import function_in

        return function_in(model), DeclaredSpec()
    if not _is_own(model):
        if not Path(model).exists():
            raise UserError(
                f"{model}: no such model",
                expected="a run folder, digits, a model file, my_model.py:predict or an address",
            )
        external = stack.enter_context(open_external(model, threads=usable_cores()))
        return external, external.declared
    predictor = _predictor(model)
    form = predictor.input_format

    def predict(images: np.ndarray) -> np.ndarray:
        return predictor.predict_proba(np.rint(images.clip(0, 1) * 255).astype(np.uint8))

    declared = DeclaredSpec(shape=(None, form.channels, form.height, form.width), layout="nchw", value_range="1")
    return predict, declared


def _pages(files: Sequence[str | Path]) -> Iterator[Page]:
    """The first page of each file; raises UserError where they would not fit into memory."""
    pixels = 0
    for file in files:
        page = next(read_pages(file))
        pixels += _pixels(page.pixels)
        if pixels > MAX_KEPT_PIXELS:
            raise UserError(
                f"{len(files)} images of more than {MAX_KEPT_PIXELS // 10**6} megapixels together",
                hint="name fewer or smaller images; 50 are enough",
            )
        yield page


def _pixels(levels: Levels) -> int:
    return int(levels.shape[0] * levels.shape[1])


def _spread(files: Sequence[str | Path]) -> list[str | Path]:
    rows = np.unique(np.linspace(0, len(files) - 1, min(MAX_IMAGES, len(files))).astype(int))
    return [files[row] for row in rows]
