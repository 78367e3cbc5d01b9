"""Networks of peers_fair.py that are no recipe of ours, and moment deskewing with SciPy.

Deotte's and Matuzas's are rebuilt from their published descriptions: layers, widths and Keras's initial weights. The
code is ours. Keras's batch normalisation moves its statistics by a hundredth each step, for which some hundred steps
are too few; PyTorch's tenth is used, in their favour.
"""

import numpy as np
import torch
from scipy.ndimage import affine_transform
from torch import Tensor, nn

from imparfait.models.grand import Grand

KERAS_EPSILON = 1e-3


def normalisation(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=KERAS_EPSILON)


def as_keras_begins(model: nn.Module) -> nn.Module:
    """Glorot's uniform weights and biases of zero, Keras's defaults."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def plain(channels: int, classes: int, side: int) -> nn.Module:
    """`best`'s network without its spatial normaliser: five convolutions on images standardised as a whole."""
    model = Grand(channels=channels, classes=classes)
    model.look = nn.Identity()
    return model


def deotte(channels: int, classes: int, side: int) -> nn.Module:
    """The CNN of Deotte's "25 Million Images! [0.99757] MNIST" (Kaggle, 2018; github.com/cdeotte/MNIST-CNN-99.75).

    Two blocks of two 3×3 convolutions and a 5×5 one of stride 2, with 32 and 64 filters; a 4×4 convolution of 128; each
    with ReLU, then batch normalisation; dropout of 0.4 after each block and before the last layer.
    """
    layers: list[nn.Module] = []
    before, last = channels, side

    def add(width: int, size: int, stride: int = 1) -> None:
        nonlocal before, last
        padding = size // 2 if stride > 1 else 0
        layers.extend([nn.Conv2d(before, width, size, stride, padding), nn.ReLU(inplace=True), normalisation(width)])
        before, last = width, (last + 2 * padding - size) // stride + 1

    for width in (32, 64):
        add(width, 3)
        add(width, 3)
        add(width, 5, 2)
        layers.append(nn.Dropout(0.4))
    add(128, 4)
    layers += [nn.Flatten(), nn.Dropout(0.4), nn.Linear(128 * last**2, classes)]
    return as_keras_begins(nn.Sequential(*layers))


class SqueezeExcite(nn.Module):
    """Squeeze and excitation (Hu et al. 2018), a 32nd of the filters between its two layers."""

    def __init__(self, width: int):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(width, width // 32), nn.Linear(width // 32, width)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


class Matuzas(nn.Module):
    """The CNN of github.com/Matuzas77/MNIST-0.17: the mean of its 20 networks is 99.7475 %, their ensemble's 99.84.

    Three blocks of three 3×3 convolutions of 128 filters with ReLU, one batch normalisation and squeeze-and-excitation;
    2×2 average pooling after the second and the third; maximum and mean over positions; a layer without biases.
    """

    def __init__(self, channels: int, classes: int, width: int = 128):
        super().__init__()
        blocks: list[nn.Module] = []
        for block in range(3):
            for number in range(3):
                first = channels if block == number == 0 else width
                blocks += [nn.Conv2d(first, width, 3, padding=1), nn.ReLU(inplace=True)]
            blocks += [normalisation(width), SqueezeExcite(width), *([nn.AvgPool2d(2)] if block else [])]
        self.trunk = nn.Sequential(*blocks)
        self.head = nn.Linear(2 * width, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        features = self.trunk(images - 0.5)
        return self.head(torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1))


def matuzas(channels: int, classes: int, side: int) -> nn.Module:
    return as_keras_begins(Matuzas(channels, classes))


def lasso(model: nn.Module) -> Tensor:
    """Matuzas's penalty on the last layer."""
    return 0.00025 * model.head.weight.abs().sum()


def resnet18(channels: int, classes: int, side: int) -> nn.Module:
    """timm's resnet18 with the stem for small images (He et al. 2016): a 3×3 convolution of stride 1, no pooling."""
    import torchvision_cpu  # noqa: F401 - before timm, which imports torchvision
    from timm import create_model

    model = create_model("resnet18", in_chans=channels, num_classes=classes)
    model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


def deskew(pixels: np.ndarray) -> np.ndarray:
    """Images centred, upright and of one size, by their moments; uint8 [n, channels, height, width] in and out.

    Shear and centre as in the usual deskewing of MNIST; the size too, so that shrunk digits become as large as others:
    the larger standard deviation becomes a quarter of the side, as in our spatial normaliser.
    """
    n, _, height, width = pixels.shape
    weight = pixels.mean(1, dtype=np.float64)
    weight /= np.maximum(weight.sum((1, 2), keepdims=True), 1e-6)
    down, right = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    rows, columns = weight.sum(2), weight.sum(1)
    row, column = rows @ down, columns @ right
    tall, wide = rows @ down**2 - row**2, columns @ right**2 - column**2
    both = np.einsum("nij,i,j->n", weight, down, right) - row * column
    slant = np.clip(both / np.maximum(tall, 1e-3), -1, 1)
    step = np.maximum(np.sqrt(np.maximum(np.maximum(tall, wide), 0)) * 4 / height, 0.2)
    found = np.empty_like(pixels)
    middle = np.array([height - 1, width - 1]) / 2
    for index in range(n):
        matrix = step[index] * np.array([[1.0, 0.0], [slant[index], 1.0]])
        offset = middle + np.array([row[index], column[index]]) - matrix @ middle
        for channel, image in enumerate(pixels[index]):
            affine_transform(image, matrix, offset, output=found[index, channel], order=1)
    return found
