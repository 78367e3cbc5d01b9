"""The small network: the best accuracy for the time on a CPU."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.tensors import Images

LARGEST_FRAME = 256
# How far an unsteady look errs, either way. results/LOG.md, 2026-11-26.
TURN, STRETCH, SLANT, MOVE = math.radians(10), 0.1, 0.1, 1 / 24


class Petit(nn.Module):
    """Looks at where the ink is, then three stages of convolutions, each at half the size of the one before.

    Takes any image size and any number of channels. `filters` is the number of filters of the first stage, half that
    of the second and a quarter of the third; `depth` the number of convolutions in each of the first two, all but one
    residual; `frame` the side (a multiple of 4, in pixels) at which it looks at the thing.
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
    """Moves, scales and slants each image so that its ink is in the middle, of one size and upright.

    No weights: the ink's mean is the centre, its larger standard deviation the size, its covariance the slant. So a
    digit in a corner looks like one in the middle, and the network need not learn each place and size apart. It
    assumes one thing on an empty ground; where ink is everywhere it sees the whole image.
    While the network learns the look is unsteady: it errs a little in angle, size, slant and place, at random. What
    an augmentation alters in these the look undoes, so that images would teach nothing new for being corrupted.
    Source: moment normalisation (Liu et al., Pattern Recognition 36, 2003), with MNIST's own centring by mass.
    """

    beyond = "zeros"
    """What lies beyond the image: an empty ground."""

    def __init__(self, frame: int):
        super().__init__()
        if frame % 4 or not 8 <= frame <= LARGEST_FRAME:
            raise UserError(f"frame was given as {frame}; expected a multiple of 4 from 8 to {LARGEST_FRAME}")
        self.frame = frame
        self.errs = 1.0
        """How much it errs while the network learns: in a long training more helps, in a short one it does not."""

    def forward(self, images: Images) -> Float[Tensor, "n channels frame frame"]:
        """Images of side `frame`, with as many channels."""
        frame, (height, width) = self.frame, images.shape[-2:]
        if (reduce := min(height, width) // (2 * frame)) > 1:
            return self.forward(F.avg_pool2d(images, reduce))  # sampling a large image would skip pixels
        ink = self.ink(images)
        ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
        down, right = _from_centre(height, images), _from_centre(width, images)

        rows, columns = ink.sum(2), ink.sum(1)
        row, column = (rows * down).sum(1), (columns * right).sum(1)
        tall = (rows * down**2).sum(1) - row**2
        wide = (columns * right**2).sum(1) - column**2
        # Rows first: what is exported would else be read wrong by OpenVINO 2026.4, in batches (results/LOG.md).
        both = ((ink * down[:, None]).sum(1) * right).sum(1) - row * column
        slant = (both / tall.clamp(min=1e-3)).clamp(-1, 1)
        # A standard deviation of a quarter of the frame: a digit then fills five sixths of it.
        step = (torch.maximum(tall, wide).clamp(min=0).sqrt() * (4 / frame)).clamp(min=0.2)
        u, v = self.place(images)
        u, v = step[:, None, None] * u, step[:, None, None] * v
        x = (column[:, None, None] + u) + slant[:, None, None] * v
        y = (row[:, None, None] + v).expand_as(x)
        grid = torch.stack([x * (2 / width), y * (2 / height)], 3)  # -1 and 1 are the image's outer edges
        return F.grid_sample(images, grid, mode="bilinear", padding_mode=self.beyond, align_corners=False)

    def ink(self, images: Images) -> Float[Tensor, "n rows columns"]:
        """How much there is to look at, pixel by pixel."""
        return images.detach().mean(1)

    def place(self, images: Images) -> tuple[Tensor, Tensor]:
        """Where in an upright frame, in its pixels to the right and down from the centre, each pixel looks."""
        line = _from_centre(self.frame, images)
        right, down = line[None, None, :], line[None, :, None]
        if not self.training:
            return right, down
        drawn = 2 * torch.rand(6, len(images), 1, 1, dtype=images.dtype).to(images.device) - 1
        drawn = drawn * self.errs
        angle, slant = drawn[0] * TURN, drawn[1] * SLANT
        wide, tall = 1 + drawn[2:4] * STRETCH
        far_right, far_down = drawn[4:] * (MOVE * self.frame)
        cos, sin = angle.cos(), angle.sin()
        u, v = wide * (cos * right - sin * down) + far_right, tall * (sin * right + cos * down) + far_down
        return u + slant * v, v


class Trunk(nn.Module):
    """Three stages, pooled: of each filter of the last the largest and the mean.

    Few and wide convolutions over ever fewer places, each of which sees more of the thing: on a CPU the time goes into
    passes over activations. Means to half the size, and then a convolution, read better than a strided convolution,
    which costs as much (results/LOG.md, 2026-11-26).
    """

    def __init__(self, channels: int, filters: int, depth: int):
        super().__init__()
        self.features = 8 * filters
        # Four neighbouring pixels become four channels: no pixel is lost, and no pass is made at full size.
        self.fours = nn.PixelUnshuffle(2)
        self.strokes = stage(4 * channels, filters, depth)
        self.shapes = stage(filters, 2 * filters, depth)
        self.things = convolution(2 * filters, 4 * filters)  # one: a second would hold half of all weights

    def forward(self, images: Images) -> Float[Tensor, "n features"]:
        """Images with an even number of rows and columns."""
        strokes = self.strokes(self.fours(images))  # n, filters, rows / 2, columns / 2
        shapes = self.shapes(downsample(strokes))
        things = self.things(downsample(shapes))  # n, 4 filters, rows / 8, columns / 8
        return torch.cat([things.amax((2, 3)), things.mean((2, 3))], 1)


def downsample(x: Float[Tensor, "n width rows columns"]) -> Float[Tensor, "n width half_rows half_columns"]:
    """Means of four places; of an odd number of rows or columns the last counts twice."""
    rows, columns = x.shape[-2:]
    if rows % 2 or columns % 2:
        x = F.pad(x, (0, columns % 2, 0, rows % 2), mode="replicate")
    return F.avg_pool2d(x, 2)


class Residual(nn.Module):
    """Adds to its input what a convolution finds in it."""

    def __init__(self, width: int):
        super().__init__()
        self.find = convolution(width, width)

    def forward(self, x: Float[Tensor, "n width rows columns"]) -> Float[Tensor, "n width rows columns"]:
        """The same shape as the input."""
        found: Tensor = x + self.find(x)
        return found


def stage(before: int, after: int, depth: int) -> nn.Sequential:
    """A convolution to the stage's width, and residual ones up to `depth`."""
    return nn.Sequential(convolution(before, after), *(Residual(after) for _ in range(depth - 1)))


def convolution(before: int, after: int) -> nn.Sequential:
    """A 3×3 convolution, normalised over the batch, of which what is positive is kept."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def _from_centre(side: int, like: Tensor) -> Tensor:
    """The places of `side` pixels in a row, measured from their centre."""
    return torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
