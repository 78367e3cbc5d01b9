"""Networks: each reads like its diagram, and is built for the channels and classes of the data."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from imparfait.errors import lookup
from imparfait.models.petit import Petit
from imparfait.randomness import seed_of

MODELS: dict[str, Callable[..., nn.Module]] = {
    "petit": Petit,
}


def build(
    name: str, *, channels: int, classes: int, sizes: Mapping[str, int] | None = None, seed: int = 0
) -> nn.Module:
    """The network called `name`, of its own sizes or of those given; its initial weights are a function of `seed`."""
    model = lookup("model", name, MODELS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "weights"))
        return model(channels=channels, classes=classes, **(sizes or {}))


__all__ = ["MODELS", "Petit", "build"]
