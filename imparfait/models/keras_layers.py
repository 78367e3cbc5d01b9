"""Layers with Keras's defaults, so that the study's networks are the study's."""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.tensors import Images

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def convolution(before: int, after: int) -> nn.Conv2d:
    """Conv2D(after, 3, padding="same"): Glorot uniform weights, zero bias."""
    return _as_keras_starts(nn.Conv2d(before, after, 3, padding=1))


def dense(before: int, after: int) -> nn.Linear:
    """Dense(after): Glorot uniform weights, zero bias."""
    return _as_keras_starts(nn.Linear(before, after))


def normalisation(width: int, *, planes: bool) -> nn.BatchNorm2d | nn.BatchNorm1d:
    """BatchNormalization(): Keras's momentum .99 is what PyTorch calls .01.

    One difference is left: PyTorch's running variance is the unbiased one, 32/31 of Keras's in the head at batch 32.
    """
    kind = nn.BatchNorm2d if planes else nn.BatchNorm1d
    return kind(width, eps=1e-3, momentum=0.01)


class Dropout(nn.Module):
    """Sets a random `share` of the activations to zero and scales the others up, in training only.

    Its random numbers have 16 bits, four from each number the generator gives: nn.Dropout took 14 % of a step of
    `cnn`, this takes 4 %. `share` is exact to 1/65,536.
    """

    def __init__(self, share: float):
        super().__init__()
        self.limit = round(share * 2**16)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The same shape as the input."""
        if not self.training or self.limit == 0:
            return x
        numbers = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = torch.empty_like(x, device="cpu")  # in the layout of x, so that no step changes it
        kept.copy_((numbers.view(torch.int16)[: x.numel()] >= self.limit - 2**15).as_strided(x.shape, kept.stride()))
        return x * kept.mul_(2**16 / (2**16 - self.limit)).to(x.device)


def flatten(planes: Float[Tensor, "n channels rows columns"]) -> Float[Tensor, "n features"]:
    """Flatten(): by row, column and channel as Keras does it, not by channel first."""
    return planes.permute(0, 2, 3, 1).flatten(1)


def in_steps(planes: Float[Tensor, "n channels rows columns"]) -> Float[Tensor, "n steps channels"]:
    """Reshape((-1, channels)): one step a place, row by row."""
    return planes.permute(0, 2, 3, 1).flatten(1, 2)


def check_size(network: str, height: int, width: int, images: Images) -> None:
    """Raises UserError where `images` are not of the size that `network` was built for."""
    if tuple(images.shape[-2:]) != (height, width):
        came = f"{images.shape[-2]}×{images.shape[-1]}"
        raise UserError(
            f"this {network} was built for images of {height}×{width}, these are {came}; "
            f"train one on images of {came}, or use petit, which takes any size"
        )


def _as_keras_starts(layer: Layer) -> Layer:
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
