"""The shipped page reader can be trained further: its file gives back a network that predicts the same."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from imparfait.core.compute import onnx_session
from imparfait.inference.ocr.detector import BOXES, MODEL, PAGE, SCORES

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
from reader_network import Detector, continued


def crops(seed: int, count: int) -> Iterator[Tensor]:
    """Light paper with dark bars and noise."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        pixels = np.full((8, 1, 64, 96), 0.9, np.float32)
        for each in pixels:
            left, top = rng.integers(80), rng.integers(40)
            each[0, top : top + 20, left : left + 6] = 0.1
        yield torch.from_numpy(pixels + rng.normal(0, 0.03, pixels.shape).astype(np.float32))


@pytest.fixture(scope="module")
def network() -> Detector:
    return continued(MODEL, crops(0, 6))


def test_it_predicts_what_the_file_predicts(network: Detector) -> None:
    [page] = crops(1, 1)
    with torch.no_grad():
        heat, boxes = network.eval()(page[:1])
    scores, shifts = onnx_session(MODEL.read_bytes(), threads=1).run([SCORES, BOXES], {PAGE: page[:1].numpy()})
    np.testing.assert_allclose(torch.sigmoid(heat).numpy(), scores, atol=1e-4)
    np.testing.assert_allclose(boxes.numpy(), shifts, atol=1e-3)


def test_in_training_it_begins_where_the_file_is(network: Detector) -> None:
    """In training, batch normalisation takes the statistics of the batch: measured ones are near them."""
    [batch] = crops(2, 1)
    with torch.no_grad():
        known, _ = network.eval()(batch)
        seen, _ = network.train()(batch)
    assert float((torch.sigmoid(known) - torch.sigmoid(seen)).abs().mean()) < 0.02
