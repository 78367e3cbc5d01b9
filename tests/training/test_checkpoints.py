"""A training that goes on from a checkpoint ends with the weights of one that was never stopped, bit for bit."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.bars import draw_bars
from helpers.disk import Crash, crash
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.models.registry import MODELS, build
from imparfait.training import checkpoints
from imparfait.training.checkpoints import load_state, save_state
from imparfait.training.loop import Training
from imparfait.training.optim import SCHEDULES
from imparfait.training.settings import TrainingSettings

ONE_THREAD = ComputeConfig(threads=1)
SHORT = TrainingSettings(epochs=2, batch_size=10, learning_rate=3e-3)
DATA = draw_bars(40)


def network(settings: TrainingSettings) -> nn.Module:
    return build(settings.model, channels=1, classes=3, height=16, width=16, seed=settings.seed)


def sha256(model: nn.Module) -> str:
    return hashlib.sha256(b"".join(v.contiguous().numpy().tobytes() for v in model.state_dict().values())).hexdigest()


def begin(settings: TrainingSettings, folder: Path, data: LabelledImages = DATA) -> tuple[nn.Module, Training]:
    """A training from the last checkpoint in `folder`, as a new process would make it."""
    model = network(settings)
    return model, Training(model, data, settings, ONE_THREAD, load_state(folder)[0])


def weights_at_the_end(settings: TrainingSettings, folder: Path) -> str:
    model, training = begin(settings, folder)
    for _ in training:
        pass
    return sha256(model)


def stop_after(steps: int, settings: TrainingSettings, folder: Path) -> None:
    _, training = begin(settings, folder)
    for step in training:
        if step.number == steps:
            save_state(folder, training.state(), {})
            return


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["adamw", "keras"])
@pytest.mark.parametrize("augmentation", ["fresh", "study"])
def test_stopping_after_any_step_changes_no_bit(
    tmp_path: Path, schedule: str, optimizer: str, augmentation: str
) -> None:
    settings = SHORT.model_copy(update={"schedule": schedule, "optimizer": optimizer, "augmentation": augmentation})
    whole = weights_at_the_end(settings, tmp_path)
    _, training = begin(settings, tmp_path)
    for steps in range(1, training.steps + 1):
        folder = tmp_path / str(steps)
        folder.mkdir()
        stop_after(steps, settings, folder)
        assert weights_at_the_end(settings, folder) == whole


@pytest.mark.parametrize("name", MODELS)
def test_every_network_goes_on_bit_for_bit(tmp_path: Path, name: str) -> None:
    settings = SHORT.model_copy(update={"model": name, "schedule": "constant", "optimizer": "keras", "epochs": 1})
    whole = weights_at_the_end(settings, tmp_path)
    for steps in (1, 3):
        stop_after(steps, settings, tmp_path)  # the second time from where the first one was
    assert weights_at_the_end(settings, tmp_path) == whole


@pytest.mark.parametrize("when", ["before", "after", "half"])
def test_a_crash_at_any_step_of_a_save_changes_no_bit(tmp_path: Path, when: str) -> None:
    whole = weights_at_the_end(SHORT, tmp_path)
    crashes = 0
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        for steps in (2, 3):
            stop_after(steps, SHORT, folder)
        try:
            with crash(at, when) as disk:
                stop_after(5, SHORT, folder)
        except Crash:
            crashes += 1
        assert load_state(folder)[0] is not None
        assert weights_at_the_end(SHORT, folder) == whole
        if disk.calls < at:
            break
    assert crashes >= (1 if when == "half" else 9)


def test_what_the_optimiser_remembers_lies_in_memory_as_its_weights_do(tmp_path: Path) -> None:
    stop_after(3, SHORT, tmp_path)
    model, training = begin(SHORT, tmp_path)
    assert any(not p.is_contiguous() for p in model.parameters())  # channels_last: or this test would prove nothing
    for parameter in model.parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            assert training.optimizer.state[parameter][moment].stride() == parameter.stride()


def test_two_trainings_that_go_on_from_one_state_end_alike(tmp_path: Path) -> None:
    _, begun = begin(SHORT, tmp_path)
    for step in begun:
        if step.number == 3:
            break
    state = begun.state()
    state = replace(state, tensors={name: tensor.clone() for name, tensor in state.tensors.items()})
    ends = []
    for _ in range(2):
        model = build("petit", channels=1, classes=3)
        for _ in Training(model, DATA, SHORT, ONE_THREAD, state):
            pass
        ends.append(sha256(model))
    assert ends[0] == ends[1]


def test_a_finished_training_is_there_again_with_the_averaged_weights(tmp_path: Path) -> None:
    whole = weights_at_the_end(SHORT, tmp_path)
    stop_after(8, SHORT, tmp_path)
    model, training = begin(SHORT, tmp_path)
    assert [step.number for step in training] == []
    assert sha256(model) == whole
    assert [epoch.number for epoch in training.progress.epochs] == [1, 2]


def test_epochs_and_losses_are_those_of_a_training_that_was_not_stopped(tmp_path: Path) -> None:
    _, training = begin(SHORT, tmp_path)
    whole = [step.epoch for step in training if step.epoch]
    stop_after(6, SHORT, tmp_path)
    _, training = begin(SHORT, tmp_path)
    for _ in training:
        pass
    assert [(e.number, e.loss, e.accuracy) for e in training.progress.epochs] == [
        (e.number, e.loss, e.accuracy) for e in whole
    ]


def test_what_lies_beside_a_state_comes_back(tmp_path: Path) -> None:
    _, training = begin(SHORT, tmp_path)
    next(iter(training))
    save_state(tmp_path, training.state(), {"course": [[{"correct": 3}]], "é": 0.1})
    assert load_state(tmp_path)[1:] == ({"course": [[{"correct": 3}]], "é": 0.1}, [])


def test_a_checkpoint_of_another_version_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(3, SHORT, tmp_path)
    monkeypatch.setattr(checkpoints, "_versions", lambda: {"imparfait": "9.0", "torch": torch.__version__})
    with pytest.raises(UserError, match=r"this training was begun with imparfait .*, here is imparfait 9\.0"):
        load_state(tmp_path)
