"""The network that severity 1 is measured with: `petit` without its look, which some alterations mislead."""

from torch import Tensor, nn

from imparfait.models.petit import Trunk


class Witness(nn.Module):
    """Any picture whose sides are even, any number of channels."""

    def __init__(self, channels: int, classes: int, filters: int = 32, depth: int = 1):
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.trunk = Trunk(channels, filters, depth)
        self.head = nn.Linear(self.trunk.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits for pictures in 0..1."""
        logits: Tensor = self.head(self.trunk(self.normalise(images)))
        return logits


def build(channels: int, classes: int) -> nn.Module:
    return Witness(channels, classes)
