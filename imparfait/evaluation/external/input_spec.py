"""How an external model takes images and returns outputs: layout, value range, foreground, kind of output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from imparfait.core.errors import UserError, lookup

Function = Callable[[np.ndarray], Any]
"""An external function: a batch of images in some layout and range to outputs of some kind."""

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nchw": lambda images: images,
    "nhwc": lambda images: images.transpose(0, 2, 3, 1),
    "nhw": lambda images: images[:, 0],
    "flat": lambda images: images.transpose(0, 2, 3, 1).reshape(len(images), -1),
}
"""From nchw (image, channel, row, column) to each layout: nhw is grey without a channel axis; flat is one vector an
image, the channels of each pixel together."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # torchvision's mean and standard deviation
VALUE_RANGES: dict[str, tuple[Any, Any]] = {
    "1": (0.0, 1.0),
    "255": (0.0, 255.0),
    "-1..1": (0.5, 2.0),
    "mnist": (0.1307, 1 / 0.3081),  # mean and standard deviation in PyTorch's MNIST example
    "imagenet": (np.array(IMAGENET[0])[:, None, None], 1 / np.array(IMAGENET[1])[:, None, None]),
}
"""For each range the shift and the factor: a model's input is (image in 0..1 - shift) * factor."""

FOREGROUNDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "light": lambda images: images,
    "dark": lambda images: 1 - images,
}
"""Light on a dark background, as in MNIST and in this package; or dark on a light background."""

OUTPUTS = ("logits", "probabilities", "labels")


@dataclass(frozen=True)
class InputSpec:
    """How a model takes images and what it returns; names from LAYOUTS, VALUE_RANGES, FOREGROUNDS and OUTPUTS."""

    layout: str = "nchw"
    value_range: str = "1"
    foreground: str = "light"
    outputs: str = "logits"


@dataclass(frozen=True)
class SpecHint:
    """The part of an InputSpec that the user states; None is to be inferred. Raises UserError for an unknown name."""

    layout: str | None = None
    value_range: str | int | None = None
    foreground: str | None = None
    outputs: str | None = None

    def __post_init__(self) -> None:
        if self.value_range is not None:
            object.__setattr__(self, "value_range", str(self.value_range))
        for field, kind, table in (
            ("layout", "layout", LAYOUTS),
            ("value_range", "range", VALUE_RANGES),
            ("foreground", "foreground", FOREGROUNDS),
            ("outputs", "kind of output", dict.fromkeys(OUTPUTS)),
        ):
            value = getattr(self, field)
            if value is not None:
                lookup(kind, value, table)


def apply_spec(images: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Images `[n, channels, height, width]` in 0..1 as `spec` describes them, float32."""
    channels = images.shape[1]
    if spec.layout == "nhw" and channels != 1:
        raise UserError(f"layout nhw for images with {channels} channels", expected="1 channel")
    if spec.value_range == "imagenet" and channels != 3:
        raise UserError(f"range imagenet for images with {channels} channels", expected="3 channels")
    shift, factor = VALUE_RANGES[spec.value_range]
    images = FOREGROUNDS[spec.foreground](images)
    scaled = ((images - np.float32(shift)) * np.float32(factor)).astype(np.float32, copy=False)
    return np.ascontiguousarray(LAYOUTS[spec.layout](scaled))
