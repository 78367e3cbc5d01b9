"""The founding study's CNN."""

from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.tensors import Images
from imparfait.models import keras_layers

WIDTHS = (32, 64, 128)


class Cnn(nn.Module):
    """The study's CNN (Annex 1): three blocks of two convolutions, then two dense layers.

    Built for images of `height` × `width`, at least 8×8. The ablations set `convolutions` (per block),
    `normalise` and `dropout`.
    """

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        height: int,
        width: int,
        convolutions: int = 2,
        normalise: bool = True,
        dropout: bool = True,
    ):
        super().__init__()
        self.height, self.width = height, width
        self.strokes = trunk(channels, convolutions, normalise, dropout)
        rows, columns = trunk_size(height, width)

        def layer(before: int, dropped: float) -> list[nn.Module]:
            parts: list[nn.Module] = [keras_layers.dense(before, 512), nn.ReLU(inplace=True)]
            parts += [keras_layers.Dropout(dropped)] if dropout else []
            return parts + ([keras_layers.normalisation(512, planes=False)] if normalise else [])

        self.head = nn.Sequential(
            *layer(rows * columns * WIDTHS[-1], 0.25), *layer(512, 0.5), keras_layers.dense(512, classes)
        )

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        keras_layers.check_size("cnn", self.height, self.width, images)
        features = self.strokes(images)  # n, 128, height / 8, width / 8
        logits: Tensor = self.head(keras_layers.flatten(features))
        return logits


def trunk(channels: int, convolutions: int = 2, normalise: bool = True, dropout: bool = True) -> nn.Sequential:
    """The convolutional trunk of both annexes: ReLU before batch normalisation, three max-poolings."""
    parts: list[nn.Module] = []
    before = channels
    for width in WIDTHS:
        for _ in range(convolutions):
            parts += [keras_layers.convolution(before, width), nn.ReLU(inplace=True)]
            parts += [keras_layers.normalisation(width, planes=True)] if normalise else []
            before = width
        parts += [nn.MaxPool2d(2)] + ([keras_layers.Dropout(0.3)] if dropout else [])
    return nn.Sequential(*parts)


def trunk_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns after the trunk; raises UserError if the image is too small."""
    rows, columns = height // 8, width // 8
    if not rows or not columns:
        raise UserError(
            f"images of {height}×{width} are too small for the study's networks, which halve them three times",
            expected="8×8 pixels or more",
            hint="use --model petit",
        )
    return rows, columns


def one_convolution(*, channels: int, classes: int, height: int, width: int) -> Cnn:
    """`cnn` with one convolution per block instead of two."""
    return Cnn(channels=channels, classes=classes, height=height, width=width, convolutions=1)


def no_normalisation(*, channels: int, classes: int, height: int, width: int) -> Cnn:
    """`cnn` without batch normalisation."""
    return Cnn(channels=channels, classes=classes, height=height, width=width, normalise=False)


def no_dropout(*, channels: int, classes: int, height: int, width: int) -> Cnn:
    """`cnn` without dropout."""
    return Cnn(channels=channels, classes=classes, height=height, width=width, dropout=False)
