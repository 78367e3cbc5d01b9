"""TensorFlow Lite files: float and quantised ones predict in real numbers, others are refused with what they are."""

from pathlib import Path

import numpy as np
import pytest
from helpers.tflite_files import CLASSES, LOGIT_SCALE, real_logits, tflite_file
from scipy.special import softmax

from imparfait.core.errors import UserError
from imparfait.evaluation.external.load import open_external

pytest.importorskip("ai_edge_litert")

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 1)).astype(np.float32) / 255


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error, open_external(path):
        pass
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("open_batch", [True, False])
@pytest.mark.parametrize("kind", ["float32", "uint8", "int8", "mixed"])
def test_a_file_predicts_as_its_network_does_in_real_numbers(tmp_path: Path, kind: str, open_batch: bool) -> None:
    path = written(tmp_path / "model.tflite", tflite_file(kind, end="", open_batch=open_batch))
    step = 1e-4 if kind == "float32" else 2 * LOGIT_SCALE  # rounding before and after the layer
    with open_external(path, threads=2) as function:
        assert function.declared.shape == (None if open_batch else 1, 4, 4, 1)
        assert function.declared.outputs == "logits"
        assert function.declared.num_classes == CLASSES
        assert function.declared.value_range == ("1" if kind in ("uint8", "int8") else None)
        for count in (1, 3, 300):
            assert np.abs(function(IMAGES[:count]) - real_logits(IMAGES[:count])).max() < step


@pytest.mark.parametrize("kind", ["float32", "uint8", "int8", "mixed"])
def test_quantised_probabilities_are_declared_and_close(tmp_path: Path, kind: str) -> None:
    with open_external(written(tmp_path / "model.tflite", tflite_file(kind))) as function:
        assert function.declared.outputs == "probabilities"
        expected = softmax(real_logits(IMAGES), 1)
        assert np.abs(function(IMAGES) - expected).max() < 0.03


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: tflite_file(inputs=2), "has 2 inputs (images, more); expected one: the images"),
        (lambda: tflite_file(outputs=2), "has 2 outputs (scores, logits); expected one: a number a class for each"),
        (lambda: tflite_file(custom=True), "cannot be loaded by LiteRT: Encountered unresolved custom op: Mine"),
        (lambda: tflite_file()[:300], "cannot be loaded by LiteRT: "),
        (lambda: b"\x1c\0\0\0TFL3", "cannot be loaded by LiteRT: "),
        (lambda: b"nothing", "is no TensorFlow Lite file; convert it again"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, content, message: str) -> None:  # type: ignore[no-untyped-def]
    assert refused(written(tmp_path / "model.tflite", content())).startswith(message)


def test_damaged_files_give_a_user_error_or_a_working_model(tmp_path: Path) -> None:
    whole = tflite_file()
    random = np.random.default_rng(0)
    for number in range(20):
        content = bytearray(whole)
        for index in random.integers(8, len(content), 4):
            content[index] ^= 1 << random.integers(8)
        path = written(tmp_path / f"{number}.tflite", bytes(content))
        try:
            with open_external(path) as function:
                function(IMAGES[:3])
        except UserError as error:
            assert str(path) in str(error)  # noqa: PT017  either outcome is right
