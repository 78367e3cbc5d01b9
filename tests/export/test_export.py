"""Exported files: they answer as the network they were made from, say what they are, and need nothing of ours."""

import io
import json
import os
import re
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
from torch import nn

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.corrupted import core_suite
from imparfait.evaluation.calibration import softmax
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.scores import evaluate
from imparfait.export import export
from imparfait.export import onnx as to_onnx
from imparfait.export.parity import PICTURES, corrupted_digits, parity_of
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import predictor_from_onnx
from imparfait.models import MODELS, build
from imparfait.models.loading import load_classifier
from imparfait.models.metadata import KEY, Card, Input

os.environ.setdefault("KERAS_BACKEND", "torch")
from imparfait.export import keras as to_keras

TEMPERATURE = 0.5
LOOKING = ("petit", "grand", "duo")
SMALL = {"petit": {"filters": 8, "depth": 1, "frame": 8}, "duo": {"filters": 8, "depth": 1, "frame": 8}}
SMALL |= {"grand": {"filters": 8, "frame": 8}}
SMALL |= {"rnn": {"units": 16}}


def network_of(model: str, channels: int, height: int, width: int) -> nn.Module:
    """An untrained network whose every number counts, those of the normalisations too."""
    model_args = SMALL.get(model, {})
    network = build(model, channels=channels, classes=len(CLASSES), height=height, width=width, model_args=model_args)
    random = torch.Generator().manual_seed(0)
    for name, numbers in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            numbers.copy_(torch.randn(numbers.shape, generator=random) / 4)
        elif name.endswith("running_var"):
            numbers.copy_(torch.rand(numbers.shape, generator=random) + 0.5)
    return network.eval()


def card_of(model: str, channels: int, height: int, width: int) -> Card:
    return Card(
        name="test", model=model, recipe="quick", classes=CLASSES, temperature=TEMPERATURE, weights="0" * 64,
        input=Input(channels=channels, height=height, width=width), settings="1" * 64,
    )  # fmt: skip


def pictures_of(channels: int, height: int, width: int) -> Pixels:
    """Noise, bars, and nothing at all."""
    noise = np.random.default_rng(0).integers(0, 256, (20, channels, height, width)).astype(np.uint8)
    bars = np.where(np.arange(width) % 7 == 3, noise, 0)
    bars[:, :, : height // 3] = 0
    return np.concatenate([noise, bars, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255)]).astype(np.uint8)


def answers_of(network: nn.Module, images: Pixels) -> np.ndarray:
    with torch.no_grad():
        return softmax(network(torch.from_numpy(images).float() / 255).numpy(), TEMPERATURE)


def run_folder(folder: Path, model: str = "rnn", channels: int = 1, side: int = 16) -> Path:
    """What `export` reads of a run."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(save(network_of(model, channels, side, side).state_dict()))
    config = {
        "model": model, "origins": {}, "model_args": SMALL.get(model, {}), "classes": CLASSES, "temperature": TEMPERATURE,
        "input": {"channels": channels, "height": side, "width": side, "range": [0, 1], "background": 0},
        "compute": {"device": "cpu", "threads": 1, "precision": "float32"},
        "threshold": {"confidence": 0.7, "error_rate": 0.001},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "settings.json").write_text(json.dumps({"recipe": "quick", "hash": "1" * 64, "final": False}))
    return folder


SHAPES = {"petit": (3, 40, 33), "duo": (3, 40, 33), "cnn_gru": (3, 18, 27)}
"""In colour, of odd sides, and for those that look at the image large enough to be reduced before."""


@pytest.mark.parametrize(
    ("model", "shape"), [*((model, SHAPES.get(model, (1, 16, 16))) for model in MODELS), ("duo", (1, 17, 16))]
)
def test_a_keras_file_answers_as_its_network(model: str, shape: tuple[int, int, int]) -> None:
    network, card = network_of(model, *shape), card_of(model, *shape)
    content = to_keras.content_of(network, card)
    images = pictures_of(*shape)
    expected = answers_of(network, images)
    assert np.abs(to_keras.ask(content, card, 1)(images) - expected).max() < 1e-5
    assert np.ptp(expected, 0).max() > 1e-3  # or all images would be the same to it
    if model in ("duo", "cnn_gru"):
        assert to_keras.content_of(network, card) == content


@pytest.mark.parametrize("model", [name for name, factory in MODELS.items() if isinstance(factory, type)])
def test_an_onnx_file_answers_as_its_network_whatever_the_batch(model: str) -> None:
    """Of the networks and not of their ablations, which have no layer that these have not: each takes seconds."""
    shape = SHAPES.get(model, (1, 16, 16))
    network, card = network_of(model, *shape), card_of(model, *shape)
    content = to_onnx.content_of(network, card)
    ready, read = predictor_from_onnx(content, "test")
    assert read == card
    images = pictures_of(*shape)
    expected = answers_of(network, images)
    for count in (1, 2, len(images)):
        came = ready.ask(images[:count])
        assert came.dtype == np.float32
        assert np.abs(came - expected[:count]).max() < 1e-5
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["probabilities", "logits"]
    (logits,) = session.run(["logits"], {"images": images})
    assert np.abs(softmax(logits) - expected).max() < 1e-5
    numbers = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert numbers < len(content) < numbers + 60_000
    assert not forbidden_words(content)


def forbidden_words(content: bytes) -> list[bytes]:
    """What the exporter would tell of the machine it ran on."""
    return [word for word in (b".py", str(Path.home()).encode(), str(Path.cwd()).encode()) if word in content]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs") / "quick-s0-abcdef")


@pytest.fixture(scope="module")
def said(run: Path) -> dict[str, str]:
    """What the command prints for each format; the files are beside the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run.parent)
        words = {to: ["export", run.name, "--to", to] for to in ("onnx", "keras")}
        return {to: CliRunner().invoke(commands, each, catch_exceptions=False).output for to, each in words.items()}


@pytest.fixture(scope="module")
def exported(run: Path, said: dict[str, str]) -> dict[str, Path]:
    return {to: run.parent / f"{run.name}.{to}" for to in said}


def test_the_command_says_how_the_file_answers_and_what_to_do_next_and_nothing_else(said: dict[str, str]) -> None:
    """Nothing of PyTorch's and Keras's, which say a lot."""
    for to, output in said.items():
        name = f"quick-s0-abcdef.{to}"
        first, *others = output.splitlines()
        assert first.startswith(f"{name}: 0.0")
        assert "the same label on 1,000 of 1,000 corrupted images, each probability within " in first
        predict = [f"next: imparfait predict photo.png --model {name}   (what it says of an image)"]
        evaluate = f"next: imparfait evaluate {name}   (it scores as its run does, in float32)"
        assert others == [*(predict if to == "onnx" else []), evaluate]


def test_the_same_run_gives_the_same_bytes(exported: dict[str, Path]) -> None:
    _, card = predictor_from_onnx(exported["onnx"].read_bytes(), "model.onnx")
    network = network_of("rnn", 1, 16, 16)
    assert to_onnx.told(to_onnx.content_of(network, card), card) == exported["onnx"].read_bytes()
    with zipfile.ZipFile(exported["keras"]) as archive:
        card = Card.model_validate(json.loads(archive.read("metadata.json"))[KEY])
    assert to_keras.content_of(network, card) == exported["keras"].read_bytes()


def test_a_file_says_what_it_is_to_programs_and_to_people(run: Path, exported: dict[str, Path]) -> None:
    ready, card = predictor_from_onnx(exported["onnx"].read_bytes(), "model.onnx")
    assert (card.name, card.model, card.recipe, card.temperature) == ("quick-s0-abcdef", "rnn", "quick", TEMPERATURE)
    assert card.classes == ready.classes == CLASSES
    assert ready.threshold is not None
    assert card.weights == sha256((run / "model.safetensors").read_bytes()).hexdigest()
    assert card.parity is not None
    assert (card.parity.images, card.parity.same_label) == (1000, 1000)
    assert card.parity.largest < 1e-5
    told = {each.key: each.value for each in onnx.load(exported["onnx"]).metadata_props}
    assert told["input"] == "images: uint8 [n, 1, 16, 16]; 0 is background, 255 is ink"
    with zipfile.ZipFile(exported["keras"]) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    assert Card.model_validate(metadata[KEY]).model_copy(update={"parity": card.parity}) == card
    assert metadata["keras_version"]


def test_a_keras_file_names_nothing_that_is_not_of_keras() -> None:
    for model in LOOKING:
        content = to_keras.content_of(network_of(model, 1, 16, 16), card_of(model, 1, 16, 16))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            config = archive.read("config.json").decode()
        modules = set(re.findall(r'"module": "([^"]+)"', config))
        assert {module.split(".")[0] for module in modules} == {"keras"}
        assert "Lambda" not in config


def test_evaluate_counts_the_same_for_a_run_and_its_files(run: Path, exported: dict[str, Path]) -> None:
    parts = core_suite(draw_bars(90))
    expected = evaluate(load_classifier(run, precision="float32"), parts)
    for to, path in exported.items():
        with open_external(path) as stranger:
            classifier, found = wrap_external(stranger, stranger.told, parts[0].data, SpecHint())
            scores = evaluate(classifier, parts)
        assert [score.correct for score in scores.each] == [score.correct for score in expected.each]
        layout, value_range = {"onnx": ("nchw", "255"), "keras": ("nhwc", "1")}[to]
        assert (found.conventions.layout, found.conventions.range) == (layout, value_range)
        assert set(found.origins.values()) == {"said by the model"}  # nothing is tried
        assert len(found.tried) == 1
    answers = [answer.label for answer in load_predictor(str(exported["onnx"])).predict_pixels(parts[0].data.pixels)]
    assert answers == [answer.label for answer in load_predictor(str(run)).predict_pixels(parts[0].data.pixels)]


def test_pictures_of_other_classes_are_told_apart(exported: dict[str, Path]) -> None:
    others = replace(draw_bars(90), classes=("one", "two", "three"))
    with (
        open_external(exported["onnx"]) as stranger,
        pytest.raises(UserError, match="the classes flat, steep, cross; these images have one, two, three"),
    ):
        wrap_external(stranger, stranger.told, others, SpecHint())


def test_a_card_that_is_not_as_we_write_it_is_refused(tmp_path: Path, exported: dict[str, Path]) -> None:
    model = onnx.load(exported["onnx"])
    next(each for each in model.metadata_props if each.key == KEY).value = '{"name": "x"}'
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="its metadata: what it says of itself is not as imparfait writes it"):
        open_external(path).__enter__()


@pytest.mark.parametrize("to", ["onnx", "keras"])
def test_a_file_that_answers_otherwise_is_not_written(
    run: Path, exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    other = run_folder(tmp_path / "other")
    tensors = load((other / "model.safetensors").read_bytes())
    (other / "model.safetensors").write_bytes(save(tensors | {"head.bias": tensors["head.bias"] + torch.arange(3)}))
    content = exported[to].read_bytes()
    monkeypatch.setattr({"onnx": to_onnx, "keras": to_keras}[to], "content_of", lambda network, card: content)
    with pytest.raises(UserError, match=r"nothing was written.*a probability differs by 0\.\d+, the label on"):
        export(other, to, tmp_path / f"model.{to}")
    assert [*tmp_path.iterdir()] == [other]


def test_an_answer_that_is_no_number_is_no_parity() -> None:
    def even(pixels: Pixels) -> np.ndarray:
        return np.full((len(pixels), 3), 1 / 3, np.float32)

    with pytest.raises(UserError, match="would answer otherwise"):
        parity_of(even, lambda pixels: even(pixels) * np.nan, Input(channels=1, height=8, width=8), "x.onnx")


def test_parity_is_measured_on_altered_digits_of_the_networks_own_size() -> None:
    parts = [*corrupted_digits(Input(channels=3, height=24, width=17))]
    assert sum(map(len, parts)) == PICTURES
    assert {part.shape[1:] for part in parts} == {(3, 24, 17)}
    assert all(len(np.unique(part.reshape(len(part), -1), axis=0)) > len(part) // 2 for part in parts)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{run}", "onnxx"), "no format is called 'onnxx'; did you mean 'onnx'"),
        (("{run}", "onnx", "{run}/x.keras"), "expected one that ends in .onnx, or --to keras"),
        (("{run}", "keras", "{run}/x/y.keras"), "there is no folder .*/x; expected the path of a file to write"),
        (("{run}/none",), "no such run; expected a run folder, such as runs/default-s0-…, or digits"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(run: Path, arguments: tuple[str, ...], words: str) -> None:
    before = sorted(run.iterdir())
    with pytest.raises(UserError, match=words):
        export(*(word.format(run=run) for word in arguments))
    assert sorted(run.iterdir()) == before


def test_a_network_of_ones_own_goes_to_onnx_and_not_to_keras(tmp_path: Path) -> None:
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
    with pytest.raises(UserError, match="if you trust yours, name it: --network"):
        export(run)
    with pytest.raises(UserError, match=r"mine.py:build is not one of ours.*write: --to onnx"):
        export(run, "keras", tmp_path / "x.keras", network=f"{code}:build")
    done = imparfait.export(run, out=tmp_path / "x.onnx", network=f"{code}:build")
    assert done.card.model == "mine.py:build"
    assert done.parity.largest < 1e-5
