"""`imparfait train --backbone`: a linear probe and fine-tuning give runs as any other."""

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import backbones as tiny
from helpers.bars import draw_bars
from helpers.commands import refused, run
from PIL import Image

from imparfait.cli import runs
from imparfait.cli.main import commands
from imparfait.cli.signals import Stop, Stopped
from imparfait.core.storage import user_cache
from imparfait.models.registry import build
from imparfait.training.backbones import BACKBONES, load_backbone

PUBLISHED = "efficientnet-lite0"
PALACE, BELL_COTE, DAISY = 698, 442, 985  # classes of ImageNet


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return tiny.install(monkeypatch, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Class folders of images of two sizes."""
    data = draw_bars(60, side=20, channels=3)
    for pixels, label, source in zip(data.pixels, data.labels, data.sources, strict=True):
        path = tmp_path / "data" / data.classes[label] / f"{source}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels.transpose(1, 2, 0))
        (image if source % 2 else image.resize((24, 24))).save(path)
    return tmp_path / "data"


def settings_of(path: Path) -> dict[str, object]:
    content = json.loads((path / "settings.json").read_text())
    assert isinstance(content, dict)
    return content


def train(folder: Path, *words: str) -> Path:
    """The new run folder."""
    out, before = folder.parent / "runs", set((folder.parent / "runs").glob("*"))
    run("train", "--data", folder, "--backbone", tiny.NAME, "--size", "16", "--out", out, *words)
    (new,) = set(out.glob("*-s0-*")) - before
    return new


def test_a_linear_probe_is_a_run_that_predicts_and_exports(weights: Path, folder: Path) -> None:
    probe = train(folder)
    settings = settings_of(probe)
    assert settings["recipe"] == "linear-probe"
    assert settings["origins"] == {"frozen backbone": load_backbone(tiny.NAME).sha256}
    config = json.loads((probe / "config.json").read_text())
    assert (config["input"]["height"], config["input"]["normalization"]) == (16, "resize")
    assert len((probe / "epochs.csv").read_text().splitlines()) == 2
    assert "pretrained weights of tiny (MIT)" in (probe / "README.md").read_text()
    file = next((folder / "flat").iterdir())
    predicted = json.loads(run("predict", "--json", "--model", probe, file))
    exported = folder.parent / "probe.onnx"
    run("export", probe, "--out", exported)
    again = json.loads(run("predict", "--json", "--model", exported, file))
    assert again["predictions"][0]["label"] == predicted["predictions"][0]["label"]
    assert again["predictions"][0]["score"] == pytest.approx(predicted["predictions"][0]["score"], abs=1e-3)


def test_fine_tuning_starts_from_the_probe_and_is_another_run(weights: Path, folder: Path) -> None:
    probe, tuned = train(folder), train(folder, "--fine-tune", "--epochs", "2", "--batch-size", "10")
    settings = settings_of(tuned)
    assert settings["recipe"] == "fine-tune"
    assert settings["origins"] == {"backbone": load_backbone(tiny.NAME).sha256}
    assert settings["hash"] != settings_of(probe)["hash"]
    assert len((tuned / "epochs.csv").read_text().splitlines()) == 3


def test_image_files_become_224_pixels_unless_a_size_is_given(weights: Path, folder: Path) -> None:
    out = folder.parent / "large"
    run("train", "--data", folder, "--backbone", tiny.NAME, "--out", out)
    (probe,) = out.glob("linear-probe-*")
    assert json.loads((probe / "config.json").read_text())["input"]["height"] == 224


def test_the_same_command_again_computes_nothing(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(folder)
    monkeypatch.setattr(runs, "complete", None)
    words = ["train", "--data", folder, "--backbone", tiny.NAME, "--size", "16", "--out", folder.parent / "runs"]
    assert run(*words).startswith("already trained")


def test_a_stopped_probe_says_where_its_features_are_and_leaves_no_folder(
    weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def asked_to_stop() -> Iterator[Stop]:
        yield Stop(2)

    monkeypatch.setattr(runs, "asked_to_stop", asked_to_stop)
    words = ["train", "--data", str(folder), "--backbone", tiny.NAME, "--size", "16", "--out", str(folder.parent / "r")]
    result = CliRunner().invoke(commands, words)
    assert isinstance(result.exception, Stopped)
    assert str(user_cache("features")) in str(result.exception)
    assert "the same command continues from there" in str(result.exception)
    assert not list((folder.parent / "r").iterdir())
    assert list(user_cache("features").iterdir())


def test_stopped_fine_tuning_continues_to_the_same_weights_without_another_probe(
    weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(folder, "--fine-tune", "--epochs", "2", "--batch-size", "10")
    signals = iter((0, 2))  # none while the head is fitted, then Ctrl-C

    @contextmanager
    def asked_to_stop() -> Iterator[Stop]:
        yield Stop(next(signals))

    out = folder.parent / "again"
    words = ["train", "--data", str(folder), "--backbone", tiny.NAME, "--size", "16", "--out", str(out)]
    words += ["--fine-tune", "--epochs", "2", "--batch-size", "10"]
    with monkeypatch.context() as patches:
        patches.setattr(runs, "asked_to_stop", asked_to_stop)
        result = CliRunner().invoke(commands, words)
    assert isinstance(result.exception, Stopped)
    assert str(result.exception).startswith("stopped after step 1 of ")
    monkeypatch.setattr(runs, "_fit_head", None)
    run(*words)
    (continued,) = out.glob("fine-tune-*")
    assert continued.name == whole.name
    assert (continued / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "received", "hint"),
    [
        (["--fine-tune"], "--fine-tune without --backbone", "add --backbone NAME"),
        (["--backbone", "tiny", "--model", "petit"], "--model with --backbone tiny", "leave --model out"),
        (["--backbone", "tiny", "--init-from", "digits"], "--init-from with --backbone tiny", "leave --init-from out"),
        (["--backbone", "tiny", "--epochs", "3"], "--epochs with --backbone tiny", "add --fine-tune, or leave it out"),
        (["--backbone", "tiny", "--recipe", "quick"], "--recipe with --backbone tiny", "add --fine-tune"),
        (["--backbone", "tony"], "no backbone is called 'tony'", "did you mean 'tiny'"),
    ],
)
def test_options_that_contradict_a_backbone_are_refused(
    weights: Path, folder: Path, words: list[str], received: str, hint: str
) -> None:
    said = refused("train", "--data", folder, *words)
    assert said.startswith(received)
    assert hint in said


@pytest.mark.skipif(
    importlib.util.find_spec(BACKBONES[PUBLISHED].package) is None, reason="needs imparfait[efficientnet]"
)
def test_the_published_weights_recognise_two_photographs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the head that they come with: pixels, their scale, channels and padding are those of its training."""
    from sklearn.datasets import load_sample_image

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = build("efficientnet_lite0", channels=3, classes=1000).eval()
    network.load_state_dict(network.state_dict() | dict(load_backbone(PUBLISHED).tensors))
    for name, expected in (("china.jpg", {PALACE, BELL_COTE}), ("flower.jpg", {DAISY})):
        photo = Image.fromarray(load_sample_image(name))
        left = (photo.width - photo.height) // 2
        square = photo.crop((left, 0, left + photo.height, photo.height)).resize((224, 224), Image.Resampling.BICUBIC)
        with torch.inference_mode():
            logits = network(torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255)[0]
        assert set(logits.topk(len(expected)).indices.tolist()) == expected
