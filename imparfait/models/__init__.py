"""Networks: each reads like its diagram, and is built for the channels and classes of the data."""

from collections.abc import Callable

import torch
from torch import nn

from imparfait.errors import lookup
from imparfait.models.petit import Petit
from imparfait.randomness import seed_of

MODELS: dict[str, Callable[..., nn.Module]] = {
    "petit": Petit,
}


def build(name: str, *, channels: int, classes: int, seed: int = 0) -> nn.Module:
    """The network called `name`, with initial weights that are a function of `seed`."""
    model = lookup("model", name, MODELS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "weights"))
        return model(channels=channels, classes=classes)


__all__ = ["MODELS", "Petit", "build"]
