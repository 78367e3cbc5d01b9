"""A network trained in Python is saved as a run folder that loads and exports like any other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bars import CLASSES, draw_bars
from torch import nn

import imparfait
from imparfait.core.errors import UserError
from imparfait.training.checkpoints import Epoch
from imparfait.training.settings import TrainingSettings

BARS = draw_bars(48)
SETTINGS = TrainingSettings(model_args={"filters": 8, "depth": 1}, epochs=1, batch_size=16)


def trained() -> tuple[nn.Module, list[Epoch]]:
    model = imparfait.build("petit", channels=1, classes=len(CLASSES), model_args=SETTINGS.model_args)
    return model, list(imparfait.train(model, BARS, SETTINGS))


def test_a_saved_network_predicts_as_before_and_can_be_exported(tmp_path: Path) -> None:
    model, epochs = trained()
    run = imparfait.save_run(tmp_path / "mine", model, BARS, SETTINGS, epochs)
    images = BARS.pixels.astype(np.float32) / 255
    again = imparfait.load_classifier(run, precision="float32")
    np.testing.assert_allclose(again(images), imparfait.as_classifier(model)(images), atol=1e-6)
    assert imparfait.export(run, out=tmp_path / "mine.onnx").metadata.name == "mine"


def test_a_saved_run_records_where_it_was_trained_and_whether_on_validation_images(tmp_path: Path) -> None:
    model, epochs = trained()
    compute = imparfait.ComputeConfig(threads=3, precision="float32")
    manifest = json.loads(
        (imparfait.save_run(tmp_path / "a", model, BARS, SETTINGS, epochs, compute) / "settings.json").read_text()
    )
    assert (manifest["compute"]["threads"], manifest["final"]) == (3, False)
    manifest = json.loads(
        (imparfait.save_run(tmp_path / "b", model, BARS, SETTINGS, epochs, final=True) / "settings.json").read_text()
    )
    assert manifest["final"]


def test_saving_again_replaces_a_run_but_nothing_else(tmp_path: Path) -> None:
    model, epochs = trained()
    run = imparfait.save_run(tmp_path / "mine", model, BARS, SETTINGS, epochs)
    before = (run / "model.safetensors").read_bytes()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    imparfait.save_run(run, model, BARS, SETTINGS, epochs)
    assert (run / "model.safetensors").read_bytes() != before
    (tmp_path / "thesis.txt").write_text("years of work")
    for other in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UserError, match="exists and is not a run"):
            imparfait.save_run(other, model, BARS, SETTINGS, epochs)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_impossible_save_is_rejected_and_leaves_no_file(tmp_path: Path) -> None:
    model, epochs = trained()
    with pytest.raises(UserError, match=r"epochs = list\(train"):
        imparfait.save_run(tmp_path / "mine", model, BARS, SETTINGS, [])
    with pytest.raises(UserError, match="one column per class"):
        imparfait.save_run(tmp_path / "mine", nn.Sequential(nn.Flatten(), nn.Linear(256, 7)), BARS, SETTINGS, epochs)
    assert not list(tmp_path.iterdir())
