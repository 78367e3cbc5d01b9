"""Exported .onnx files run in the sandbox: the same answers, no other file, and loops that end."""

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.commands import refused
from helpers.exported import endless, onnx_of
from helpers.server import grey
from onnx import TensorProto, helper, numpy_helper

from imparfait.core.errors import UserError
from imparfait.evaluation.external.sandbox.client import SandboxLimits, sandbox_for
from imparfait.inference import exported_model
from imparfait.inference.exported_model import sandboxed_predictor
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import PROBABILITIES
from imparfait.models.pretrained import PRETRAINED

DIGITS = PRETRAINED["digits"].folder / "model.onnx"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="on Windows a model file needs --trust")


def test_a_sandboxed_file_answers_as_in_this_process() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 1, 28, 28)).astype(np.uint8)
    inside, outside = load_predictor(str(DIGITS)), load_predictor(str(DIGITS), trust=True)
    assert (inside.classes, inside.threshold, inside.input_format) == (
        outside.classes,
        outside.threshold,
        outside.input_format,
    )
    assert (inside.predict_proba(pixels) == outside.predict_proba(pixels)).all()


def test_a_pretrained_model_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr("imparfait.inference.loading.sandboxed_predictor", refuse)
    load_predictor("digits")
    load_predictor(str(DIGITS), trust=True)
    with pytest.raises(AssertionError):
        load_predictor(str(DIGITS))


def test_a_file_that_loops_is_stopped_and_can_be_called_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported_model, "SandboxLimits", lambda: SandboxLimits(seconds=1))
    predictor, _ = sandboxed_predictor(str(endless(tmp_path / "model.onnx")))
    pixels = np.zeros((1, 1, 8, 8), np.uint8)
    for _ in range(2):
        with pytest.raises(UserError, match="was stopped after 1 s of predicting 1 images"):
            predictor.predict_proba(pixels)


def children() -> set[int]:
    """The processes of models that are open."""
    server = sandbox_for(exported_model.__name__)._process.pid
    return {int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_process_that_the_system_kills_is_started_again_and_ends_when_closed(tmp_path: Path) -> None:
    file = onnx_of([0.0, 1.0, 0.0], tmp_path / "model.onnx")
    load_predictor(str(file))  # so that the server runs
    before = children()
    predictor, _ = sandboxed_predictor(str(file))
    (process,) = children() - before
    os.kill(process, signal.SIGKILL)
    assert predictor.predict_proba(np.zeros((2, 1, 8, 8), np.uint8)).argmax(1).tolist() == [1, 1]
    (again,) = children() - before
    assert again != process
    predictor.close()
    assert not children() - before


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    file = onnx_of([0.0, 1.0, 0.0], tmp_path / "model.onnx", classes=("a", "b", "a"))
    for trust in (False, True):
        with pytest.raises(UserError, match="two have the same name"):
            load_predictor(str(file), trust=trust)


def test_commands_stop_a_file_that_loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported_model, "SandboxLimits", lambda: SandboxLimits(seconds=1))
    file, image = endless(tmp_path / "model.onnx"), tmp_path / "grey.png"
    image.write_bytes(grey(200))
    for words in (("predict", image), ("read", image)):
        assert "was stopped after 1 s" in refused(*words, "--model", file)
    assert "was stopped after 1 s" in refused("serve", file, "--port", "0")


BAD_ROWS = {"twice the rows": [-1, 3], "no rows": [], "one row for all": [1, -1]}


@pytest.mark.parametrize("shape", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_file_that_answers_other_rows_than_asked_is_refused(shape: list[int], tmp_path: Path) -> None:
    path = onnx_of([0.0, 1.0, 0.0, 0.0, 1.0, 0.0], tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "wide"
    if shape:
        model.graph.initializer.append(numpy_helper.from_array(np.int64(shape), "rows"))
        model.graph.node.append(helper.make_node("Reshape", ["wide", "rows"], [PROBABILITIES]))
    else:
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(0, np.int64), "rows"))
        model.graph.node.append(helper.make_node("Gather", ["wide", "rows"], [PROBABILITIES], axis=0))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, None))
    onnx.save(model, path)
    with pytest.raises(UserError, match=r"sends nonsense|no probabilities"):
        load_predictor(str(path))
