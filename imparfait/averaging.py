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
        # Where a weight is, not the weight: to score between epochs a module may be given others (`Module.to`).
        self._places = [(model.get_submodule(path), key) for path, _, key in (n.rpartition(".") for n in self.weights)]

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's weights of now into the average."""
        both = [(mine, getattr(*place)) for mine, place in zip(self.weights.values(), self._places, strict=True)]
        moved = [pair for pair in both if pair[0].is_floating_point()] if self.updates else []
        if moved:
            self._move([mine for mine, _ in moved], [theirs for _, theirs in moved], self.updates)
        for mine, theirs in both:
            if not self.updates or not mine.is_floating_point():
                mine.copy_(theirs)
        self.updates += 1

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"updates": torch.tensor(self.updates), **{f"module.{name}": w for name, w in self.weights.items()}}

    def go_on_from(self, state: Mapping[str, Tensor]) -> None:
        """Take up the average that `state` told."""
        self.updates = int(state["updates"])
        for name, weight in self.weights.items():
            weight.copy_(state[f"module.{name}"])
