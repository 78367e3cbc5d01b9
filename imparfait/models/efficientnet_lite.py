"""EfficientNet-Lite0, an ImageNet network for photographs: the backbone that works offline."""

# Source: Tan and Le, "EfficientNet", 2019; its Lite variants have no squeeze-and-excitation and ReLU6 for swish
# (github.com/tensorflow/tpu, models/official/efficientnet/lite). 4.6 million parameters, 0.4 GFLOP at 224 by 224.

from collections import OrderedDict

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images

MEAN, SCALE = 127 / 255, 255 / 128  # it was trained on (x - 127) / 128 of RGB values 0..255
FEATURES = 1280
STEM = 32
STAGES = (
    # expansion, kernel, stride of the first block, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
EPSILON, MOMENTUM = 1e-3, 0.01  # of its batch normalisations
DROPOUT = 0.2  # before the head, in training


class EfficientNetLite0(nn.Module):
    """A stem, seven stages of inverted bottlenecks, the mean over all places, a linear head; images of any size."""

    def __init__(self, *, channels: int, classes: int):
        super().__init__()
        self.channels = channels
        self.stem = convolution(3, STEM, kernel=3, stride=2)
        blocks, before = [], STEM
        for expansion, kernel, stride, after, repeats in STAGES:
            for number in range(repeats):
                blocks.append(Bottleneck(before, after, expansion, kernel, stride if number == 0 else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.top = convolution(before, FEATURES)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(FEATURES, classes)

    def features(self, images: Images) -> Float[Tensor, "n features"]:
        """What the linear head takes, for images in 0..1; without three channels, their mean is each colour."""
        colours = images if self.channels == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        normalised = (colours - MEAN) * SCALE
        places: Tensor = self.top(self.blocks(self.stem(normalised)))
        return places.mean((2, 3))

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        logits: Tensor = self.head(self.dropout(self.features(images)))
        return logits


class Bottleneck(nn.Module):
    """An inverted bottleneck: expand, filter each channel, project; with a skip connection where shapes allow."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inner = before * expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            layers["expand"] = convolution(before, inner)
        layers["depthwise"] = convolution(inner, inner, kernel=kernel, stride=stride, groups=inner)
        layers["project"] = convolution(inner, after, active=False)
        self.layers = nn.Sequential(layers)
        self.skip = stride == 1 and before == after

    def forward(self, images: Images) -> Float[Tensor, "n after rows columns"]:
        """The block's output."""
        filtered: Tensor = self.layers(images)
        return images + filtered if self.skip else filtered


class SamePadding(nn.Module):
    """TensorFlow's padding before a stride of 2, one pixel more on the right and below for even sides."""

    def __init__(self, kernel: int):
        super().__init__()
        self.kernel = kernel

    def forward(self, images: Images) -> Float[Tensor, "n channels rows columns"]:
        """The padded images."""
        rows, columns = (self.kernel - 2 + side % 2 for side in images.shape[2:])
        return F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def convolution(
    before: int, after: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """A convolution with batch normalisation, and ReLU6 if `active`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if stride == 2:
        layers["pad"] = SamePadding(kernel)
    padding = 0 if stride == 2 else kernel // 2
    layers["conv"] = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False)
    layers["norm"] = nn.BatchNorm2d(after, EPSILON, MOMENTUM)
    if active:
        layers["active"] = nn.ReLU6()
    return nn.Sequential(layers)
