"""Memory of external models: batches are bounded by their size, and halved where a model needs more than it may use."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers.model_files import CLASSES, SIDE, model_of
from onnx import helper

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.load import ExternalModel, open_external
from imparfait.evaluation.external.sandbox.client import OutOfMemoryError, SandboxLimits

IMAGES = np.random.default_rng(0).random((300, 1, SIDE, SIDE), np.float32)


class Sandboxed:
    """A model in a sandbox that has no memory for more than `most` images."""

    def __init__(self, most: int) -> None:
        self.most, self.sizes = most, list[int]()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise OutOfMemoryError("model.onnx: needs more than 4 GiB of memory")
        return images.reshape(len(images), -1)[:, :3]


def external(function: Any, fixed: int | None = None) -> ExternalModel:
    return ExternalModel(Path("model.onnx"), DeclaredSpec(shape=(fixed, 1, SIDE, SIDE)), function)


@pytest.mark.parametrize(
    ("side", "channels", "fixed", "first"),
    [(16, 1, None, 256), (224, 3, None, 13), (224, 3, 1, 13), (224, 3, 8, 8), (224, 3, 32, 32), (2000, 3, None, 1)],
)
def test_batches_are_bounded_by_their_size_and_full_where_it_is_fixed(
    side: int, channels: int, fixed: int | None, first: int
) -> None:
    function = Sandboxed(1000)
    images = np.broadcast_to(np.zeros((1, 1, 1, 1), np.float32), (first + 2, channels, side, side))
    assert external(function, fixed)(images).shape == (first + 2, 3)
    assert function.sizes == ([first] * ((first + 2) // first) + [2] if first > 2 else [1, 1, 1])


@pytest.mark.parametrize(("most", "sizes"), [(100, [256, 128, 64] + [64] * 3 + [44]), (1000, [256, 44])])
def test_a_batch_that_runs_out_of_memory_is_halved_and_stays_so(most: int, sizes: list[int]) -> None:
    function = Sandboxed(most)
    model = external(function)
    assert np.array_equal(model(IMAGES), IMAGES.reshape(300, -1)[:, :3])
    assert function.sizes == sizes
    function.sizes.clear()
    model(IMAGES)
    assert function.sizes[0] == sizes[-2]


def test_a_model_that_has_no_memory_for_one_image_is_refused() -> None:
    function = Sandboxed(0)
    with pytest.raises(UserError, match="needs more than 4 GiB"):
        external(function)(IMAGES)
    assert function.sizes == [256, 128, 64, 32, 16, 8, 4, 2, 1]


def test_a_model_in_the_sandbox_survives_a_batch_that_is_too_large(tmp_path: Path) -> None:
    """It repeats each image 1,024 times: a mebibyte an image."""
    nodes = [
        helper.make_node("Tile", ["images", "repeats"], ["many"]),
        helper.make_node("ReduceMean", ["many"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Flatten", ["mean"], ["row"]),
        helper.make_node("Gemm", ["row", "head"], ["outputs"]),
    ]
    tensors = {"repeats": np.array([1, 1024, 1, 1]), "head": np.eye(SIDE * SIDE, CLASSES, dtype=np.float32)}
    path = tmp_path / "model.onnx"
    onnx.save(model_of(nodes, ("n", 1, SIDE, SIDE), tensors), str(path))
    with open_external(path, limits=SandboxLimits(memory_bytes=192 << 20, seconds=60)) as model:
        outputs = model(IMAGES)
    assert np.allclose(outputs, IMAGES.reshape(300, -1)[:, :3], atol=1e-4)
