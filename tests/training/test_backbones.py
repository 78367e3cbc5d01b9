"""Backbones: weights of a package are read once in the sandbox and kept; a probe fits a head on cached features."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import backbones as tiny
from helpers.bars import draw_bars
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.core.storage import user_cache
from imparfait.data.dataset import LabelledImages
from imparfait.models.registry import build
from imparfait.training import backbones, linear_probe
from imparfait.training.backbones import BACKBONES, load_backbone
from imparfait.training.linear_probe import FINE_TUNE, PART_IMAGES, fit_probe
from imparfait.training.loop import Training

CPU = ComputeConfig(threads=1)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return tiny.install(monkeypatch, tmp_path)


def network(classes: int = 3, channels: int = 1) -> nn.Module:
    model = build(tiny.NAME, channels=channels, classes=classes)
    load_backbone(tiny.NAME).fill(model)
    return model


def with_classes(data: LabelledImages, labels: np.ndarray, classes: int) -> LabelledImages:
    names = tuple(str(label) for label in range(classes))
    return LabelledImages(data.pixels, labels.astype(np.int64), data.sources, names, "bars", "train")


def fitted(model: nn.Module, data: LabelledImages) -> linear_probe.ProbeStep:
    *_, last = fit_probe(model, data, CPU, "0" * 64)
    return last


def correct(model: nn.Module, data: LabelledImages) -> float:
    with torch.inference_mode():
        return float((model.eval()(torch.from_numpy(data.pixels) / 255).argmax(1).numpy() == data.labels).mean())


def test_weights_of_a_package_are_kept_as_safetensors_and_the_pickle_is_read_once(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_backbone(tiny.NAME)
    (kept,) = user_cache("backbones").iterdir()
    assert kept.suffix == ".safetensors"
    monkeypatch.setattr(backbones, "sandbox_for", None)  # a second reading would fail
    again = load_backbone(tiny.NAME)
    assert first.sha256 == again.sha256
    published = build(tiny.NAME, channels=3, classes=7, seed=1).state_dict()
    assert all(torch.equal(value, published[name]) for name, value in again.tensors.items())


def test_a_corrupted_copy_is_made_again(weights: Path) -> None:
    first = load_backbone(tiny.NAME)
    (kept,) = user_cache("backbones").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert load_backbone(tiny.NAME).sha256 == first.sha256


def test_all_but_the_head_is_filled(weights: Path) -> None:
    model, random = network(), build(tiny.NAME, channels=1, classes=3).state_dict()
    published = build(tiny.NAME, channels=3, classes=7, seed=1).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, (random if name.startswith("head.") else published)[name]), name


def test_a_missing_package_and_an_unknown_name_are_user_errors(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "packages" not in Path(path).parts[-1:]])
    with pytest.raises(UserError) as error:
        load_backbone(tiny.NAME)
    assert error.value.received == "--backbone tiny: its weights are in the package tiny-weights-of-the-tests"
    assert error.value.hint == install_hint("tiny")
    with pytest.raises(UserError, match="did you mean 'efficientnet-lite0'"):
        load_backbone("efficientnet-lite")


def test_another_file_than_published_is_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes() + b"0")
    with pytest.raises(UserError) as error:
        load_backbone(tiny.NAME)
    assert error.value.received.endswith("is another file than published")
    assert BACKBONES[tiny.NAME].sha256 in error.value.expected


@pytest.mark.parametrize(
    "change",
    [{"_conv.weight": torch.zeros(12, 3, 5, 5)}, {"_more": torch.zeros(2)}, {"_norm.bias": torch.full((12,), np.inf)}],
)
def test_other_tensors_than_the_network_has_are_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, torch.Tensor]
) -> None:
    state = build(tiny.NAME, channels=3, classes=7, seed=1).state_dict()
    tiny.save(weights, {f"_{name}": value for name, value in state.items()} | change)
    tiny.publish(monkeypatch, weights)
    with pytest.raises(UserError, match=r"its tensors are not those of tiny|not finite numbers"):
        load_backbone(tiny.NAME)
    assert not list(user_cache("backbones").iterdir())


def test_features_are_computed_once_and_a_stopped_probe_continues(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, calls = draw_bars(2 * PART_IMAGES + 5), []
    compute = linear_probe.feature_function

    def counted(model: nn.Module, config: ComputeConfig) -> object:
        function = compute(model, config)
        return lambda pixels: (calls.append(len(pixels)), function(pixels))[1]

    monkeypatch.setattr(linear_probe, "feature_function", counted)
    stopped = fit_probe(network(), data, CPU, "0" * 64)
    assert next(stopped).done == PART_IMAGES
    stopped.close()
    first, again = network(), network()
    fitted(first, data)
    assert calls == [PART_IMAGES, PART_IMAGES, 5]
    fitted(again, data)
    assert len(calls) == 3
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    changed = LabelledImages(255 - data.pixels, data.labels, data.sources, data.classes, "bars", "train")
    fitted(network(), changed)
    assert len(calls) == 6


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_predicts_better_than_chance_and_changes_the_head_only(weights: Path, classes: int) -> None:
    bars = draw_bars(300)
    chosen = bars.select(bars.labels < classes)
    data = with_classes(chosen, chosen.labels, classes)
    model = network(classes)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    last = fitted(model, data)
    assert last.epoch is not None
    assert last.epoch.accuracy > 1.3 / classes
    assert correct(model, data) >= last.epoch.accuracy - 0.05
    assert {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])} == {
        "head.weight", "head.bias",
    }  # fmt: skip


def test_a_class_with_one_image_is_fitted_without_cross_validation(weights: Path) -> None:
    data = draw_bars(9)
    alone = with_classes(data, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]), 3)
    last = fitted(network(), alone)
    assert last.doing.endswith(f"too few for cross-validation; C = {linear_probe.DEFAULT_STRENGTH:g}")


def test_the_images_of_a_group_are_held_out_together() -> None:
    data = draw_bars(60)
    groups = np.arange(60) // 6
    grouped = LabelledImages(
        data.pixels, data.labels, data.sources, data.classes, "bars", "train", groups=groups.astype(np.int64)
    )
    folds = linear_probe._held_out(grouped, 0)
    assert len(folds) == linear_probe.FOLDS
    assert sum(mask.sum() for mask in folds) == 60
    for mask in folds:
        assert not set(groups[mask]) & set(groups[~mask])


def test_fine_tuning_changes_all_weights_and_keeps_the_statistics_of_normalisations(weights: Path) -> None:
    data, model = draw_bars(40), network()
    fitted(model, data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = FINE_TUNE.model_copy(update={"model": tiny.NAME, "epochs": 2, "batch_size": 8, "schedule": "constant"})
    training = Training(model, data, settings, CPU, validation=draw_bars(9, first_source=99), frozen_statistics=True)
    for _ in training:
        pass
    kept = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert kept == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
