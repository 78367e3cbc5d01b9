"""`petit`: the best accuracy per second of training on a CPU; and the spatial normaliser it shares with others."""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.tensors import Images

MAX_FRAME_PX = 256
# Jitter of the spatial normaliser in training, in both directions (results/LOG.md, 2026-11-26).
JITTER_ANGLE_RAD, JITTER_SCALE, JITTER_SHEAR, JITTER_SHIFT = math.radians(10), 0.1, 0.1, 1 / 24

Saliency = Callable[[Images], Float[Tensor, "n rows columns"]]
"""How much each pixel counts in the moments of a spatial normaliser; not differentiated."""


class Petit(nn.Module):
    """A spatial normaliser, then three convolutional stages, each at half the resolution of the previous one.

    Takes any image size and number of channels. `filters` is the number of filters of the first stage; the second has
    twice, the third four times as many. `depth` is the number of convolutions in each of the first two stages, all but
    one residual; `frame` the side in pixels (a multiple of 4) of the normalised image.
    """

    def __init__(self, *, channels: int, classes: int, filters: int = 32, depth: int = 1, frame: int = 24):
        super().__init__()
        self.look = SpatialNormalizer(frame)
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.trunk = Trunk(channels, filters, depth)
        self.head = nn.Linear(self.trunk.features, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        logits: Tensor = self.head(self.trunk(self.normalise(self.look(images))))
        return logits


class SpatialNormalizer(nn.Module):
    """Moment normalisation: shifts, scales and shears each image to a centred, upright object of one size.

    Without weights: the mean of the saliency is the centre, its larger standard deviation the size, its covariance
    the shear. A digit in a corner then looks like one in the middle. Assumes one object on an empty background; where
    saliency is everywhere, it sees the whole image.
    In training it adds random jitter in angle, scale, shear and position; without it, the normaliser would undo
    geometric augmentation completely.
    Source: moment normalisation (Liu et al., Pattern Recognition 36, 2003), with MNIST's own centring by mass.
    """

    def __init__(
        self,
        frame: int,
        *,
        saliency: Saliency | None = None,
        padding: Literal["zeros", "border"] = "zeros",
        jitter: float = 1.0,
    ):
        """`jitter` scales the jitter (more helps in long trainings); `saliency` is brightness by default."""
        super().__init__()
        if frame % 4 or not 8 <= frame <= MAX_FRAME_PX:
            raise UserError(f"frame was given as {frame}", expected=f"a multiple of 4 from 8 to {MAX_FRAME_PX}")
        self.frame, self.padding, self.jitter = frame, padding, jitter
        self.saliency = saliency or brightness

    def forward(self, images: Images) -> Float[Tensor, "n channels frame frame"]:
        """Normalised images of side `frame`."""
        frame, (height, width) = self.frame, images.shape[-2:]
        if (reduce := min(height, width) // (2 * frame)) > 1:
            return self.forward(F.avg_pool2d(images, reduce))  # sampling a large image directly would skip pixels
        weight = self.saliency(images)
        weight = weight / weight.sum((1, 2), keepdim=True).clamp(min=1e-6)
        down, right = _from_centre(height, images), _from_centre(width, images)

        rows, columns = weight.sum(2), weight.sum(1)
        row, column = (rows * down).sum(1), (columns * right).sum(1)
        tall = (rows * down**2).sum(1) - row**2
        wide = (columns * right**2).sum(1) - column**2
        # Rows first: OpenVINO 2026.4 computes the other order wrongly in batches (results/LOG.md).
        both = ((weight * down[:, None]).sum(1) * right).sum(1) - row * column
        slant = (both / tall.clamp(min=1e-3)).clamp(-1, 1)
        # The larger standard deviation becomes a quarter of the frame: a digit then fills five sixths of it.
        step = (torch.maximum(tall, wide).clamp(min=0).sqrt() * (4 / frame)).clamp(min=0.2)
        u, v = self.sampling_grid(images)
        u, v = step[:, None, None] * u, step[:, None, None] * v
        x = (column[:, None, None] + u) + slant[:, None, None] * v
        y = (row[:, None, None] + v).expand_as(x)
        grid = torch.stack([x * (2 / width), y * (2 / height)], 3)  # -1 and 1 are the image's outer edges
        return F.grid_sample(images, grid, mode="bilinear", padding_mode=self.padding, align_corners=False)

    def sampling_grid(self, images: Images) -> tuple[Tensor, Tensor]:
        """Sampling positions of the frame's pixels (right, down), in pixels from the centre; jittered in training."""
        line = _from_centre(self.frame, images)
        right, down = line[None, None, :], line[None, :, None]
        if not self.training:
            return right, down
        jitter = 2 * torch.rand(6, len(images), 1, 1, dtype=images.dtype).to(images.device, non_blocking=True) - 1
        jitter = jitter * self.jitter
        angle, slant = jitter[0] * JITTER_ANGLE_RAD, jitter[1] * JITTER_SHEAR
        wide, tall = 1 + jitter[2:4] * JITTER_SCALE
        far_right, far_down = jitter[4:] * (JITTER_SHIFT * self.frame)
        cos, sin = angle.cos(), angle.sin()
        u, v = wide * (cos * right - sin * down) + far_right, tall * (sin * right + cos * down) + far_down
        return u + slant * v, v


def brightness(images: Images) -> Float[Tensor, "n rows columns"]:
    """The saliency of light objects on a dark background: the mean over channels."""
    return images.detach().mean(1)


class Trunk(nn.Module):
    """Three convolutional stages, pooled globally by maximum and by mean.

    Few, wide convolutions at falling resolution: on a CPU the time goes into passes over activations. Average pooling
    before a convolution is more accurate than a strided convolution of the same cost (results/LOG.md, 2026-11-26).
    """

    def __init__(self, channels: int, filters: int, depth: int):
        super().__init__()
        self.features = 8 * filters
        # 2 x 2 pixels become 4 channels: nothing is lost, and no pass is made at full resolution.
        self.unshuffle = nn.PixelUnshuffle(2)
        self.strokes = stage(4 * channels, filters, depth)
        self.shapes = stage(filters, 2 * filters, depth)
        self.things = convolution(2 * filters, 4 * filters)  # one: a second would have half of all weights

    def forward(self, images: Images) -> Float[Tensor, "n features"]:
        """Images with an even number of rows and columns."""
        strokes = self.strokes(self.unshuffle(images))  # n, filters, rows / 2, columns / 2
        shapes = self.shapes(downsample(strokes))
        features = self.things(downsample(shapes))  # n, 4 filters, rows / 8, columns / 8
        return torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1)


def downsample(x: Float[Tensor, "n width rows columns"]) -> Float[Tensor, "n width half_rows half_columns"]:
    """2×2 average pooling; the last of an odd number of rows or columns is repeated."""
    rows, columns = x.shape[-2:]
    if rows % 2 or columns % 2:
        x = F.pad(x, (0, columns % 2, 0, rows % 2), mode="replicate")
    return F.avg_pool2d(x, 2)


class Residual(nn.Module):
    """A residual 3×3 convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.find = convolution(width, width)

    def forward(self, x: Float[Tensor, "n width rows columns"]) -> Float[Tensor, "n width rows columns"]:
        """The same shape as the input."""
        result: Tensor = x + self.find(x)
        return result


def stage(before: int, after: int, depth: int) -> nn.Sequential:
    """A convolution to the stage's width, then `depth` - 1 residual ones."""
    return nn.Sequential(convolution(before, after), *(Residual(after) for _ in range(depth - 1)))


def convolution(before: int, after: int) -> nn.Sequential:
    """3×3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def _from_centre(side: int, like: Tensor) -> Tensor:
    """Positions of `side` pixels in a row, measured from their centre."""
    return torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
