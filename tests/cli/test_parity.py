"""`imparfait parity`: two models on the same files, in words, in JSON and by its exit code."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers.commands import refused
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from imparfait.cli.main import commands, main

SIDE, CLASSES = 8, 4
WEIGHTS = np.random.default_rng(3).standard_normal((3 * SIDE * SIDE, CLASSES)).astype(np.float32)


def write_model(path: Path, *, bgr: bool = False, weights: np.ndarray = WEIGHTS) -> Path:
    """A linear network on 8×8 colour images in 0..1, which takes the channels in the order RGB or BGR."""
    planes = weights.reshape(3, -1)[::-1].reshape(weights.shape) if bgr else weights
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])
    stored = numpy_helper.from_array(np.ascontiguousarray(planes), "weights")
    graph = helper.make_graph(nodes, "linear", [images], [logits], [stored])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def parity(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(commands, ["parity", *map(str, words)], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_the_order_of_colours_is_named(tmp_path: Path, images: Path) -> None:
    one, other = write_model(tmp_path / "one.onnx"), write_model(tmp_path / "other.onnx", bgr=True)
    code, said = parity(one, other, images)
    assert code == 0
    assert "colours BGR, not RGB" in said
    code, said = parity(one, other, images, "--json")
    content = json.loads(said)
    assert content["images"] == content["best"]["same"] == 40
    assert content["best"]["input"]["colours"] == "BGR"
    assert content["as_reference"]["same"] < 40


def test_the_flags_say_how_the_reference_takes_its_input(tmp_path: Path, images: Path) -> None:
    one, other = write_model(tmp_path / "one.onnx"), write_model(tmp_path / "other.onnx", bgr=True)
    code, said = parity(one, other, images, "--color", "bgr")
    assert code == 0
    assert "colours RGB, not BGR" in said


def test_equal_models_have_nothing_to_explain(tmp_path: Path, images: Path) -> None:
    one = write_model(tmp_path / "one.onnx")
    code, said = parity(one, one, images)
    assert code == 0
    assert "nothing to explain" in said


def test_other_weights_fail(tmp_path: Path, images: Path) -> None:
    weights = np.random.default_rng(9).standard_normal(WEIGHTS.shape).astype(np.float32)
    code, said = parity(
        write_model(tmp_path / "one.onnx"), write_model(tmp_path / "other.onnx", weights=weights), images
    )
    assert code == 1
    assert "the weights and the order of classes" in said.replace("Weights or", "the weights and")


def test_the_exit_code_of_the_program_is_1_where_nothing_explains_the_difference(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the program itself: click's own exit codes do not reach the shell from it."""
    weights = np.random.default_rng(9).standard_normal(WEIGHTS.shape).astype(np.float32)
    one, other = write_model(tmp_path / "one.onnx"), write_model(tmp_path / "other.onnx", weights=weights)
    monkeypatch.setattr("sys.argv", ["imparfait", "parity", str(one), str(other), str(images)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1


def test_what_is_no_model_and_no_image_is_refused(tmp_path: Path, images: Path) -> None:
    one = write_model(tmp_path / "one.onnx")
    assert "no such model" in refused("parity", one, tmp_path / "none.onnx", images)
    assert "no such file" in refused("parity", one, one, tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    assert "not an image" in refused("parity", one, one, tmp_path / "broken.png")
