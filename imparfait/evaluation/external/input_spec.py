"""How an external model takes images and returns outputs: layout, value range, foreground, size, kind of output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imparfait.core.errors import UserError, lookup
from imparfait.evaluation.external.image_fit import FITS, Shape, fit_images

Function = Callable[[np.ndarray], Any]
"""An external function: a batch of images in some layout and range to outputs of some kind."""

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nchw": lambda images: images,
    "nhwc": lambda images: images.transpose(0, 2, 3, 1),
    "nhw": lambda images: images[:, 0],
    "flat": lambda images: images.transpose(0, 2, 3, 1).reshape(len(images), -1),
    "flat-chw": lambda images: images.reshape(len(images), -1),
}
"""From nchw (image, channel, row, column) to each layout: nhw is grey without a channel axis; flat is one vector an
image, the channels of each pixel together; flat-chw one channel after the other, the same for grey images."""

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

OUTPUTS = ("logits", "probabilities", "sigmoid", "labels")
"""`sigmoid` is a probability for each class by itself; each image's are divided by their sum."""

COLORS = ("rgb", "bgr")
MEAN_AND_STD = "mean/std"  # the value range of a mean and a standard deviation that the user gives


@dataclass(frozen=True)
class InputSpec:
    """How a model takes images and what it returns; names from LAYOUTS, VALUE_RANGES, FOREGROUNDS and OUTPUTS."""

    layout: str = "nchw"
    value_range: str = "1"
    foreground: str = "light"
    outputs: str = "logits"
    fit: str = ""
    """A name of FITS, where images are brought to `shape`."""
    shape: Shape | None = None
    """The channels, height and width that the model takes, where those of the images may differ."""
    color: str = "rgb"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """One for each channel or one for all, of images in 0..1; where a mean is above 1, in 0..255."""
    classes: tuple[str, ...] = ()
    """The names of the outputs in order; empty where they are those of the data."""


@dataclass(frozen=True)
class SpecHint:
    """The part of an InputSpec that the user states; None is to be inferred. Raises UserError for an unknown name."""

    layout: str | None = None
    value_range: str | int | None = None
    foreground: str | None = None
    outputs: str | None = None
    classes: Sequence[str] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    color: str | None = None
    fit: str | None = None
    side: int | None = None
    """The side in pixels to which `fit` brings images."""

    def __post_init__(self) -> None:
        if self.value_range is not None:
            object.__setattr__(self, "value_range", str(self.value_range))
        for field, kind, table in (
            ("layout", "layout", LAYOUTS),
            ("value_range", "range", VALUE_RANGES),
            ("foreground", "foreground", FOREGROUNDS),
            ("outputs", "kind of output", dict.fromkeys(OUTPUTS)),
            ("color", "order of colours", dict.fromkeys(COLORS)),
            ("fit", "fit", FITS),
        ):
            value = getattr(self, field)
            if value is not None:
                lookup(kind, value, table)
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))
        if self.mean is not None or self.std is not None:
            self._check_mean_and_std()

    def _check_mean_and_std(self) -> None:
        if self.value_range is not None:
            raise UserError(f"both a range ({self.value_range}) and a mean or deviation", expected="one of them")
        mean, std = tuple(self.mean or (0.0,)), tuple(self.std or (1.0,))
        if {len(mean), len(std)} - {1, 3} or not np.isfinite([*mean, *std]).all() or min(std) <= 0:
            received = f"mean {','.join(map(str, mean))} and std {','.join(map(str, std))}"
            raise UserError(received, expected="1 or 3 numbers each, deviations above 0")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)


def apply_spec(images: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Images `[n, channels, height, width]` in 0..1 as `spec` describes them, float32."""
    images = fit_images(images, spec.fit, spec.shape) if spec.shape else images
    channels = images.shape[1]
    if spec.layout == "nhw" and channels != 1:
        raise UserError(f"layout nhw for images with {channels} channels", expected="1 channel")
    if spec.value_range == "imagenet" and channels != 3:
        raise UserError(f"range imagenet for images with {channels} channels", expected="3 channels")
    images = FOREGROUNDS[spec.foreground](images)
    if spec.color == "bgr":
        images = images[:, ::-1]
    shift, factor = _shift_and_factor(spec, channels)
    scaled = ((images - np.float32(shift)) * np.float32(factor)).astype(np.float32, copy=False)
    return np.ascontiguousarray(LAYOUTS[spec.layout](scaled))


def _shift_and_factor(spec: InputSpec, channels: int) -> tuple[Any, Any]:
    if spec.value_range != MEAN_AND_STD:
        return VALUE_RANGES[spec.value_range]
    if max(len(spec.mean), len(spec.std)) > channels:
        raise UserError(f"a mean and deviation of 3 channels for images with {channels}", expected="1 number each")
    size = 255.0 if max(spec.mean) > 1 else 1.0  # of white, in the mean's unit
    mean, std = (np.array(values)[:, None, None] for values in (spec.mean, spec.std))
    return mean / size, size / std
