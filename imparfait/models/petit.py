"""The small network: the best accuracy for the time on a CPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.tensors import Images


class Petit(nn.Module):
    """Convolutions that halve the picture twice, then the largest and the mean answer of every place.

    Fully convolutional with a pooled head: any picture size, any number of channels.
    """

    def __init__(self, *, channels: int, classes: int, width: int = 32):
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.strokes = nn.Sequential(
            convolution(channels, width, kernel=5, stride=2),
            convolution(width, 2 * width, kernel=3, stride=2),
            convolution(2 * width, 4 * width, kernel=3, stride=1),
        )
        self.head = nn.Linear(8 * width, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for pictures in 0..1."""
        strokes = self.strokes(self.normalise(images))  # n, 4 width, height / 4, width / 4
        largest, mean = strokes.amax((2, 3)), strokes.mean((2, 3))
        logits: Tensor = self.head(torch.cat([largest, mean], 1))
        return logits


def convolution(before: int, after: int, *, kernel: int, stride: int) -> nn.Sequential:
    """A convolution, normalised over the batch, that keeps what is positive."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )
