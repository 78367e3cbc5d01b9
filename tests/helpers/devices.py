"""Devices for tests: those that are here, and PyTorch's `meta`, on which whatever reads a value back fails."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from imparfait.core.hardware import IS_AVAILABLE

DEVICES = [name for name, is_available in IS_AVAILABLE.items() if is_available()]
"""The CPU, and what else is here: elsewhere than on a computer with an accelerator only the CPU is tested."""


class OneDevice(TorchFunctionMode):
    """Within it no function takes tensors of two devices: the CPU's products with `meta` ones raise nothing else."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        devices = {value.device.type for value in tree_leaves([args, kwargs]) if isinstance(value, Tensor)}
        assert len(devices) <= 1, f"{function} was given tensors on {' and '.join(sorted(devices))}"
        return function(*args, **(kwargs or {}))


def on_meta(images: Tensor) -> Tensor:
    """As many images of this size and type, without values."""
    return torch.empty_like(images, device="meta")
