"""The small network: the best accuracy for the time on a CPU."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.tensors import Images


class Petit(nn.Module):
    """Two stages of narrow residual convolutions; then the largest and the mean answer over all places.

    Fully convolutional with a pooled head: any picture size, any number of channels.
    """

    def __init__(self, *, channels: int, classes: int, width: int = 24):
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.strokes = nn.Sequential(convolution(4 * channels, width), Residual(width), Residual(width))
        self.shapes = nn.Sequential(convolution(width, 2 * width, stride=2), Residual(2 * width), Residual(2 * width))
        self.head = nn.Linear(4 * width, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for pictures in 0..1."""
        height, width = images.shape[-2:]
        even = F.pad(self.normalise(images), (0, width % 2, 0, height % 2))
        # Four neighbouring pixels become four channels: no pixel is lost, and no pass is made at full size.
        fours = F.pixel_unshuffle(even, 2)  # n, 4 channels, height / 2, width / 2
        shapes = self.shapes(self.strokes(fours))  # n, 2 width, height / 4, width / 4
        largest, mean = shapes.amax((2, 3)), shapes.mean((2, 3))
        logits: Tensor = self.head(torch.cat([largest, mean], 1))
        return logits


class Residual(nn.Module):
    """Adds to its input what a convolution finds in it."""

    def __init__(self, width: int):
        super().__init__()
        self.find = convolution(width, width)

    def forward(self, x: Float[Tensor, "n width rows columns"]) -> Float[Tensor, "n width rows columns"]:
        """The same shape as the input."""
        found: Tensor = x + self.find(x)
        return found


def convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, normalised over the batch, of which what is positive is kept."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
