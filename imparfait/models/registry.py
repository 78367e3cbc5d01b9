"""Registry of networks: build one for the channels and classes of the data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from imparfait.core.errors import UserError, lookup
from imparfait.core.rng import seed_of
from imparfait.models.cnn import Cnn, no_dropout, no_normalisation, one_convolution
from imparfait.models.cnn_gru import CnnGru, Rnn, tanh
from imparfait.models.custom import is_custom, load_custom
from imparfait.models.duo import Duo
from imparfait.models.efficientnet_lite import EfficientNetLite0
from imparfait.models.grand import Grand
from imparfait.models.petit import Petit
from imparfait.models.resnet import ResNet
from imparfait.models.timm_network import build_timm, is_timm

Factory = Callable[..., nn.Module]
"""Takes `channels` and `classes`, and `height` and `width` too where the network is built for one image size."""

MODELS: dict[str, Factory] = {
    "petit": Petit,
    "grand": Grand,
    "duo": Duo,
    "resnet": ResNet,
    "efficientnet_lite0": EfficientNetLite0,
    "cnn": Cnn,
    "cnn_gru": CnnGru,
    "rnn": Rnn,
    "cnn_one_convolution": one_convolution,
    "cnn_no_normalisation": no_normalisation,
    "cnn_no_dropout": no_dropout,
    "cnn_gru_tanh": tanh,
}

MAX_ARGUMENT = 4096  # layers, filters or units: a million layers took two minutes to build, and then the memory


def build(
    model: str | Factory,
    *,
    channels: int,
    classes: int,
    height: int | None = None,
    width: int | None = None,
    model_args: Mapping[str, int] | None = None,
    seed: int = 0,
) -> nn.Module:
    """The network `model` (a name, `file.py:function`, or a function); its initial weights are a function of `seed`.

    `model_args` replace its defaults. Raises UserError when it needs an image size and none is given, or has no such
    argument.

    >>> model = imparfait.build("petit", channels=1, classes=10)
    >>> sum(weight.numel() for weight in model.parameters()) > 10_000
    True
    """
    name = model if isinstance(model, str) else getattr(model, "__name__", "the network")
    if channels < 1 or classes < 1:
        raise UserError(f"{name}: channels={channels}, classes={classes}", expected="1 or more of both")
    factory = _factory(model)
    given = {"channels": channels, "classes": classes}
    taken = inspect.signature(factory).parameters
    for side, value in (("height", height), ("width", width)):
        if side in taken and value is not None:
            given[side] = value
        elif side in taken and taken[side].default is inspect.Parameter.empty:
            raise UserError(f"{name} is built for one image size; give build(…) height and width")
    own_network = isinstance(model, str) and not is_custom(model)
    for size, value in (model_args or {}).items():
        if size not in taken or size in given:
            own = [key for key in taken if key not in ("channels", "classes", "height", "width")]
            raise UserError(f"{name} has no argument called {size!r}", hint=f"it has {', '.join(own) or 'none'}")
        if own_network and value > MAX_ARGUMENT:
            raise UserError(f"{name}: {size} was given as {value:,}", expected=f"at most {MAX_ARGUMENT:,}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "weights"))
        if own_network:
            try:
                return factory(**given, **(model_args or {}))
            except RuntimeError as error:
                if "allocate memory" not in str(error):
                    raise
                written = ", ".join(f"{size} = {value:,}" for size, value in (model_args or {}).items())
                raise UserError(
                    f"{name} with {written or 'its defaults'}: needs more memory than there is",
                    hint="write smaller ones",
                ) from error
        return _build_custom(name, factory, given | dict(model_args or {}))


def check_outputs(model: nn.Module, images: Tensor, classes: int, name: str = "the network") -> None:
    """Raise UserError if `model` does not map two of `images` to one logit per class."""
    was_training = model.training
    device = next((parameter.device for parameter in model.parameters()), images.device)
    try:
        with torch.inference_mode():
            outputs = model.eval()(images[:2].to(device))
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{name} fails on images of shape {list(images[:2].shape)}: {reason}") from error
    finally:
        model.train(was_training)
    expected = (len(images[:2]), classes)
    received = f"shape {list(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected or not outputs.is_floating_point():
        raise UserError(
            f"{name} returned {received} for {expected[0]} images",
            expected=f"logits of shape {list(expected)}, one column per class",
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"{name} has no weights to train")


def _factory(model: str | Factory) -> Factory:
    if not isinstance(model, str):
        return model
    if is_timm(model):
        return partial(build_timm, model)
    return load_custom(model) if is_custom(model) else lookup("model", model, MODELS)


def _build_custom(name: str, factory: Factory, given: dict[str, int]) -> nn.Module:
    """The network that a user's function returns; a failure in it becomes a UserError."""
    positional = []
    if not {"channels", "classes"} <= set(inspect.signature(factory).parameters):
        positional = [given.pop("channels"), given.pop("classes")]  # whatever the author called them
    try:
        network = factory(*positional, **given)
    except Exception as error:
        raise UserError(f"{name}: building it ended in {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{name} returned a {type(network).__name__}", expected="a torch.nn.Module")
    return network


__all__ = [
    "MODELS",
    "Cnn",
    "CnnGru",
    "Duo",
    "Factory",
    "Grand",
    "Petit",
    "ResNet",
    "Rnn",
    "build",
    "check_outputs",
]
