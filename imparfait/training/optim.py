"""Optimizers, learning-rate schedules and the moving average of the weights."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from imparfait.training.settings import TrainingSettings

AVERAGE_SHARE = 0.02  # share of the training that the average covers, whatever its length
WARM_UP_SHARE = 0.25  # share of the steps in which the learning rate rises; then it falls to zero
PLATEAU_EPOCHS, PLATEAU_FACTOR, PLATEAU_FALL = 3, 0.5, 1e-4  # patience, factor and least fall of the loss of `plateau`


class Average:
    """Exponential moving average of all weights and buffers of a network.

    Equal to PyTorch's `AveragedModel`, which looks up every weight by name in every step: for a small network a
    fifth of the step, under a profiler.
    """

    def __init__(self, model: nn.Module, steps: int):
        self.weights = {name: value.clone() for name, value in model.state_dict().items()}
        self.updates = 0
        self._move = get_ema_multi_avg_fn(1 - 1 / max(1.0, AVERAGE_SHARE * steps))  # type: ignore[no-untyped-call]
        # The weight's module and name, not the weight: `Module.to` may replace weights between epochs.
        self._places = [(model.get_submodule(path), key) for path, _, key in (n.rpartition(".") for n in self.weights)]

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's current weights into the average."""
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

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        self.updates = int(state["updates"])
        for name, weight in self.weights.items():
            weight.copy_(state[f"module.{name}"])


def one_cycle(progress: float, losses: Sequence[float] = ()) -> float:
    """Learning rate at `progress` (0..1) of the training, as a share of its peak: a linear rise and a linear fall."""
    return min((progress + 1e-3) / WARM_UP_SHARE, (1 - progress) / (1 - WARM_UP_SHARE), 1.0)


def constant(progress: float, losses: Sequence[float] = ()) -> float:
    """The same learning rate in all steps."""
    return 1.0


def plateau(progress: float, losses: Sequence[float]) -> float:
    """Halve the learning rate whenever the training loss has not fallen for three epochs.

    Source: Keras's ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3, min_delta=1e-4).
    """
    share, best, waited = 1.0, math.inf, 0
    for loss in losses:
        fell = loss < best - PLATEAU_FALL
        best, waited = (loss, 0) if fell else (best, waited + 1)
        if waited == PLATEAU_EPOCHS:
            share, waited = share * PLATEAU_FACTOR, 0
    return share


SCHEDULES: dict[str, Callable[[float, Sequence[float]], float]] = {
    "one_cycle": one_cycle,
    "constant": constant,
    "plateau": plateau,
}


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW: `adamw` decays weights but not biases and norms; `keras` decays all, with Keras's betas and epsilon."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if settings.optimizer == "keras":
        # The only difference: Keras applies its bias correction elsewhere, so epsilon is smaller in the first steps.
        return torch.optim.AdamW(
            trainable.values(), lr=1.0, betas=(0.9, 0.999), eps=1e-7, weight_decay=settings.weight_decay, fused=True
        )
    weights = [p for name, p in trainable.items() if p.ndim > 1 and not name.endswith("bias")]
    others = [p for name, p in trainable.items() if p.ndim <= 1 or name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=1.0, betas=(0.9, 0.99), fused=True)
