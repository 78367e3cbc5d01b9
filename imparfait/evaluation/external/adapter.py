"""An external function wrapped as a classifier of ours: images and outputs converted as its specification says."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Classifier, Labels, Logits, are_probabilities
from imparfait.evaluation.external.class_order import output_columns
from imparfait.evaluation.external.input_spec import LAYOUTS, Function, InputSpec, apply_spec

MIN_PROBABILITY = 1e-12  # replaces 0, whose logarithm is not finite
MAX_NAMES_LISTED = 12  # class names in an error message
MAX_ERROR_CHARACTERS = 200  # of someone else's exception, in an error message


def adapt(function: Function, spec: InputSpec, classes: Sequence[str]) -> Classifier:
    """`function` as a classifier of `classes`: float32 `[n, channels, height, width]` in 0..1 to logits `[n, classes]`.

    Probabilities become their logarithms; labels (indices or names of classes) become logarithms of 0 and 1. The
    classifier raises UserError for a batch that `function` rejects, with the call to write where another layout works.
    """

    def classify(images: np.ndarray) -> Logits:
        batch = apply_spec(images, spec)
        try:
            outputs = function(batch)
        except UserError:
            raise
        except Exception as error:  # an external function may raise anything
            raise _rejected(function, images, batch, spec, error) from error
        return to_logits(outputs, spec.outputs, classes, len(images), spec.classes)

    return classify


def to_logits(outputs: Any, kind: str, classes: Sequence[str], count: int, names: Sequence[str] = ()) -> Logits:
    """Outputs of this kind for `count` images as logits `[count, classes]`; raises UserError when they do not fit.

    `names` are those of the outputs in order, where they are not `classes`: outputs of other names are left out.
    """
    array = as_array(outputs)
    received = f"the model returned {array.dtype} of shape {array.shape} for {count} images"
    if kind == "labels":
        array = array.reshape(count) if array.shape == (count, 1) else array
        if array.shape != (count,):
            raise UserError(received, expected=f"one label an image, shape ({count},)")
        certain = np.full((count, len(names or classes)), MIN_PROBABILITY)
        certain[np.arange(count), _indices(array, names or classes)] = 1
        return _by_class(np.asarray(np.log(certain), np.float32), names, classes)
    width = len(names or classes)
    if array.shape == (count, 1) and width == 2 and array.dtype.kind in "fiu":  # of the second of two classes
        array = np.concatenate([0 * array if kind == "logits" else 1 - array, array], 1)
    if array.shape != (count, width) or array.dtype.kind not in "fiu":
        shape = f"numbers of shape ({count}, {width})"
        raise UserError(received, expected=f"{shape}, one for each of the classes {listed(names or classes)}")
    scores = array.astype(np.float32)
    kind = "probabilities" if kind == "sigmoid" else kind  # the sum is divided out by the softmax of the logarithms
    if kind == "probabilities" and not are_probabilities(scores):
        raise UserError(
            f"the model returned {scores.min():g} to {scores.max():g} as probabilities",
            expected="numbers in 0..1",
            hint="if they are logits, say so: --outputs logits, or outputs='logits' in Python",
        )
    scores = np.asarray(np.log(np.clip(scores, MIN_PROBABILITY, None))) if kind == "probabilities" else scores
    return _by_class(scores, names, classes)


def _by_class(logits: np.ndarray, names: Sequence[str], classes: Sequence[str]) -> Logits:
    columns = output_columns(names, classes) if names else None
    return logits if columns is None else np.ascontiguousarray(logits[:, columns])


def kind_of_outputs(outputs: Any) -> str:
    """The kind of outputs: labels for one value an image, probabilities where every row sums to 1, else sigmoid for
    values in 0..1."""
    array = as_array(outputs)
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iuU"):
        return "labels"
    rows = array.astype(np.float64) if array.dtype.kind in "fiu" else np.full((1, 1), -1.0)
    sums_to_one = np.abs(rows.sum(-1) - 1) < 1e-3  # half precision is off by 5e-4
    if (rows >= 0).all() and sums_to_one.all() and rows.shape[-1] > 1:
        return "probabilities"
    return "sigmoid" if rows.size and rows.min() >= 0 and 0 < rows.max() <= 1 else "logits"


def as_array(outputs: Any) -> np.ndarray:
    """Outputs as an array; raises UserError with the call to write when PyTorch does not convert its tensor."""
    try:
        return np.asarray(outputs)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"the model's output cannot be converted to an array ({one_line(error)})",
            expected="a function that returns one",
            hint="write: lambda images: model(torch.from_numpy(images)).detach().cpu().numpy()",
        ) from error


def one_line(error: Exception) -> str:
    """Someone else's exception as one short line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= MAX_ERROR_CHARACTERS else f"{text[:MAX_ERROR_CHARACTERS]}…"


def listed(names: Sequence[str]) -> str:
    """Class names as a list, shortened where there are many."""
    return ", ".join(names) if len(names) <= MAX_NAMES_LISTED else f"{', '.join(names[:10])}, … {names[-1]}"


def _indices(labels: np.ndarray, classes: Sequence[str]) -> Labels:
    """Labels as class indices: whole numbers are indices, strings are names."""
    if labels.dtype.kind in "UO":
        index_of = {name: index for index, name in enumerate(classes)}
        indices = [index_of.get(str(label), -1) for label in labels]
    else:
        whole = labels.dtype.kind in "iub" or bool((labels == np.floor(labels)).all())
        indices = [int(label) if whole and 0 <= label < len(classes) else -1 for label in labels]
    if -1 in indices:
        unknown = labels[indices.index(-1)]
        expected = f"one of the classes {listed(classes)}, or its index"
        raise UserError(f"the model returned the label {unknown!s}", expected=expected)
    return np.array(indices, np.int64)


def _rejected(
    function: Function, images: np.ndarray, batch: np.ndarray, spec: InputSpec, error: Exception
) -> UserError:
    """The error for a rejected batch; its hint is the call to write where another layout of the same images works."""
    sample = images[:32]
    for layout in LAYOUTS:
        if layout == spec.layout or (layout == "nhw" and images.shape[1] != 1):
            continue
        other = replace(spec, layout=layout)
        try:
            outputs = as_array(function(apply_spec(sample, other)))
        except Exception:  # this layout is rejected too
            continue
        if len(outputs.shape) > 0 and len(outputs) == len(sample):
            return UserError(
                f"the model rejects images of shape {batch.shape} and takes layout {layout}",
                hint=f"write evaluate({_name(function)}, {_arguments(other)})",
            )
    return UserError(f"the model rejects images of shape {batch.shape}, in every layout: {one_line(error)}")


def _arguments(spec: InputSpec) -> str:
    """The arguments of `evaluate` for this specification, without those that are the default."""
    arguments = [f'layout="{spec.layout}"']
    if spec.value_range != "1":
        value = spec.value_range if spec.value_range.isdigit() else f'"{spec.value_range}"'
        arguments.append(f"value_range={value}")
    if spec.foreground != "light":
        arguments.append(f'foreground="{spec.foreground}"')
    return ", ".join(arguments)


def _name(function: Function) -> str:
    name = getattr(function, "__name__", "model")
    if getattr(function, "__self__", None) is not None:
        return f"model.{name}"
    return name if name.isidentifier() else "model"
