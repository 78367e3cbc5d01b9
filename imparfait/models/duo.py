"""The network for images corrupted in any way: it looks at the thing, and at the image as it is."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images
from imparfait.models.petit import SpatialNormalizer, Trunk

QUARTER_GREY = 1 / 1024


class Duo(nn.Module):
    """Two views of each image, each through a trunk of its own, and one linear head for both.

    One view is moved, scaled and slanted like `Petit`'s, by where the image has contrast; the other is the image
    unmoved, for where fog, stripes or clutter mislead the first. Takes any image size and any number of channels.
    `filters`, `depth` and `frame` are `Petit`'s, for each of the two.
    """

    def __init__(self, *, channels: int, classes: int, filters: int = 32, depth: int = 1, frame: int = 24):
        super().__init__()
        self.look = ContrastNormalizer(frame)
        self.moved = Trunk(channels, filters, depth)
        self.unmoved = Trunk(channels, filters, depth)
        self.head = nn.Linear(2 * self.moved.features, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        height, width = images.shape[-2:]
        even = F.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
        moved, unmoved = self.moved(standardised(self.look(images))), self.unmoved(standardised(even))
        logits: Tensor = self.head(torch.cat([moved, unmoved], 1))
        return logits


def standardised(images: Images) -> Images:
    """Each image with mean 0 and standard deviation 1, so that faint ones are read as well as strong ones.

    Where there is less contrast than a quarter of a grey of 255 it is not made more of.
    """
    centred = images - images.mean((1, 2, 3), keepdim=True)
    result: Images = centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + QUARTER_GREY)
    return result


class ContrastNormalizer(SpatialNormalizer):
    """A look that takes for ink what differs from its surroundings, so that a light ground does not count.

    Ink is the square of a pixel's difference from the mean of the 9 × 9 around it; what lies beyond the image is
    like its rim.
    """

    AROUND = 9
    beyond = "border"

    def ink(self, images: Images) -> Float[Tensor, "n rows columns"]:
        """Where there is something to look at, in 0..1."""
        grey = images.detach().mean(1, keepdim=True)
        rim = self.AROUND // 2
        padded = F.pad(grey, (rim,) * 4, mode="replicate")
        # A mean over rows of means over columns: 18 numbers a pixel instead of 81, a third of an answer's time.
        around = F.avg_pool2d(F.avg_pool2d(padded, (self.AROUND, 1), stride=1), (1, self.AROUND), stride=1)
        return (grey - around).square()[:, 0]
