"""The network for the best accuracy that there is time for."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images
from imparfait.models.petit import SpatialNormalizer, convolution


class Grand(nn.Module):
    """Looks as `Petit` does, and then reads at full size: five convolutions, halved twice by the largest of four.

    An epoch takes three times that of a `Petit` with 64 filters, which has more weights: what it brings are places, not
    filters (results/LOG.md, 2026-11-26). Takes any image size and any number of channels. `filters` is the number of
    filters of the first convolution, half that of the next two and a quarter of the last two; `frame` the side (a
    multiple of 4, in pixels) at which it looks at the thing.
    """

    def __init__(self, *, channels: int, classes: int, filters: int = 32, frame: int = 24):
        super().__init__()
        self.look = SpatialNormalizer(frame)
        self.look.errs = 1.6
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
        things = self.trunk(self.normalise(self.look(images)))  # n, 4 filters, frame / 4, frame / 4
        logits: Tensor = self.head(torch.cat([things.amax((2, 3)), things.mean((2, 3))], 1))
        return logits


def halving(before: int, after: int) -> nn.Sequential:
    """As `convolution`, but to half the size, before it is normalised: there are fewer places to pass over then."""
    find, normalise, positive = convolution(before, after)
    return nn.Sequential(find, nn.MaxPool2d(2), normalise, positive)
