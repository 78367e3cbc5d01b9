"""Optimiser, step-size schedules and the moving average of the weights."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from imparfait.training.settings import TrainingSettings

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


WARM_UP = 0.25  # share of the steps in which the step size rises; then it falls to zero


PATIENCE, FACTOR, LEAST = 3, 0.5, 1e-4  # of `plateau`: epochs, share of the step size, fall of the loss that counts


def one_cycle(progress: float, losses: Sequence[float] = ()) -> float:
    """The step size at `progress` (0..1) of the run, as a share of its peak: up in a line, down in a line."""
    return min((progress + 1e-3) / WARM_UP, (1 - progress) / (1 - WARM_UP), 1.0)


def constant(progress: float, losses: Sequence[float] = ()) -> float:
    """The same step size from the first step to the last."""
    return 1.0


def plateau(progress: float, losses: Sequence[float]) -> float:
    """Half the step size whenever the loss has not fallen for three epochs.

    Source: Keras's ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3, min_delta=1e-4). It watches the
    training loss: where all training images are fitted on, there is no other.
    """
    share, best, waited = 1.0, math.inf, 0
    for loss in losses:
        fell = loss < best - LEAST
        best, waited = (loss, 0) if fell else (best, waited + 1)
        if waited == PATIENCE:
            share, waited = share * FACTOR, 0
    return share


SCHEDULES: dict[str, Callable[[float, Sequence[float]], float]] = {
    "one_cycle": one_cycle,
    "constant": constant,
    "plateau": plateau,
}


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW: ours decays weights but no biases and norms, Keras's decays everything and is slower to forget."""
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if settings.optimizer == "keras":
        # Keras corrects its bias elsewhere, which makes epsilon a little smaller in the first steps; nothing else.
        return torch.optim.AdamW(
            learning.values(), lr=1.0, betas=(0.9, 0.999), eps=1e-7, weight_decay=settings.weight_decay, fused=True
        )
    weights = [p for name, p in learning.items() if p.ndim > 1 and not name.endswith("bias")]
    others = [p for name, p in learning.items() if p.ndim <= 1 or name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=1.0, betas=(0.9, 0.99), fused=True)
