"""Numbers are numbers: outputs that are no probabilities are refused, at load and at each answer, in every path."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.commands import refused
from helpers.exported import CLASSES, onnx_of
from helpers.server import INPUT, brightness, fake_model, grey, serving
from onnx import TensorProto

import imparfait
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.normalize import read_normalized
from imparfait.evaluation.external.adapter import to_logits
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import NOT_CALIBRATED, Predictor
from imparfait.models.metadata import MAX_VALUES

IMPOSSIBLE = {
    "NaN": [np.nan, 0.5, 0.5],
    "infinite": [np.inf, 0, 0],
    "negative": [-5, 3, 3],
    "over 1": [84, -83, 0],
    "of sum 3": [1, 1, 1],
    "of sum 0": [0, 0, 0],
    "two for three classes": [0.5, 0.5],
}
impossible = pytest.mark.parametrize("row", IMPOSSIBLE.values(), ids=IMPOSSIBLE)


def predictor_of(row: list[float]) -> Predictor:
    return Predictor("fake", CLASSES, INPUT, None, lambda pixels: np.tile(np.float32(row), (len(pixels), 1)))


@impossible
def test_a_predictor_refuses_to_answer(row: list[float]) -> None:
    with pytest.raises(UserError, match=r"no probabilities; expected 3 numbers in 0\.\.1 of sum 1"):
        predictor_of(row).predict(list(read_normalized(grey(200), INPUT)))


@impossible
def test_a_file_is_refused_when_it_is_loaded(row: list[float], tmp_path: Path) -> None:
    path = onnx_of(row, tmp_path / "model.onnx")
    image = tmp_path / "grey.png"
    image.write_bytes(grey(200))
    for words in (("predict", image), ("read", image)):
        assert "no probabilities" in refused(*words, "--model", path)
    with pytest.raises(UserError, match="no probabilities"):
        load_predictor(str(path))


def test_a_file_whose_outputs_are_probabilities_is_loaded_and_never_confident_without_calibration(
    tmp_path: Path,
) -> None:
    image = next(iter(read_normalized(grey(200), INPUT)))
    [prediction] = load_predictor(str(onnx_of([0.0, 1.0, 0.0], tmp_path / "model.onnx"))).predict([image])
    assert (prediction.label, prediction.score) == ("bright", 1.0)
    assert (prediction.confident, prediction.reason) == (False, NOT_CALIBRATED)


def test_a_file_for_images_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    huge = INPUT.model_dump(mode="json") | {"height": 100_000, "width": 100_000}
    with pytest.raises(UserError, match=f"expected at most {MAX_VALUES:,}"):
        load_predictor(str(onnx_of([0.0, 1.0, 0.0], tmp_path / "model.onnx", input=huge)))


def test_a_file_cannot_read_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(np.float32([0.0, 1.0, 0.0]).tobytes())
    path = onnx_of([0.0, 1.0, 0.0], tmp_path / "model.onnx")
    model = onnx.load(path)
    [row] = [tensor for tensor in model.graph.initializer if tensor.name == "row"]
    row.ClearField("raw_data")
    row.data_location = TensorProto.EXTERNAL
    row.external_data.add(key="location", value="secret")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="is no ONNX file, or a broken one"):
        load_predictor(str(path))


@pytest.mark.parametrize(
    "row", [IMPOSSIBLE["NaN"], IMPOSSIBLE["infinite"], IMPOSSIBLE["negative"], IMPOSSIBLE["over 1"]]
)
def test_an_external_model_is_refused(row: list[float], bars: LabelledImages) -> None:
    with pytest.raises(UserError, match=r"as probabilities; expected numbers in 0\.\.1"):
        to_logits(np.float32([row]), "probabilities", CLASSES, 1)
    with pytest.raises(UserError):
        imparfait.evaluate(lambda images: np.tile(np.float32(row), (len(images), 1)), bars, outputs="probabilities")


@impossible
def test_a_server_that_is_not_ready_answers_nothing(row: list[float]) -> None:
    with serving(fake_model(lambda pixels: np.tile(np.float32(row), (len(pixels), 1)))) as server:
        for path in ("/v1/predict", "/v1/read", "/v1/corrupt?name=invert&severity=1", "/v1/robustness"):
            response = server.post(grey(200), path)
            assert response.error == (503, "starting")
            assert "no probabilities" in response.json["error"]["message"]
        assert server.request("GET", "/health/live").status == 200


def test_a_server_that_is_ready_answers() -> None:
    with serving(fake_model(brightness)) as server:
        assert server.post(grey(200)).status == 200
