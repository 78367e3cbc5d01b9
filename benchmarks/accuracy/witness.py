"""The reference network of severity 1: `petit` without its spatial normaliser, which some corruptions mislead."""

from torch import Tensor, nn

from imparfait.models.petit import Trunk


class Witness(nn.Module):
    """For images with even sides and any number of channels."""

    def __init__(self, channels: int, classes: int, filters: int = 32, depth: int = 1):
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.trunk = Trunk(channels, filters, depth)
        self.head = nn.Linear(self.trunk.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits for images in 0..1."""
        logits: Tensor = self.head(self.trunk(self.normalise(images)))
        return logits


def build(channels: int, classes: int) -> nn.Module:
    return Witness(channels, classes)
