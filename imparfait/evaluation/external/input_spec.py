"""How another's model wants its images and gives its answers: stated, read from the model, or found by trying."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from imparfait.core.errors import UserError, lookup

Function = Callable[[np.ndarray], Any]
"""Someone's own: an array of images in some layout and range, to answers in some form."""

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nchw": lambda images: images,
    "nhwc": lambda images: images.transpose(0, 2, 3, 1),
    "nhw": lambda images: images[:, 0],
    "flat": lambda images: images.transpose(0, 2, 3, 1).reshape(len(images), -1),
}
"""From ours (nchw: image, channel, row, column) to each: nhw is grey without an axis of channels; flat is one row of
numbers an image, the channels of each pixel together."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # torchvision's mean and standard deviation
RANGES: dict[str, tuple[Any, Any]] = {
    "1": (0.0, 1.0),
    "255": (0.0, 255.0),
    "-1..1": (0.5, 2.0),
    "mnist": (0.1307, 1 / 0.3081),  # of the examples of PyTorch
    "imagenet": (np.array(IMAGENET[0])[:, None, None], 1 / np.array(IMAGENET[1])[:, None, None]),
}
"""What is subtracted from images in 0..1, and what the rest is multiplied by."""

INKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "light": lambda images: images,
    "dark": lambda images: 1 - images,
}
"""Light ink on a dark ground, as MNIST has it and we do; or dark ink on a light ground."""

OUTPUTS = {"logits": "scores", "probabilities": "probabilities", "labels": "the label itself"}
"""What a model answers, and how people call it."""


@dataclass(frozen=True)
class InputSpec:
    """How a model is asked and what it answers; fields are names in LAYOUTS, RANGES, INKS and OUTPUTS."""

    layout: str = "nchw"
    range: str = "1"
    ink: str = "light"
    outputs: str = "logits"


@dataclass(frozen=True)
class SpecHint:
    """The conventions that are known; None is one that is not. Raises UserError for a name there is not."""

    layout: str | None = None
    range: str | int | None = None
    ink: str | None = None
    outputs: str | None = None

    def __post_init__(self) -> None:
        if self.range is not None:
            object.__setattr__(self, "range", str(self.range))
        for field, table in (("layout", LAYOUTS), ("range", RANGES), ("ink", INKS), ("outputs", OUTPUTS)):
            value = getattr(self, field)
            if value is not None:
                lookup(field, value, table)


def as_wanted(images: np.ndarray, conventions: InputSpec) -> np.ndarray:
    """Images `[n, channels, height, width]` in 0..1 as `conventions` say, float32."""
    channels = images.shape[1]
    if (conventions.layout == "nhw" and channels != 1) or (conventions.range == "imagenet" and channels != 3):
        what = "layout nhw is for grey images" if channels != 1 else "range imagenet is for images with 3 channels"
        raise UserError(f"{what}; these have {channels}")
    shift, factor = RANGES[conventions.range]
    inked = INKS[conventions.ink](images)
    scaled = ((inked - np.float32(shift)) * np.float32(factor)).astype(np.float32, copy=False)
    return np.ascontiguousarray(LAYOUTS[conventions.layout](scaled))
