"""Exported files predict like their network, describe themselves, and run without imparfait."""

import json
import os
import re
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from helpers.bars import CLASSES, draw_bars
from helpers.networks import TEMPERATURE, input_format, random_network, run_folder
from safetensors.torch import load, save

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.corrupted import core_suite
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.scores import score_conditions
from imparfait.export import export
from imparfait.export import onnx as to_onnx
from imparfait.export.parity import IMAGES, corrupted_digits, measure_parity
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import predictor_from_onnx
from imparfait.models.loading import load_classifier
from imparfait.models.metadata import KEY, ExportMetadata
from imparfait.models.registry import build

os.environ.setdefault("KERAS_BACKEND", "torch")

from imparfait.export import keras as to_keras

EXPORTERS = {"onnx": to_onnx, "keras": to_keras}
"""In colour and with odd sides; for `petit` and `duo` large enough for the spatial normaliser to reduce them."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs") / "quick-s0-abcdef")


@pytest.fixture(scope="module")
def printed(run: Path) -> dict[str, str]:
    """What the command prints for each format; it writes the files beside the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run.parent)
        arguments = {to: ["export", run.name, "--to", to] for to in EXPORTERS}
        return {to: CliRunner().invoke(commands, args, catch_exceptions=False).output for to, args in arguments.items()}


@pytest.fixture(scope="module")
def exported(run: Path, printed: dict[str, str]) -> dict[str, Path]:
    return {to: run.parent / f"{run.name}.{to}" for to in printed}


def test_the_command_prints_only_the_parity_and_the_next_steps(printed: dict[str, str]) -> None:
    """No messages of PyTorch and Keras."""
    for to, output in printed.items():
        name = f"quick-s0-abcdef.{to}"
        first, *others = output.splitlines()
        assert first.startswith(f"{name}: 0.0")
        assert re.search(r"\b1,000 of 1,000 corrupted images\b", first)
        next_steps = [line.partition("   (")[0] for line in others]
        predict = [f"next: imparfait predict photo.png --model {name}"]
        assert next_steps == [*(predict if to == "onnx" else []), f"next: imparfait evaluate {name}"]


def test_the_same_run_gives_the_same_bytes(exported: dict[str, Path]) -> None:
    _, metadata = predictor_from_onnx(exported["onnx"].read_bytes(), "model.onnx")
    network = random_network("rnn", 1, 16, 16)
    assert to_onnx.serialize(network, metadata) == exported["onnx"].read_bytes()
    with zipfile.ZipFile(exported["keras"]) as archive:
        metadata = ExportMetadata.model_validate(json.loads(archive.read("metadata.json"))[KEY])
    assert to_keras.serialize(network, metadata) == exported["keras"].read_bytes()


def test_an_exported_file_describes_itself(run: Path, exported: dict[str, Path]) -> None:
    predictor, metadata = predictor_from_onnx(exported["onnx"].read_bytes(), "model.onnx")
    assert (metadata.name, metadata.model, metadata.recipe) == ("quick-s0-abcdef", "rnn", "quick")
    assert metadata.temperature == TEMPERATURE
    assert metadata.classes == predictor.classes == CLASSES
    assert predictor.threshold is not None
    assert metadata.weights == sha256((run / "model.safetensors").read_bytes()).hexdigest()
    assert metadata.parity is not None
    assert (metadata.parity.images, metadata.parity.same_label) == (1000, 1000)
    assert metadata.parity.largest < 1e-5
    properties = {prop.key: prop.value for prop in onnx.load(exported["onnx"]).metadata_props}
    assert properties["input"] == "images: uint8 [n, 1, 16, 16], 0 is black; normalisation: none"
    with zipfile.ZipFile(exported["keras"]) as archive:
        keras_metadata = json.loads(archive.read("metadata.json"))
    assert ExportMetadata.model_validate(keras_metadata[KEY]).model_copy(update={"parity": metadata.parity}) == metadata
    assert keras_metadata["keras_version"]


def test_a_keras_file_names_only_classes_of_keras(exported: dict[str, Path]) -> None:
    with zipfile.ZipFile(exported["keras"]) as archive:
        config = archive.read("config.json").decode()
    modules = set(re.findall(r'"module": "([^"]+)"', config))
    assert {module.split(".")[0] for module in modules} == {"keras"}
    assert "Lambda" not in config


def test_a_run_and_its_files_have_the_same_scores(run: Path, exported: dict[str, Path]) -> None:
    conditions = core_suite(draw_bars(90))
    images = conditions[0].data
    expected = score_conditions(load_classifier(run, precision="float32"), conditions)
    for to, path in exported.items():
        with open_external(path) as external:
            classifier, inferred = wrap_external(external, external.declared, images, SpecHint())
            scores = score_conditions(classifier, conditions)
        assert [score.correct for score in scores.scores] == [score.correct for score in expected.scores]
        layout, value_range = {"onnx": ("nchw", "255"), "keras": ("nhwc", "1")}[to]
        assert (inferred.spec.layout, inferred.spec.value_range) == (layout, value_range)
        assert set(inferred.origins.values()) == {"declared"}
        assert len(inferred.trials) == 1
    of_file, of_run = (load_predictor(str(model)).predict_pixels(images.pixels) for model in (exported["onnx"], run))
    assert [prediction.label for prediction in of_file] == [prediction.label for prediction in of_run]


def test_an_exported_file_is_rejected_for_images_of_other_classes(exported: dict[str, Path]) -> None:
    others = replace(draw_bars(90), classes=("one", "two", "three"))
    with (
        open_external(exported["onnx"]) as external,
        pytest.raises(UserError, match=r"has the classes flat, steep, cross; expected .* one, two, three"),
    ):
        wrap_external(external, external.declared, others, SpecHint())


def test_changed_metadata_is_rejected(tmp_path: Path, exported: dict[str, Path]) -> None:
    model = onnx.load(exported["onnx"])
    next(prop for prop in model.metadata_props if prop.key == KEY).value = '{"name": "x"}'
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"its metadata: .*export it again"):
        open_external(path).__enter__()


@pytest.mark.parametrize("to", EXPORTERS)
def test_a_file_that_predicts_otherwise_is_not_written(
    exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    other = run_folder(tmp_path / "other")
    tensors = load((other / "model.safetensors").read_bytes())
    (other / "model.safetensors").write_bytes(save(tensors | {"head.bias": tensors["head.bias"] + torch.arange(3)}))
    content = exported[to].read_bytes()
    monkeypatch.setattr(EXPORTERS[to], "serialize", lambda network, metadata: content)
    with pytest.raises(UserError, match=r"not written.*a probability by 0\.\d+, the label on"):
        export(other, to, tmp_path / f"model.{to}")
    assert [*tmp_path.iterdir()] == [other]


def test_a_nan_is_no_parity() -> None:
    def even(pixels: Pixels) -> np.ndarray:
        return np.full((len(pixels), 3), 1 / 3, np.float32)

    with pytest.raises(UserError, match="not written"):
        measure_parity(even, lambda pixels: even(pixels) * np.nan, input_format(1, 8, 8), "x.onnx")


def test_parity_is_measured_on_corrupted_digits_of_the_networks_size() -> None:
    batches = [*corrupted_digits(input_format(3, 24, 17))]
    assert sum(map(len, batches)) == IMAGES
    assert {batch.shape[1:] for batch in batches} == {(3, 24, 17)}
    assert all(len(np.unique(batch.reshape(len(batch), -1), axis=0)) > len(batch) // 2 for batch in batches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{run}", "onnxx"), "no format is called 'onnxx'; did you mean 'onnx'"),
        (("{run}", "onnx", "{run}/x.keras"), "by its suffix; expected .onnx; or write --to keras"),
        (("{run}", "keras", "{run}/x/y.keras"), "there is no folder .*/x; expected the path of a file to write"),
        (("{run}/none",), "no such run; expected a run folder, or digits"),
    ],
)
def test_an_impossible_export_is_rejected_before_any_work(run: Path, arguments: tuple[str, ...], message: str) -> None:
    before = sorted(run.iterdir())
    with pytest.raises(UserError, match=message):
        export(*(argument.format(run=run) for argument in arguments))
    assert sorted(run.iterdir()) == before


def test_a_custom_network_is_written_as_onnx_and_not_as_keras(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "from torch import nn\n"
        "def build(channels, classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, classes))\n"
    )
    run = run_folder(tmp_path / "mine-s0")
    config = json.loads((run / "config.json").read_text())
    network = build(f"{code}:build", channels=1, classes=3)
    (run / "model.safetensors").write_bytes(save(network.state_dict()))
    origins = {"network": sha256(code.read_bytes()).hexdigest()}
    (run / "config.json").write_text(
        json.dumps(config | {"model": f"{code}:build", "model_args": {}, "origins": origins})
    )
    with pytest.raises(UserError, match="--network"):
        export(run)
    with pytest.raises(UserError, match=r"mine.py:build cannot be written as a .keras file.*write --to onnx"):
        export(run, "keras", tmp_path / "x.keras", network=f"{code}:build")
    done = imparfait.export(run, out=tmp_path / "x.onnx", network=f"{code}:build")
    assert done.metadata.model == "mine.py:build"
    assert done.parity.largest < 1e-5
