"""What the loaders of .onnx and .keras files share: the declared specification, batches, checked outputs."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import BaseModel

from imparfait.core.errors import UserError
from imparfait.models.metadata import ExportMetadata

BATCH_SIZE = 256  # images in one call, as for our own models
MAX_NAME_CHARACTERS = 8000  # of all class names together: a message of the sandbox holds 64 KiB


class DeclaredSpec(BaseModel, frozen=True, extra="forbid"):
    """What a model file declares about its input and output; None is what it leaves open."""

    shape: tuple[int | None, ...] | None = None
    """Of an input batch, the number of images first."""
    num_classes: int | None = None
    layout: Literal["nchw", "nhwc"] | None = None
    value_range: Literal["1", "255"] | None = None
    """255 where the model begins by dividing by it, or takes integers."""
    foreground: Literal["light"] | None = None
    outputs: Literal["logits", "probabilities", "sigmoid", "labels"] | None = None
    class_names: tuple[str, ...] | None = None


def declared_names(metadata: ExportMetadata) -> tuple[str, ...] | None:
    """The class names of a file that imparfait exported; None where they are too long for the sandbox's messages."""
    return short_names(metadata.classes)


def short_names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Class names that a message can hold and a terminal can show; None for others."""
    if names is None or sum(map(len, names)) >= MAX_NAME_CHARACTERS or not all(map(str.isprintable, names)):
        return None
    return names


def batches(images: np.ndarray, fixed: int | None) -> Iterator[np.ndarray]:
    """`images` in batches; with a `fixed` batch size the last image is repeated until the last batch is full."""
    size = fixed or BATCH_SIZE
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        missing = size - len(batch) if fixed else 0
        yield np.concatenate([batch, np.repeat(batch[-1:], missing, 0)]) if missing else batch


def checked_outputs(outputs: np.ndarray, labels: bool) -> np.ndarray:
    """Outputs as float32 `[n, classes]`, or as int64 `[n]` for `labels`; raises UserError when they are neither."""
    if labels and outputs.ndim == 1:
        return outputs.astype(np.int64)
    if outputs.ndim < 2 or math.prod(outputs.shape[2:]) != 1:
        raise UserError(f"returns an array of shape {outputs.shape}", expected="one number a class for each image")
    return outputs.reshape(outputs.shape[:2]).astype(np.float32)
