"""The network that severity 1 is measured with: `petit` without its look, which some alterations mislead."""

import torch
from torch import Tensor, nn

from imparfait.models.petit import stage


class Witness(nn.Module):
    """Any picture whose sides are even, any number of channels."""

    def __init__(self, channels: int, classes: int, filters: int = 32, depth: int = 2):
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.fours = nn.PixelUnshuffle(2)
        self.strokes = stage(4 * channels, filters, depth)
        self.shapes = stage(filters, 2 * filters, depth, stride=2)
        self.head = nn.Linear(4 * filters, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits for pictures in 0..1."""
        shapes = self.shapes(self.strokes(self.fours(self.normalise(images))))
        logits: Tensor = self.head(torch.cat([shapes.amax((2, 3)), shapes.mean((2, 3))], 1))
        return logits


def build(channels: int, classes: int) -> nn.Module:
    return Witness(channels, classes)
