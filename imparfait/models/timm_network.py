"""Networks of timm, PyTorch Image Models, as backbones."""

# timm is imported when one of them is named. A name is only ever looked up in timm's own list: names such as
# "hf-hub:…" or "local-dir:…", which make timm fetch a configuration from elsewhere, are refused, because the name may
# come from the config.json of a run folder.

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.tensors import Images

PREFIX = "timm:"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class TimmNetwork(nn.Module):
    """A network of timm without its classifier, and a linear head; takes images in 0..1, grey ones too."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, *, channels: int, classes: int):
        super().__init__()
        config: Any = backbone.pretrained_cfg
        self.channels = channels
        self.register_buffer("mean", torch.tensor(config["mean"], dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(config["std"], dtype=torch.float32)[:, None, None])
        self.backbone = backbone
        width: Any = backbone.num_features
        self.head = nn.Linear(width, classes)

    def features(self, images: Images) -> Float[Tensor, "n features"]:
        """What the linear head takes."""
        colours = images.expand(-1, 3, -1, -1) if self.channels == 1 else images
        pooled: Tensor = self.backbone((colours - self.mean) / self.std)
        return pooled

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        logits: Tensor = self.head(self.features(images))
        return logits


def is_timm(model: str) -> bool:
    """Whether a model name means a network of timm, such as timm:resnet18."""
    return model.startswith(PREFIX)


def build_timm(model: str, *, channels: int, classes: int) -> TimmNetwork:
    """The network `model`, such as timm:resnet18, with random weights; nothing is fetched.

    Raises UserError where timm is not installed, or has no such network.
    """
    return TimmNetwork(_create(model, pretrained=False), channels=channels, classes=classes)


def pretrained_timm(model: str) -> tuple[dict[str, Tensor], str]:
    """The pretrained weights of `model`, but for its head, and their licence; timm fetches and keeps them.

    Raises UserError as `build_timm`, and where the weights cannot be fetched.
    """
    backbone = _create(model, pretrained=True)
    config: Any = backbone.pretrained_cfg
    tensors = TimmNetwork(backbone, channels=3, classes=1).state_dict()
    licence = str(config.get("license") or "no licence stated")
    return {name: value for name, value in tensors.items() if not name.startswith("head.")}, licence


def _create(model: str, pretrained: bool) -> nn.Module:
    name = model.removeprefix(PREFIX)
    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"{model}: timm cannot be imported here: {' '.join(str(error).split())[:200]}",
            expected="the package timm",
            hint="write: pip install 'imparfait[timm]'",
        ) from error
    if not NAME.fullmatch(name) or not timm.is_model(name):
        raise UserError(
            f"{model[:120]}: timm has no network of this name",
            expected="a name that timm.list_models() prints",
            hint="such as timm:resnet18",
        )
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        received = f"{model}: timm fails to build it: {type(error).__name__}: {reason}"
        raise UserError(received, hint="weights are fetched once, from the internet" if pretrained else "") from error
    return network
