"""The moving average of a network's weights while it learns: what a run ends with."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

HORIZON = 0.02  # the average looks back over this share of the steps, in a run of 10 s as in one of 10 min


class Average:
    """An exponential moving average of all a network's weights and buffers.

    As PyTorch's `AveragedModel`, which looks for every weight by name in every step: for a small network a
    fifth of it, under a profiler.
    """

    def __init__(self, model: nn.Module, steps: int):
        self.weights = {name: value.clone() for name, value in model.state_dict().items()}
        self.updates = 0
        self._move = get_ema_multi_avg_fn(1 - 1 / max(1.0, HORIZON * steps))  # type: ignore[no-untyped-call]
        both = [(mine, theirs) for mine, theirs in zip(self.weights.values(), model.state_dict().values(), strict=True)]
        self._moved = [pair for pair in both if pair[0].is_floating_point()]
        self._counts = [pair for pair in both if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's weights of now into the average."""
        mine, theirs = ([pair[side] for pair in self._moved] for side in (0, 1))
        if self.updates:
            self._move(mine, theirs, self.updates)
        else:
            for weight, now in self._moved:
                weight.copy_(now)
        for count, now in self._counts:
            count.copy_(now)
        self.updates += 1

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"updates": torch.tensor(self.updates), **{f"module.{name}": w for name, w in self.weights.items()}}

    def go_on_from(self, state: Mapping[str, Tensor]) -> None:
        """Take up the average that `state` told."""
        self.updates = int(state["updates"])
        for name, weight in self.weights.items():
            weight.copy_(state[f"module.{name}"])
