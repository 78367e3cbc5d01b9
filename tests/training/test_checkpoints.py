"""A training that continues from a checkpoint ends with the same weights, bit for bit."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.bars import draw_bars
from helpers.disk import Crash, crash
from torch import nn

from imparfait.core.code_digest import PACKAGE, import_closure
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.hardware import ARITHMETIC_VARIABLES
from imparfait.data.dataset import LabelledImages
from imparfait.models.registry import MODELS, build
from imparfait.training import checkpoints
from imparfait.training.checkpoints import load_checkpoint, save_checkpoint
from imparfait.training.history import train
from imparfait.training.loop import Training, resume
from imparfait.training.optim import SCHEDULES
from imparfait.training.settings import TrainingSettings

ONE_THREAD = ComputeConfig(threads=1)
SHORT = TrainingSettings(epochs=2, batch_size=10, learning_rate=3e-3)
DATA = draw_bars(40)
IDENTITY = "this training"


def network(settings: TrainingSettings) -> nn.Module:
    return build(settings.model, channels=1, classes=3, height=16, width=16, seed=settings.seed)


def sha256(model: nn.Module) -> str:
    return hashlib.sha256(b"".join(v.contiguous().numpy().tobytes() for v in model.state_dict().values())).hexdigest()


def begin(settings: TrainingSettings, folder: Path, data: LabelledImages = DATA) -> tuple[nn.Module, Training]:
    """A training from the last checkpoint in `folder`, as a new process would make it."""
    model = network(settings)
    training = Training(model, data, settings, ONE_THREAD)
    resume(training, folder, IDENTITY)
    return model, training


def weights_at_the_end(settings: TrainingSettings, folder: Path) -> str:
    model, training = begin(settings, folder)
    for _ in training:
        pass
    return sha256(model)


def stop_after(steps: int, settings: TrainingSettings, folder: Path) -> None:
    _, training = begin(settings, folder)
    for step in training:
        if step.number == steps:
            save_checkpoint(folder, training.state(), IDENTITY)
            return


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["adamw", "keras"])
@pytest.mark.parametrize("augmentation", ["core", "study"])
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
def test_every_network_continues_bit_for_bit(tmp_path: Path, name: str) -> None:
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
        assert load_checkpoint(folder, IDENTITY)[0] is not None
        assert weights_at_the_end(SHORT, folder) == whole
        if disk.calls < at:
            break
    assert crashes >= (1 if when == "half" else 9)


def test_the_optimizer_state_has_the_memory_layout_of_its_weights(tmp_path: Path) -> None:
    stop_after(3, SHORT, tmp_path)
    model, training = begin(SHORT, tmp_path)
    assert any(not p.is_contiguous() for p in model.parameters())  # channels_last: or this test would prove nothing
    for parameter in model.parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            assert training.optimizer.state[parameter][moment].stride() == parameter.stride()


def test_two_trainings_that_continue_from_one_state_end_alike(tmp_path: Path) -> None:
    _, begun = begin(SHORT, tmp_path)
    for step in begun:
        if step.number == 3:
            break
    state = begun.state()
    state = replace(state, tensors={name: tensor.clone() for name, tensor in state.tensors.items()})
    ends = []
    for _ in range(2):
        model = build("petit", channels=1, classes=3)
        training = Training(model, DATA, SHORT, ONE_THREAD)
        training.restore(state)
        for _ in training:
            pass
        ends.append(sha256(model))
    assert ends[0] == ends[1]


def test_a_finished_training_is_restored_with_the_averaged_weights(tmp_path: Path) -> None:
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


def test_epochs_keep_their_validation_scores(tmp_path: Path) -> None:
    validation = draw_bars(12, first_source=100)
    training = Training(network(SHORT), DATA, SHORT, ONE_THREAD, validation=validation)
    for step in training:
        if step.epoch:
            break
    save_checkpoint(tmp_path, training.state(), IDENTITY)
    state, corrupted = load_checkpoint(tmp_path, IDENTITY)
    assert state is not None
    assert not corrupted
    [epoch] = state.progress.epochs
    assert [(score.corruption, score.total) for score in epoch.validation] == [
        ("clean", 12), ("geometric", 12), ("shrunk", 12)
    ]  # fmt: skip
    assert state.progress == training.progress


def test_validation_changes_no_bit() -> None:
    ends = []
    for validation in (None, draw_bars(12, first_source=100)):
        model = network(SHORT)
        epochs = list(train(model, DATA, SHORT, ONE_THREAD, validation=validation))
        assert [len(epoch.validation) for epoch in epochs] == [3 if validation else 0] * 2
        ends.append(sha256(model))
    assert ends[0] == ends[1]


def test_the_same_call_continues_and_yields_finished_epochs_first(tmp_path: Path) -> None:
    settings = SHORT.model_copy(update={"epochs": 3})
    whole = weights_at_the_end(settings, tmp_path)
    folder = tmp_path / "checkpoints"
    first = [next(train(network(settings), DATA, settings, ONE_THREAD, checkpoint_dir=folder))]
    assert len(list(folder.glob("[0-9]*.safetensors"))) == 1  # saved when the loop was left
    for _ in range(2):  # the second time it is finished already
        model = network(settings)
        epochs = list(train(model, DATA, settings, ONE_THREAD, checkpoint_dir=folder))
        assert [epoch.number for epoch in epochs] == [1, 2, 3]
        assert epochs[0] == first[0]
        assert sha256(model) == whole


def test_a_corrupted_checkpoint_is_a_warning_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    whole = weights_at_the_end(SHORT, tmp_path)
    folder = tmp_path / "checkpoints"
    epochs = train(network(SHORT), DATA, SHORT, ONE_THREAD, checkpoint_dir=folder)
    next(epochs)
    epochs.close()
    list(train(network(SHORT), DATA, SHORT, ONE_THREAD, checkpoint_dir=folder))
    _, newest = sorted(folder.glob("[0-9]*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-5])
    model = network(SHORT)
    with pytest.warns(UserWarning, match=f"{newest.name}: corrupted; continuing from the checkpoint before it"):
        list(train(model, DATA, SHORT, ONE_THREAD, checkpoint_dir=folder))
    assert sha256(model) == whole


def test_checkpoints_of_another_training_are_rejected(tmp_path: Path) -> None:
    next(train(network(SHORT), DATA, SHORT, ONE_THREAD, checkpoint_dir=tmp_path))
    for data, settings in ((draw_bars(50), SHORT), (DATA, SHORT.model_copy(update={"learning_rate": 1e-3}))):
        with pytest.raises(UserError) as error:
            next(train(network(settings), data, settings, ONE_THREAD, checkpoint_dir=tmp_path))
        assert "another training" in error.value.received
        assert "same images, settings and compute configuration" in error.value.expected


def test_a_checkpoint_of_another_version_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(3, SHORT, tmp_path)
    monkeypatch.setattr(checkpoints, "_versions", lambda: {"imparfait": "9.0", "torch": torch.__version__})
    with pytest.raises(UserError) as error:
        load_checkpoint(tmp_path, IDENTITY)
    assert "this training was begun with imparfait" in error.value.received
    assert error.value.expected.startswith("imparfait 9.0")


def test_a_checkpoint_of_other_code_of_the_same_version_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(3, SHORT, tmp_path)
    monkeypatch.setattr(checkpoints, "training_code", lambda: "c0de")
    with pytest.raises(UserError) as error:
        load_checkpoint(tmp_path, IDENTITY)
    assert "this training was begun with imparfait" in error.value.received
    assert "code c0de" in error.value.expected


@pytest.mark.parametrize("name", ARITHMETIC_VARIABLES)
def test_a_checkpoint_of_other_arithmetic_is_rejected(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    stop_after(3, SHORT, tmp_path)
    assert load_checkpoint(tmp_path, IDENTITY)[0] is not None
    for change in (lambda: monkeypatch.setenv(name, "2"), lambda: monkeypatch.delenv(name)):
        change()
        with pytest.raises(UserError) as error:
            load_checkpoint(tmp_path, IDENTITY)
        assert error.value.received.endswith(f"this training was begun with {name}=1")
        assert name in error.value.expected


@pytest.mark.parametrize("module", ["training/distillation.py", "training/linear_probe.py", "training/optim.py"])
def test_the_code_that_trains_is_all_that_decides_weights(module: str) -> None:
    starts = [PACKAGE / "training" / name for name in checkpoints.TRAINING_MODULES]
    assert PACKAGE / module in import_closure(*starts)


def test_threads_are_those_of_the_caller_between_steps() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in Training(network(SHORT), DATA, SHORT, ONE_THREAD):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
