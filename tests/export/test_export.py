"""Exported files predict like their network, describe themselves, and run without imparfait."""

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from helpers.bars import CLASSES, draw_bars
from safetensors.torch import load, save
from scipy.special import softmax
from torch import nn

import imparfait
from imparfait.cli.main import commands
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.corrupted import core_suite
from imparfait.data.images.input_format import InputFormat
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.scores import score_conditions
from imparfait.export import KERAS_MODELS, export
from imparfait.export import onnx as to_onnx
from imparfait.export.parity import IMAGES, corrupted_digits, measure_parity
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import predictor_from_onnx
from imparfait.models.loading import load_classifier
from imparfait.models.metadata import KEY, ExportMetadata, ModelConfig, Threshold
from imparfait.models.registry import MODELS, build
from imparfait.training.manifest import DataManifest, RunManifest
from imparfait.training.recipes import RECIPES

os.environ.setdefault("KERAS_BACKEND", "torch")
from imparfait.export import keras as to_keras

EXPORTERS = {"onnx": to_onnx, "keras": to_keras}
TEMPERATURE = 0.5
SMALL = {"petit": {"filters": 8, "depth": 1, "frame": 8}, "duo": {"filters": 8, "depth": 1, "frame": 8}}
SMALL |= {"grand": {"filters": 8, "frame": 8}, "rnn": {"units": 16}}
SHAPES = {"petit": (3, 40, 33), "duo": (3, 40, 33), "cnn_gru": (3, 18, 27)}
"""In colour and with odd sides; for `petit` and `duo` large enough for the spatial normaliser to reduce them."""


def random_network(model: str, channels: int, height: int, width: int) -> nn.Module:
    """An untrained network in which every parameter matters, those of the normalisations too."""
    model_args = SMALL.get(model, {})
    network = build(model, channels=channels, classes=len(CLASSES), height=height, width=width, model_args=model_args)
    random = torch.Generator().manual_seed(0)
    for name, values in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            values.copy_(torch.randn(values.shape, generator=random) / 4)
        elif name.endswith("running_var"):
            values.copy_(torch.rand(values.shape, generator=random) + 0.5)
    return network.eval()


def input_format(channels: int, height: int, width: int) -> InputFormat:
    return InputFormat(channels=channels, height=height, width=width, normalization="none")


def metadata_for(model: str, channels: int, height: int, width: int) -> ExportMetadata:
    return ExportMetadata(
        name="test", model=model, recipe="quick", classes=CLASSES, temperature=TEMPERATURE, weights="0" * 64,
        input=input_format(channels, height, width), settings="1" * 64,
    )  # fmt: skip


def varied_images(channels: int, height: int, width: int) -> Pixels:
    """Noise, bars, all black and all white."""
    noise = np.random.default_rng(0).integers(0, 256, (20, channels, height, width)).astype(np.uint8)
    bars = np.where(np.arange(width) % 7 == 3, noise, 0)
    bars[:, :, : height // 3] = 0
    return np.concatenate([noise, bars, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255)]).astype(np.uint8)


def probabilities_of(network: nn.Module, images: Pixels) -> np.ndarray:
    with torch.no_grad():
        return softmax(network(torch.from_numpy(images).float() / 255).numpy() / TEMPERATURE, 1)


def run_folder(folder: Path, model: str = "rnn", channels: int = 1, side: int = 16) -> Path:
    """The files of a run that `export` reads."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(save(random_network(model, channels, side, side).state_dict()))
    config = ModelConfig(
        model=model, model_args=SMALL.get(model, {}), classes=CLASSES, input=input_format(channels, side, side),
        compute=ComputeConfig(), temperature=TEMPERATURE, threshold=Threshold(confidence=0.7, error_rate=0.001),
    )  # fmt: skip
    (folder / "config.json").write_text(config.model_dump_json())
    manifest = RunManifest(
        recipe="quick", settings=RECIPES["quick"].settings, compute=ComputeConfig(), final=False, hash="1" * 64,
        data=DataManifest(name="bars", images=90, sha256="2" * 64),
    )  # fmt: skip
    (folder / "settings.json").write_text(manifest.model_dump_json())
    return folder


@pytest.mark.parametrize("model", KERAS_MODELS)
def test_a_keras_file_predicts_as_its_network(model: str) -> None:
    shape = SHAPES.get(model, (1, 16, 16))
    network, metadata = random_network(model, *shape), metadata_for(model, *shape)
    content = to_keras.serialize(network, metadata)
    images = varied_images(*shape)
    expected = probabilities_of(network, images)
    assert np.abs(to_keras.load(content, metadata, 1)(images) - expected).max() < 1e-5
    assert np.ptp(expected, 0).max() > 1e-3  # otherwise the network would not tell images apart
    if model == "cnn_gru":
        assert to_keras.serialize(network, metadata) == content


def test_every_network_but_ours_can_be_written_as_a_keras_file() -> None:
    assert set(KERAS_MODELS) == set(MODELS) - {"petit", "grand", "duo", "resnet", "efficientnet_lite0"}


@pytest.mark.parametrize("model", ["petit", "grand", "duo"])
def test_our_networks_are_not_written_as_keras_files(tmp_path: Path, model: str) -> None:
    run = run_folder(tmp_path / "run", model)
    with pytest.raises(UserError) as error:
        export(run, "keras")
    assert error.value.received == f"{run}: its network {model} cannot be written as a .keras file"
    assert error.value.expected.startswith("one of the founding study's networks, cnn, cnn_gru, rnn")
    assert error.value.hint == "write --to onnx"


def test_the_error_for_a_network_without_keras_comes_before_heavy_imports() -> None:
    program = """
import sys
from imparfait.core.errors import UserError
from imparfait.export import export
try:
    export("digits", "keras")
except UserError as error:
    print(error.hint)
assert not {"torch", "keras", "onnx", "scipy.special"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "write --to onnx\n"


@pytest.mark.parametrize("model", [name for name, factory in MODELS.items() if isinstance(factory, type)])
def test_an_onnx_file_predicts_as_its_network_for_any_batch_size(model: str) -> None:
    """For the networks and not for their ablations, which have no other layers: each takes seconds."""
    shape = SHAPES.get(model, (1, 16, 16))
    network, metadata = random_network(model, *shape), metadata_for(model, *shape)
    content = to_onnx.serialize(network, metadata)
    predictor, written = predictor_from_onnx(content, "test")
    assert written == metadata
    images = varied_images(*shape)
    expected = probabilities_of(network, images)
    for count in (1, 2, len(images)):
        probabilities = predictor.run(images[:count])
        assert probabilities.dtype == np.float32
        assert np.abs(probabilities - expected[:count]).max() < 1e-5
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["probabilities", "logits"]
    (logits,) = session.run(["logits"], {"images": images})
    assert np.abs(softmax(logits, 1) - expected).max() < 1e-5
    weight_bytes = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert 0.99 * weight_bytes < len(content) < weight_bytes + 60_000  # normalisations may be folded
    # Nothing of the machine that it was written on.
    assert not [word for word in (b".py", str(Path.home()).encode(), str(Path.cwd()).encode()) if word in content]


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
