"""Levels of the photo suite: published parameters by level and image side, and severities as levels."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps

import numpy as np
import torch
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import CorruptionFunction, Severity, check_images, on_device

LEVELS = 5  # published levels; severity 0.2 is level 1, severity 1 is level 5
PUBLISHED_SIDES = (32, 64, 224)  # pixels: CIFAR-10-C, Tiny-ImageNet-C, ImageNet-C


@dataclass(frozen=True)
class Curve:
    """A parameter as a function of the level (0..5) and the image's shorter side.

    Values are given for levels 1 to 5, at the published sides of 224, 64 and 32 pixels (64 and 32 default to 224's).
    Between levels it is linear, from `zero` at level 0, where nothing changes. Between sides it is linear in the
    logarithm of the side; beyond 32 and 224 pixels it is constant, or in proportion to the side if `is_length`.
    Source: make_imagenet_c.py, make_tinyimagenet_c.py and make_cifar_c.py of Hendrycks & Dietterich (ICLR 2019).
    """

    zero: float
    at_224: Sequence[float]
    at_64: Sequence[float] = ()
    at_32: Sequence[float] = ()
    is_length: bool = False

    def at(self, level: float, images: Images) -> float:
        """The parameter for `images` at a level, 0..5."""
        side = min(images.shape[-2:])
        by_side = [
            float(np.interp(level, range(LEVELS + 1), (self.zero, *values)))
            for values in (self.at_32 or self.at_224, self.at_64 or self.at_224, self.at_224)
        ]
        value = float(np.interp(math.log(side), [math.log(each) for each in PUBLISHED_SIDES], by_side))
        if self.is_length:
            return value * (min(side / PUBLISHED_SIDES[0], 1.0) * max(side / PUBLISHED_SIDES[-1], 1.0))
        return value


def by_level(function: Callable[[Images, float, CounterRng], Images]) -> CorruptionFunction:
    """A corruption from a function of float32 images, one level (above 0, to 5) and random numbers.

    Severity is level / 5, one for all images or one each; images of one severity are corrupted together. Severity 0
    returns the very same pixels. Raises UserError for images that are not floating point.
    """

    @wraps(function)
    def corruption(images: Tensor, severity: Severity, rng: CounterRng) -> Images:
        check_images(images)
        if not isinstance(severity, Tensor):
            return _at_one(images, float(severity), rng)
        corrupted = images.clone()
        for value in sorted(set(severity.tolist())):
            rows = on_device((severity == value).nonzero()[:, 0], images)
            corrupted[rows] = _at_one(images[rows], value, rng.at(rows))
        return corrupted

    def _at_one(images: Images, severity: float, rng: CounterRng) -> Images:
        level = round(LEVELS * severity, 4)  # float32's 0.4 and float64's are the same level
        if level == 0 or len(images) == 0:
            return images
        return function(images.to(torch.float32).contiguous(), level, rng).clamp_(0, 1).to(images.dtype)

    return corruption
