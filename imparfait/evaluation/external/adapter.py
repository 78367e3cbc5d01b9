"""Another's model as a classifier of ours, once its conventions are known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Classifier, Labels, Logits
from imparfait.evaluation.external.input_spec import LAYOUTS, Function, InputSpec, as_wanted

LEAST = 1e-12  # the probability that stands for 0, whose logarithm is no number


def adapt(function: Function, conventions: InputSpec, classes: Sequence[str]) -> Classifier:
    """`function` as a classifier of `classes`: float32 `[n, channels, height, width]` in 0..1 to logits `[n, classes]`.

    Probabilities become their logarithms; labels (indices or names of classes) become certainty. The classifier raises
    UserError for a batch the function does not take, with the line to write where another layout would do.
    """

    def classify(images: np.ndarray) -> Logits:
        batch = as_wanted(images, conventions)
        try:
            answer = function(batch)
        except UserError:
            raise
        except Exception as error:  # whatever someone's own function raises
            raise UserError(_not_taken(function, images, batch, conventions, error)) from error
        return logits(answer, conventions.outputs, classes, len(images))

    return classify


def logits(answer: Any, outputs: str, classes: Sequence[str], count: int) -> Logits:
    """Answers to `count` images, in the form `outputs`, as logits `[count, classes]`; UserError when they are not."""
    array = as_array(answer)
    if outputs == "labels":
        array = array.reshape(count) if array.shape == (count, 1) else array
        if array.shape != (count,):
            raise UserError(f"the model answers {count} images with shape {array.shape}; expected a label for each")
        certain = np.full((count, len(classes)), LEAST)
        certain[np.arange(count), _indices(array, classes)] = 1
        return np.asarray(np.log(certain), np.float32)
    if array.shape != (count, len(classes)) or array.dtype.kind not in "fiu":
        raise UserError(
            f"the model answers {count} images with {array.dtype} of shape {array.shape}; expected numbers of "
            f"shape ({count}, {len(classes)}), one for each of the classes {few(classes)}"
        )
    scores = array.astype(np.float32)
    return np.asarray(np.log(np.clip(scores, LEAST, None))) if outputs == "probabilities" else scores


def outputs_of(answer: Any) -> str:
    """What the answers to many images must be: labels where each is one thing, probabilities where all sum to 1."""
    array = as_array(answer)
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iuU"):
        return "labels"
    rows = array.astype(np.float64) if array.dtype.kind in "fiu" else np.full((1, 1), -1.0)
    sums_to_one = np.abs(rows.sum(-1) - 1) < 1e-3  # half precision is off by 5e-4
    return "probabilities" if bool((rows >= 0).all() and sums_to_one.all()) else "logits"


def as_array(answer: Any) -> np.ndarray:
    """Someone's answer as an array; raises UserError with the line to write when PyTorch does not give it away."""
    try:
        return np.asarray(answer)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"the model's answer is no array ({_line(error)}); write a function that gives one, such as "
            "lambda images: model(torch.from_numpy(images)).detach().cpu().numpy()"
        ) from error


def _indices(labels: np.ndarray, classes: Sequence[str]) -> Labels:
    """Labels as indices of classes: whole numbers are, words are looked up."""
    if labels.dtype.kind in "UO":
        places = {name: place for place, name in enumerate(classes)}
        known = [places.get(str(label), -1) for label in labels]
    else:
        whole = labels.dtype.kind in "iub" or bool((labels == np.floor(labels)).all())
        known = [int(label) if whole and 0 <= label < len(classes) else -1 for label in labels]
    if -1 in known:
        came = labels[known.index(-1)]
        raise UserError(f"the model answers {came!s}; expected one of the classes {few(classes)}, or its index")
    return np.array(known, np.int64)


def _not_taken(
    function: Function, images: np.ndarray, batch: np.ndarray, conventions: InputSpec, error: Exception
) -> str:
    """That a batch was not taken, and what to write where another layout of the same images is."""
    few = images[:32]
    for layout in LAYOUTS:
        if layout == conventions.layout or (layout == "nhw" and images.shape[1] != 1):
            continue
        other = replace(conventions, layout=layout)
        try:
            answer = as_array(function(as_wanted(few, other)))
        except Exception:  # not this one either
            continue
        if len(answer.shape) > 0 and len(answer) == len(few):
            line = f"evaluate({_name(function)}, {_words(other)})"
            return f"the model does not take images of shape {batch.shape} but does as {layout}; write {line}"
    return f"the model does not take images of shape {batch.shape}, nor in another layout: {_line(error)}"


def _words(conventions: InputSpec) -> str:
    """The arguments that say `conventions`, without those that need not be said."""
    said = [f'layout="{conventions.layout}"']
    if conventions.range != "1":
        number = conventions.range.isdigit()
        said.append(f"range={conventions.range}" if number else f'range="{conventions.range}"')
    return ", ".join(said + ([f'ink="{conventions.ink}"'] if conventions.ink != "light" else []))


def _name(function: Function) -> str:
    name = getattr(function, "__name__", "model")
    if getattr(function, "__self__", None) is not None:
        return f"model.{name}"
    return name if name.isidentifier() else "model"


def _line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else f"{text[:200]}…"


def few(names: Sequence[str]) -> str:
    """Names of classes, not all of them where they are many."""
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])}, … {names[-1]}"
