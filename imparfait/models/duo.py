"""`duo`: robust to many corruptions, with a normalised and an unnormalised view of the image."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images
from imparfait.models.petit import SpatialNormalizer, Trunk

QUARTER_GREY = 1 / 1024  # a quarter of one of 255 grey levels
SURROUND_PX = 9  # side of the square that contrast is measured against


class Duo(nn.Module):
    """Two views of each image, each through a trunk of its own, and one linear head.

    One view is spatially normalised by local contrast; the other is the image itself, for fog, stripes or clutter that
    mislead the first. Takes any image size and number of channels. `filters`, `depth` and `frame` are `Petit`'s, for
    both trunks; `second_filters` are the filters of the other view's, as many as `filters` by default.
    """

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        filters: int = 32,
        depth: int = 1,
        frame: int = 24,
        second_filters: int | None = None,
    ):
        super().__init__()
        self.look = SpatialNormalizer(frame, saliency=local_contrast, padding="border")
        self.moved = Trunk(channels, filters, depth)
        self.unmoved = Trunk(channels, second_filters or filters, depth)
        self.head = nn.Linear(self.moved.features + self.unmoved.features, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        height, width = images.shape[-2:]
        even = F.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
        moved, unmoved = self.moved(standardised(self.look(images))), self.unmoved(standardised(even))
        logits: Tensor = self.head(torch.cat([moved, unmoved], 1))
        return logits


def standardised(images: Images) -> Images:
    """Each image with mean 0 and standard deviation 1, so that faint images count as much as strong ones.

    Contrast below a quarter of a grey level is not amplified.
    """
    centred = images - images.mean((1, 2, 3), keepdim=True)
    result: Images = centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + QUARTER_GREY)
    return result


def local_contrast(images: Images) -> Float[Tensor, "n rows columns"]:
    """A saliency that ignores a light background: each pixel's squared difference from the mean of its surround."""
    grey = images.detach().mean(1, keepdim=True)
    padded = F.pad(grey, (SURROUND_PX // 2,) * 4, mode="replicate")
    # A separable mean: 18 instead of 81 numbers per pixel, which saves a third of the inference time.
    surround = F.avg_pool2d(F.avg_pool2d(padded, (SURROUND_PX, 1), stride=1), (1, SURROUND_PX), stride=1)
    return (grey - surround).square()[:, 0]
