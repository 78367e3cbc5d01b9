"""`grand`: the best accuracy, when training time does not matter."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images
from imparfait.models.petit import SpatialNormalizer, convolution


class Grand(nn.Module):
    """A spatial normaliser, then five convolutions that begin at full resolution, with two 2×2 max-poolings.

    An epoch takes three times as long as that of a `Petit` with 64 filters, which has more weights: resolution helps
    here, not width (results/LOG.md, 2026-11-26). Takes any image size and number of channels. `filters` is the number
    of filters of the first convolution; the next two have twice, the last two four times as many. `frame` is the side
    in pixels (a multiple of 4) of the normalised image.
    """

    def __init__(self, *, channels: int, classes: int, filters: int = 32, frame: int = 24):
        super().__init__()
        self.look = SpatialNormalizer(frame, jitter=1.6)
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.trunk = nn.Sequential(
            halving(channels, filters),
            convolution(filters, 2 * filters),
            halving(2 * filters, 2 * filters),
            convolution(2 * filters, 4 * filters),
            convolution(4 * filters, 4 * filters),
        )
        self.head = nn.Linear(8 * filters, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        features = self.trunk(self.normalise(self.look(images)))  # n, 4 filters, frame / 4, frame / 4
        logits: Tensor = self.head(torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1))
        return logits


def halving(before: int, after: int) -> nn.Sequential:
    """3×3 convolution, 2×2 max-pooling, then batch normalisation and ReLU on the quarter of positions that is left."""
    filters, normalise, relu = convolution(before, after)
    return nn.Sequential(filters, nn.MaxPool2d(2), normalise, relu)
