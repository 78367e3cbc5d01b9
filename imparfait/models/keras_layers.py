"""Layers with Keras's defaults, for the founding study's networks."""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.tensors import Images

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def convolution(before: int, after: int) -> nn.Conv2d:
    """Conv2D(after, 3, padding="same"): Glorot uniform weights, zero bias."""
    return _keras_init(nn.Conv2d(before, after, 3, padding=1))


def dense(before: int, after: int) -> nn.Linear:
    """Dense(after): Glorot uniform weights, zero bias."""
    return _keras_init(nn.Linear(before, after))


def normalisation(width: int, *, planes: bool) -> nn.BatchNorm2d | nn.BatchNorm1d:
    """BatchNormalization(): Keras's momentum of .99 is .01 in PyTorch.

    One difference remains: PyTorch's running variance is the unbiased one, 32/31 of Keras's in the head at batch 32.
    """
    kind = nn.BatchNorm2d if planes else nn.BatchNorm1d
    return kind(width, eps=1e-3, momentum=0.01)


class Dropout(nn.Module):
    """Dropout with 16-bit random numbers, four from each 64-bit draw.

    nn.Dropout takes 14 % of a training step of `cnn`, this 4 %. The probability `share` is exact to 1/65,536.
    """

    def __init__(self, share: float):
        super().__init__()
        self.limit = round(share * 2**16)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The same shape as the input."""
        if not self.training or self.limit == 0:
            return x
        numbers = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = torch.empty_like(x, device="cpu")  # in the memory layout of x, so that the mask does not depend on it
        kept.copy_((numbers.view(torch.int16)[: x.numel()] >= self.limit - 2**15).as_strided(x.shape, kept.stride()))
        return x * kept.mul_(2**16 / (2**16 - self.limit)).to(x.device, non_blocking=True)


def flatten(planes: Float[Tensor, "n channels rows columns"]) -> Float[Tensor, "n features"]:
    """Flatten(): in Keras's order row, column, channel."""
    return planes.permute(0, 2, 3, 1).flatten(1)


def in_steps(planes: Float[Tensor, "n channels rows columns"]) -> Float[Tensor, "n steps channels"]:
    """Reshape((-1, channels)): one step per position, row by row."""
    return planes.permute(0, 2, 3, 1).flatten(1, 2)


def check_size(network: str, height: int, width: int, images: Images) -> None:
    """Raise UserError if `images` do not have the size that `network` was built for."""
    if tuple(images.shape[-2:]) != (height, width):
        size = f"{images.shape[-2]}×{images.shape[-1]}"
        raise UserError(
            f"images of {size}",
            expected=f"{height}×{width}, which this {network} was built for",
            hint=f"train one on images of {size}, or use petit, which takes any size",
        )


def _keras_init(layer: Layer) -> Layer:
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
