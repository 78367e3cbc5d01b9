"""Occlusion maps: they find the place that a prediction depends on, and end in time."""

import numpy as np
import pytest

from imparfait.core.errors import UserError
from imparfait.evaluation import occlusion
from imparfait.evaluation.occlusion import occlusion_maps

SHAPES = [(1, 28, 28), (3, 40, 64), (1, 5, 5), (3, 2, 3)]


def sees(top: int, left: int):
    """A classifier of class 1 where there is light at one place."""
    return lambda images: np.stack([np.zeros(len(images)), 8 * images[:, :, top, left].mean(1) - 4], 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_place_that_decides_has_the_largest_drop(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    image = np.zeros((1, channels, height, width), np.uint8)
    top, left = height // 2, width // 3
    image[..., top, left] = 255
    [found] = occlusion_maps(sees(top, left), image, np.array([1]), 2)
    assert found.drop.shape == (height, width)
    assert found.drop[top, left] == found.drop.max() > 0.5
    assert found.probability == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-4)
    assert found.lowest == pytest.approx(1 / (1 + np.exp(4)), abs=1e-4)


def test_covers_have_the_value_of_the_ground() -> None:
    image = np.full((1, 1, 28, 28), 200, np.uint8)
    image[..., 3, 3] = 0
    [found] = occlusion_maps(sees(20, 20), image, np.array([1]), 2)
    assert found.drop.max() == found.drop.min() == 0


def test_a_slow_model_gets_fewer_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 9.0, 11.0])
    monkeypatch.setattr(occlusion.time, "monotonic", lambda: next(times))
    images = np.zeros((5, 1, 8, 8), np.uint8)
    assert len(list(occlusion_maps(sees(1, 1), images, np.zeros(5, int), 2, seconds=10))) == 2


def test_images_are_left_as_they_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 9, 9), np.uint8)
    before = images.copy()
    assert len(list(occlusion_maps(sees(4, 4), images, np.ones(2, int), 2))) == 2
    assert np.array_equal(images, before)


def nothing(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 2), np.nan, np.float32)


def test_outputs_that_are_no_finite_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="finite numbers"):
        list(occlusion_maps(nothing, np.zeros((1, 1, 8, 8), np.uint8), np.array([1]), 2))
