"""`resnet`: a narrow residual network for photographs and other images that fill their frame."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images
from imparfait.models.duo import standardised
from imparfait.models.petit import downsample, stage

SMALL_SIDE_PX = (
    80  # below it squares of 2 pixels a side enter, from it on of 4: full detail would cost four times as much
)
LAST_SIDE = 4  # rows of the last stage, about
MAX_WIDENING = 4


class ResNet(nn.Module):
    """Residual stages on standardised images, each at half the resolution of the one before.

    Its resolution follows the images: larger ones get more stages. Takes any size from 8 pixels and any number of
    channels. `filters` is the number of filters of the first stage; the second has twice, all others four times as
    many. `depth` is the number of convolutions in each stage but the last, which has one.
    """

    def __init__(self, *, channels: int, classes: int, height: int, width: int, filters: int = 32, depth: int = 2):
        super().__init__()
        side = min(height, width)
        self.patch = 2 if side < SMALL_SIDE_PX else 4
        stages = 1 + max(1, round(math.log2(side / self.patch / LAST_SIDE)))
        widths = [channels * self.patch**2, *(filters * min(2**number, MAX_WIDENING) for number in range(stages))]
        depths = [depth] * (stages - 1) + [1]
        self.stages = nn.ModuleList(stage(*step) for step in zip(widths, widths[1:], depths, strict=False))
        self.head = nn.Linear(2 * widths[-1], classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        height, width = images.shape[-2:]
        whole = F.pad(images, (0, -width % self.patch, 0, -height % self.patch), mode="replicate")
        features = F.pixel_unshuffle(standardised(whole), self.patch)
        for number, convolutions in enumerate(self.stages):
            features = convolutions(downsample(features) if number else features)
        logits: Tensor = self.head(torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1))
        return logits
