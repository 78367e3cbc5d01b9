"""What `screen.py` tries of how `petit` learns: other optimisers, teachers, soups.

Nothing here is part of the package; what is kept goes there.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from imparfait.core.compute import Machine
from imparfait.data.dataset import LabelledImages
from imparfait.training.distillation import Taught
from imparfait.training.loop import Training
from imparfait.training.settings import TrainingSettings


def parts(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Filters between the first layer and the head, and everything else."""
    inner = [p for name, p in model.named_parameters() if p.ndim == 4 and not name.startswith("strokes.0")]
    kept = {id(p) for p in inner}
    return inner, [p for p in model.parameters() if id(p) not in kept]


def muon(scale: float, decay: float) -> Callable[[nn.Module], torch.optim.Optimizer]:
    """Muon for the inner filters, AdamW for the others. Source: Jordan et al., "Muon", 2024."""

    def build(model: nn.Module) -> torch.optim.Optimizer:
        from pytorch_optimizer import Muon

        class Scaled(Muon):
            def step(self, closure: Any = None) -> Any:
                for group in self.param_groups:
                    group["lr"] *= group["scale"]
                return super().step(closure)

        inner, others = parts(model)
        return Scaled(
            [
                {"params": inner, "lr": 1.0, "weight_decay": decay, "use_muon": True, "scale": scale},
                {"params": [p for p in others if p.ndim > 1], "lr": 1.0, "betas": (0.9, 0.99), "weight_decay": 0.02,
                 "use_muon": False, "scale": 1.0},
                {"params": [p for p in others if p.ndim <= 1], "lr": 1.0, "betas": (0.9, 0.99), "weight_decay": 0.0,
                 "use_muon": False, "scale": 1.0},
            ]
        )  # fmt: skip

    return build


def soap(model: nn.Module) -> torch.optim.Optimizer:
    """Source: Vyas et al., "SOAP", 2024."""
    from pytorch_optimizer import SOAP

    return SOAP(model.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=0.02, precondition_frequency=10)


def schedule_free(model: nn.Module) -> torch.optim.Optimizer:
    """Source: Defazio et al., "The road less scheduled", 2024."""
    from pytorch_optimizer import ScheduleFreeAdamW

    return ScheduleFreeAdamW(model.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=0.02)


class PartlyTaught(Taught):
    """Learns in a `share` what its teachers say, and else the labels."""

    def __init__(self, share: float, *given: Any):
        super().__init__(*given)
        self.share = share

    def targets(self, source: Tensor, images: Tensor) -> Tensor:
        said = super().targets(source, images)
        return self.share * said + (1 - self.share) * Training.targets(self, source, images)


def soup(
    model: nn.Module, fit: LabelledImages, settings: TrainingSettings, machine: Machine, branches: int, at: float
) -> nn.Module:
    """The mean of the weights of several ends of one training, which part at a share `at` of its steps.

    Source: Wortsman et al., "Model soups", 2022, with a shared beginning for want of a pretrained network.
    """
    for step in (common := Training(model, fit, settings, machine)):
        if step.number >= at * step.of:
            break
    state = common.state()
    kept = {name: tensor.clone() for name, tensor in state.tensors.items()}
    ends = []
    for branch in range(branches):
        again = settings.model_copy(update={"seed": settings.seed + 100 * branch})
        for _ in Training(model, fit, again, machine, replace(state, tensors=kept)):
            pass
        ends.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    mean = {name: torch.stack([end[name].float() for end in ends]).mean(0).to(ends[0][name].dtype) for name in ends[0]}
    model.load_state_dict(mean)
    return model


@torch.no_grad()
def settle_norms(model: nn.Module, training: Training, batches: int = 60) -> None:
    """Means and variances of weights that no step was ever taken with."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    model.train()
    torch.manual_seed(training.settings.seed)  # by which the look errs
    rows = training.mixture.rows(training.settings.seed, 10**6, training.sources)[: batches * 128]
    for _, images in training._batches(10**6, rows.split(128)):
        model(images.contiguous(memory_format=torch.channels_last))
