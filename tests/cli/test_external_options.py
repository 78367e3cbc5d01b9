"""The flags for external models, and the splits on which models are evaluated."""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from helpers.bars import CLASSES, draw_bars
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.data.images.centre_crop import CentreCrop
from imparfait.data.load import load_data
from imparfait.inference.open_model import open_model
from imparfait.reports.evaluation import evaluate_models

SIDE = 16


def call(*arguments: object) -> Result:
    return CliRunner().invoke(commands, list(map(str, arguments)))


def refused(*arguments: object) -> str:
    """The message of a command that is refused, as it or click says it, on one line."""
    result = call(*arguments)
    if isinstance(result.exception, UserError):
        return str(result.exception)
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def accesses_in(ledger: Path) -> int:
    """How many accesses to test images a ledger records."""
    rows = csv.DictReader(ledger.read_text().splitlines()) if ledger.exists() else []
    return len({row["date"] for row in rows})


def image_folder(folder: Path, count: int = 60, side: int = SIDE, first: int = 0) -> Path:
    """Bars as PNG files in class folders."""
    data = draw_bars(count, side, first_source=first)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for index, (image, label) in enumerate(zip(data.pixels[:, 0], data.labels, strict=True)):
        Image.fromarray(image).save(folder / CLASSES[label] / f"{index}.png")
    return folder


def bars_model(path: Path, side: int = SIDE, order: tuple[int, ...] = (2, 0, 1)) -> Path:
    """A file with a model of bars: the longest run of light pixels in a row and in a column."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["rows"], axes=[1, 3], keepdims=0),
        helper.make_node("ReduceMean", ["images"], ["columns"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMax", ["rows"], ["flat"], axes=[1], keepdims=1),
        helper.make_node("ReduceMax", ["columns"], ["steep"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["flat", "steep"], ["both"], axis=1),
        helper.make_node("Sub", ["both", "middle"], ["off"]),
        helper.make_node("Gemm", ["off", "weights"], ["outputs"]),
    ]
    weights = np.array([[10, -10, 10], [-10, 10, 10]], np.float32)[:, list(order)]
    tensors = {"weights": weights, "middle": np.array([0.35, 0.35], np.float32)}
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, side, side])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


STATED = ("--layout", "nchw", "--range", "1", "--foreground", "light", "--outputs", "logits")


@pytest.mark.parametrize(
    ("splits", "count", "said"),
    [
        (("test",), 60, "those for the test included"),
        (("train", "val", "test"), 180, "those for the test included"),
        (("val",), 60, "none of them for the test"),
    ],
)
def test_split_all_evaluates_on_every_image_and_says_whether_test_images_are_among_them(
    tmp_path: Path, splits: tuple[str, ...], count: int, said: str
) -> None:
    data = tmp_path / "data"
    for index, split in enumerate(splits or ("",)):
        image_folder(data / split, first=1000 * index)
    model = bars_model(tmp_path / "model.onnx")
    result = call("evaluate", model, "--data", data, "--split", "all", "--out", tmp_path / "runs", *STATED)
    assert result.exit_code == 0, result.output
    assert f"all {count} images of data; {said}" in " ".join(result.output.split())
    ledger = tmp_path / "runs" / "TEST_LEDGER.csv"
    assert ledger.exists() == ("test" in splits)  # an access is recorded, wherever test images are
    if "test" in splits:  # with no other images, they also show how the model takes its input
        assert accesses_in(ledger) == (2 if splits == ("test",) else 1)


def test_a_test_folder_alone_is_refused_with_the_flag_to_write(tmp_path: Path) -> None:
    image_folder(tmp_path / "data" / "test")
    message = refused("evaluate", bars_model(tmp_path / "model.onnx"), "--data", tmp_path / "data")
    assert "test but no train in it; expected train/<class>/… or <class>/…; to evaluate a model on all" in message
    assert message.endswith("--split all")


def test_arrays_are_whole_too() -> None:
    images, labels = draw_bars(30).pixels[:, 0], np.arange(30) % 3
    data = {"train": (images[:20], labels[:20]), "test": (images[20:], labels[20:])}
    whole = load_data(data, whole=True)
    assert len(whole.train) == 30
    assert whole.sealed is not None
    assert len(set(whole.train.sources.tolist())) == 30
    assert "those for the test included" in whole.remark
    assert load_data((images, labels), whole=True).sealed is None


def test_a_run_is_refused_on_all_images(tmp_path: Path) -> None:
    data = load_data("mnist")
    with open_model("digits") as model, pytest.raises(UserError, match="perhaps trained on some of all images"):
        evaluate_models([model], data, split="all", out=tmp_path)


@pytest.mark.parametrize(("split", "count", "accesses"), [("validation", 10, 0), ("test", 60, 1), ("all", 120, 1)])
def test_gate_measures_on_each_split(tmp_path: Path, split: str, count: int, accesses: int) -> None:
    image_folder(tmp_path / "data" / "train")
    image_folder(tmp_path / "data" / "test", first=1000)
    model = bars_model(tmp_path / "model.onnx")
    words = ("--data", tmp_path / "data", "--out", tmp_path / "runs", "--min", "clean=0.5", "--split", split)
    result = call("gate", model, *words, "--suite", "core", *STATED)
    assert result.exit_code == 0, result.output
    included = {"validation": "", "test": " for the test", "all": ", those for the test included"}[split]
    assert f"{count} images of data{included}, suite core" in " ".join(result.output.split())
    ledger = tmp_path / "runs" / "TEST_LEDGER.csv"
    assert accesses_in(ledger) == accesses


def test_the_order_of_outputs_is_stated_in_a_file_or_a_list(tmp_path: Path) -> None:
    data, model = image_folder(tmp_path / "data"), bars_model(tmp_path / "model.onnx", order=(0, 1, 2))
    names = tmp_path / "names.json"
    names.write_text(json.dumps(["flat", "steep", "cross"]))
    for stated in (names, "flat,steep,cross"):
        words = ("--data", data, "--out", tmp_path / "runs", "--min", "clean=0.9", "--split", "all", *STATED)
        result = call("gate", model, *words, "--suite", "core", "--classes", stated)
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--classes", "cat"), "--classes cat: neither names nor a file"),
        (("--mean", "a"), "'a'; expected one number, or one for each channel"),
        (("--mean", "1,2"), "mean 1.0,2.0 and std 1.0; expected 1 or 3 numbers each"),
        (("--mean", "0.5", "--range", "255"), "both a range (255) and a mean or deviation"),
        (("--color", "gbr"), "'gbr' is not one of"),
        (("--resize", "40", "--size", "32"), "--size 32 beside --resize"),
        (("--crop", "20", "--pad", "32"), "--pad 32 beside --crop"),
        (("--crop", "20"), "16×16 pixels; expected at least 20 on each side, for --crop"),
        (("--layout", "nchv"), "no layout is called 'nchv'"),
    ],
)
def test_flags_that_say_nothing_sensible_are_refused_in_a_sentence(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    data = image_folder(tmp_path / "data", 12)
    assert message in refused("evaluate", bars_model(tmp_path / "model.onnx"), "--data", data, *words)


@pytest.mark.parametrize("size", [(40, 40), (60, 41), (33, 90)])
def test_files_are_resized_and_cropped_as_pillow_does(tmp_path: Path, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(3):
            pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC).save(tmp_path / name / f"{index}.png")
    data = load_data(tmp_path, centre=CentreCrop(32, 28))
    assert data.train.pixels.shape == (6, 3, 28, 28)
    assert "of each shorter side to 32, middle 28" in data.remark
    for file, found in zip(data.files, data.train.pixels, strict=True):
        image: Image.Image = Image.open(file)
        height, width = size
        short = min(size)
        image = image.resize((32 * width // short, 32 * height // short), Image.Resampling.BILINEAR)
        left, top = round((image.width - 28) / 2), round((image.height - 28) / 2)
        expected = np.asarray(image.crop((left, top, left + 28, top + 28))).transpose(2, 0, 1)
        assert np.abs(expected.astype(int) - found).max() <= 1


def test_a_model_of_the_cropped_size_is_evaluated_on_files_of_any_size(tmp_path: Path) -> None:
    data = image_folder(tmp_path / "data", 60, 24)
    Image.new("L", (24, 36)).save(data / "flat" / "tall.png")
    model = bars_model(tmp_path / "model.onnx", 16)
    words = ("--resize", 20, "--crop", 16, "--split", "all", "--out", tmp_path / "runs", "--min", "clean=0.7", *STATED)
    result = call("gate", model, "--data", data, *words)
    assert result.exit_code == 0, result.output
    with pytest.raises(UserError, match="--size 16"):
        open_model(model, load_data(image_folder(tmp_path / "equal", 60, 24)))
