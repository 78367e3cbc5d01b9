"""Training on other devices: the CPU's losses, images and losses that stay there, and no wait for the device."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars
from helpers.devices import DEVICES, OneDevice

from imparfait.core import tensors
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.corruptions import edges
from imparfait.models.classifier import as_classifier
from imparfait.models.registry import MODELS, build
from imparfait.training import device_images, loop
from imparfait.training.device_images import images_at, resident
from imparfait.training.distillation import distillation_targets
from imparfait.training.loop import Training
from imparfait.training.running_loss import READ_STEPS, RunningLoss
from imparfait.training.settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=2, batch_size=10, learning_rate=3e-3, seed=2)
ONE_THREAD = ComputeConfig(threads=1)
ON_META = ComputeConfig.model_construct(device="meta", threads=1, precision="float32")
every_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture
def as_elsewhere(monkeypatch) -> None:
    """What is done on other devices than the CPU is done on all."""
    monkeypatch.setattr(tensors, "on_cpu", lambda values: False)


def training_on(device: str, settings: TrainingSettings = SETTINGS, images: int = 60) -> Training:
    model = build(settings.model, channels=1, classes=3, height=16, width=16, seed=settings.seed)
    compute = ComputeConfig.model_validate({"device": device, "threads": 1})
    return Training(model, draw_bars(images), settings, compute)


@every_device
def test_a_training_has_the_same_epochs_on_every_device(device: str, request) -> None:
    expected = [step.epoch for step in training_on("cpu") if step.epoch]
    request.getfixturevalue("as_elsewhere")
    epochs = [step.epoch for step in training_on(device) if step.epoch]
    assert [epoch.loss for epoch in epochs] == pytest.approx([epoch.loss for epoch in expected], rel=1e-3)
    assert [epoch.accuracy for epoch in epochs] == pytest.approx([epoch.accuracy for epoch in expected], abs=0.02)


@every_device
def test_a_state_between_two_readings_has_all_losses_and_continues(device: str, as_elsewhere) -> None:
    settings = SETTINGS.model_copy(update={"batch_size": 2})
    whole = [step.epoch for step in training_on(device, settings) if step.epoch]
    stopped, again = training_on(device, settings), training_on(device, settings)
    losses = [step.loss for step, _ in zip(stopped, range(9), strict=False)]
    assert len(set(losses)) == 1  # the first step's: the others are not read yet
    state = stopped.state()
    assert state.progress.loss_sum != 2 * losses[0]
    again.restore(state)
    continued = [step.epoch for step in again if step.epoch]
    assert [epoch.loss for epoch in continued] == pytest.approx([epoch.loss for epoch in whole], rel=1e-3)


@every_device
def test_a_loss_that_is_not_finite_is_found_later_and_its_step_is_named(device: str, as_elsewhere) -> None:
    """Step 4's; the first step and then each READ_STEPS are read together."""
    running = RunningLoss()
    for number, loss in enumerate([1.0, 0.5, 0.25, math.inf, math.nan]):
        running.add(number, 2, torch.tensor(loss, device=device), torch.tensor(1, device=device))
        assert running.is_due == (number == 0)
        if number == 0:
            assert running.read(40, 0.1)
    with pytest.raises(UserError, match=r"the loss became inf in step 4 of 40; write a smaller --learning-rate"):
        running.read(40, 0.1)
    assert (running.loss_sum, running.correct, running.latest) == (3.5, 3, 0.25)


def test_steps_are_read_together_on_other_devices_and_each_on_the_cpu(monkeypatch) -> None:
    read: list[int] = []
    really_read = RunningLoss.read

    def counted(running: RunningLoss, steps: int, learning_rate: float) -> bool:
        read.append(len(running._unread))
        return really_read(running, steps, learning_rate)

    monkeypatch.setattr(RunningLoss, "read", counted)
    settings = SETTINGS.model_copy(update={"batch_size": 2, "epochs": 1})
    list(training_on("cpu", settings))
    assert read == [1] * 30
    read.clear()
    monkeypatch.setattr(tensors, "on_cpu", lambda values: False)
    list(training_on("cpu", settings))
    assert read == [1, READ_STEPS, 13]


@every_device
@pytest.mark.parametrize("fits", [True, False])
def test_pixels_are_kept_on_the_device_where_they_fit(fits: bool, device: str, monkeypatch) -> None:
    pixels = torch.from_numpy(draw_bars(20).pixels)
    monkeypatch.setitem(device_images.FREE_BYTES, device, lambda: pixels.nbytes * (8 if fits else 1))
    kept, rows = resident(pixels, device), torch.tensor([3, 3, 0])
    assert kept.device.type == (device if fits else "cpu")
    images = images_at(kept, rows, device)
    assert images.device.type == device
    assert torch.equal(images.cpu(), pixels[rows] / 255)


@every_device
def test_a_network_is_evaluated_alike_on_every_device(device: str) -> None:
    model, images = build("petit", channels=1, classes=3), draw_bars(20).pixels.astype(np.float32) / 255
    expected = as_classifier(model, ONE_THREAD)(images)
    compute = ComputeConfig.model_validate({"device": device, "threads": 1})
    np.testing.assert_allclose(as_classifier(model, compute)(images), expected, atol=1e-4)


@pytest.mark.parametrize("changes", [
    *({"model": name} for name in MODELS),
    {"class_balance": 0.5, "ood_fraction": 0.5},
    {"augmentation": "everything"},
    {"augmentation": "mirrored_recoloured_photo", "schedule": "constant", "optimizer": "keras"},
    {"teachers": 2},
], ids=str)  # fmt: skip
def test_nothing_in_a_step_waits_for_the_device(changes: dict[str, object], monkeypatch) -> None:
    """On `meta`, where reading a value back fails: images, augmentation, targets, network, loss, optimiser, average."""
    for name, value in (("autocast", nullcontext()), ("is_autocast_enabled", False), ("get_autocast_dtype", None)):
        monkeypatch.setattr(torch, name, lambda *_, value=value, **__: value)  # meta has no autocast
    monkeypatch.setattr(edges, "_hysteresis", lambda strong, weak: strong)  # the one exception
    monkeypatch.setattr(
        loop, "make_optimizer", lambda model, _: torch.optim.SGD(model.parameters(), 0.1)
    )  # fused is not
    monkeypatch.setattr(RunningLoss, "is_due", False)
    monkeypatch.setitem(device_images.FREE_BYTES, "meta", lambda: 1 << 40)
    teachers = int(changes.pop("teachers", 0))  # type: ignore[call-overload]
    settings = SETTINGS.model_copy(update={"epochs": 1, **changes})
    model, *others = (build(settings.model, channels=1, classes=3, height=16, width=16) for _ in range(1 + teachers))
    targets = distillation_targets([other.to("meta") for other in others], 3, ON_META) if others else None
    training = Training(model, draw_bars(60), settings, ON_META, targets=targets)
    assert training.pixels.device.type == "meta"
    with OneDevice():
        steps = [step.number for step, _ in zip(training, range(4), strict=False)]
    assert steps == [1, 2, 3, 4]
    assert all(loss.device.type == "meta" for *_, loss, _ in training._running._unread)
