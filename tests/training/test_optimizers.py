"""Optimisers and schedules: the steps of Keras, and rates that fall."""

import math

import pytest
import torch
from torch import nn

from imparfait.training.optim import make_optimizer, plateau
from imparfait.training.settings import TrainingSettings


def test_the_keras_optimiser_takes_the_steps_of_kerass_adamw() -> None:
    """The slow twin: keras.optimizers.AdamW.update_step of Keras 3.15, written out."""
    random = torch.Generator().manual_seed(0)
    model = nn.Linear(6, 4)
    twin = {name: value.detach().clone() for name, value in model.named_parameters()}
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in twin.items()}
    optimizer = make_optimizer(model, TrainingSettings(optimizer="keras", weight_decay=0.004))
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    for step in range(1, 8):
        alpha = 1e-3 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        for name, parameter in model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=random)
            first, second = moments[name]
            twin[name] -= twin[name] * 0.004 * 1e-3  # biases too
            first += (parameter.grad - first) * (1 - 0.9)
            second += (parameter.grad**2 - second) * (1 - 0.999)
            twin[name] -= first * alpha / (second.sqrt() + 1e-7)
        optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), twin[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("losses", "share"),
    [
        ([], 1),
        ([5, 4, 3, 2], 1),
        ([5, 5, 5], 1),
        ([5, 5, 5, 5], 0.5),
        ([5, 6, 4.99995, 7], 0.5),  # a fall of less than 0.0001 is none
        ([5, 6, 7, 4, 6, 7, 8], 0.5),
        ([5, 5, 5, 5, 5, 5, 5], 0.25),
    ],
)
def test_plateau_halves_when_the_loss_has_not_fallen_for_three_epochs(losses: list[float], share: float) -> None:
    assert plateau(0.5, [float(loss) for loss in losses]) == share
