"""Readers of other people's model files; each runs behind the fence and says what its file says of itself."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import BaseModel

from imparfait.core.errors import UserError
from imparfait.models.metadata import Card


class DeclaredSpec(BaseModel, frozen=True, extra="forbid"):
    """What a model says of itself; None is what it leaves open."""

    shape: tuple[int | None, ...] | None = None
    """Of a batch of input, the number of images first."""
    classes: int | None = None
    layout: Literal["nchw", "nhwc"] | None = None
    range: Literal["1", "255"] | None = None
    """255 where it begins by dividing by it, or takes whole numbers."""
    ink: Literal["light"] | None = None
    outputs: Literal["logits", "probabilities", "labels"] | None = None
    names: tuple[str, ...] | None = None
    """Of the classes, in their order."""


def names_in(card: Card) -> tuple[str, ...] | None:
    """The classes of an export of ours, where they are few enough to be told through the fence."""
    return card.classes if sum(map(len, card.classes)) < MOST_LETTERS else None


BATCH = 256
"""Images answered at once; as in classifiers."""
MOST_LETTERS = 8000


def batches(images: np.ndarray, fixed: int | None) -> Iterator[np.ndarray]:
    """`images` in batches, each of `fixed` images where the model takes no other number: the last one repeats."""
    size = fixed or BATCH
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        missing = size - len(batch) if fixed else 0
        yield np.concatenate([batch, np.repeat(batch[-1:], missing, 0)]) if missing else batch


def table(answers: np.ndarray, labels: bool) -> np.ndarray:
    """Answers as float32 `[n, columns]`, or as int64 `[n]` for `labels`; raises UserError when they are neither."""
    if labels and answers.ndim == 1:
        return answers.astype(np.int64)
    if answers.ndim < 2 or math.prod(answers.shape[2:]) != 1:
        raise UserError(f"answers images with an array of shape {answers.shape}; expected a number a class for each")
    return answers.reshape(answers.shape[:2]).astype(np.float32)
