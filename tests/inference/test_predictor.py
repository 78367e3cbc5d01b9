"""A predictor: two views, thresholds, blank images, and what is no image or no probability."""

from typing import Any

import numpy as np
import pytest
from helpers.fake_predictors import CLASSES, DIGIT, FAKE
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import imparfait
from imparfait.core.errors import UserError
from imparfait.data.images.input_format import InputFormat
from imparfait.inference.file_results import FileResult
from imparfait.inference.predictor import NO_DIGIT, NO_OBJECT, Prediction, Predictor, pooled
from imparfait.inference.results_file import result_text


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 12))
def test_pooled_probabilities_are_probabilities_and_one_view_keeps_its_own(seed: int, n: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    twice = np.flatnonzero(random.random(n) < 0.5)
    probabilities = random.dirichlet(np.full(classes, 0.3), n + len(twice)).astype(np.float32)
    result = pooled(probabilities, np.array([*range(n), *twice]))
    assert result.shape == (n, classes)
    assert np.allclose(result.sum(1), 1, atol=1e-5)
    alone = np.setdiff1d(np.arange(n), twice)
    assert np.array_equal(result[alone], probabilities[alone])
    for row, number in enumerate(twice):
        first, second = probabilities[number], probabilities[n + row]
        if first.argmax() == second.argmax():
            assert result[number].argmax() == first.argmax()
    certain = pooled(np.array([[1, 0], [0, 1]], np.float32), np.array([0, 0]))
    assert np.allclose(certain, 0.5)


def test_two_views_are_for_digits_only() -> None:
    with pytest.raises(ValidationError, match="two_views"):
        InputFormat(channels=1, height=28, width=28, normalization="letterbox", two_views=True)


NO_IMAGES = [np.zeros((2, 2, 2, 2)), np.zeros((5, 9, 9)), np.full((9, 9), 2.5), np.zeros((0, 9)), np.zeros(9, np.uint8)]


@pytest.mark.parametrize("array", NO_IMAGES)
def test_arrays_that_are_not_images_are_rejected(array: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"an array of .*; expected"):
        imparfait.predict(array)


@pytest.mark.parametrize(
    ("normalization", "classes", "reason"),
    [("digit", ("0", "7"), NO_DIGIT), ("digit", ("a", "b"), NO_OBJECT), ("letterbox", ("0", "7"), NO_OBJECT)],
)
def test_a_blank_image_is_described_in_words_that_fit_what_the_model_classifies(
    normalization: Any, classes: tuple[str, ...], reason: str
) -> None:
    form = InputFormat(channels=1, height=28, width=28, normalization=normalization)
    predictor = Predictor("fake", classes, form, None, lambda pixels: np.full((len(pixels), 2), 0.5, np.float32))
    noise = np.random.default_rng(1).normal(120, 3, (1, 1, 28, 28)).astype(np.uint8)
    (prediction,) = predictor.predict_pixels(noise)
    assert prediction.reason == reason
    assert prediction.blank
    assert prediction.label in classes  # as ever, for programs that count on one


@pytest.mark.parametrize(("grey", "confident"), [(250, True), (190, False)])
def test_under_its_threshold_a_model_abstains(grey: int, confident: bool) -> None:
    pixels = np.full((1, 1, 28, 28), grey, np.uint8)
    pixels[0, 0, ::2] -= 40
    (prediction,) = FAKE.predict_pixels(pixels)
    assert prediction.label == "bright"
    assert prediction.confident == confident
    assert (prediction.reason is None) == confident
    assert confident or "0.80" in (prediction.reason or "")


@pytest.mark.parametrize("worst", [np.nan, np.inf, -5.0, 84.0])
def test_what_is_no_probability_is_an_error_not_a_label(worst: float) -> None:
    broken = Predictor("broken", CLASSES, DIGIT, None, lambda pixels: np.full((len(pixels), 3), worst, np.float32))
    with pytest.raises(UserError, match="broken: its outputs are no probabilities"):
        broken.predict_pixels(np.zeros((2, 1, 28, 28), np.uint8))


@pytest.mark.parametrize(("score", "shown"), [(1.0, "100.0%"), (0.99999, ">99.9%"), (0.9994, "99.9%"), (0.5, "50.0%")])
def test_a_probability_that_leaves_doubt_is_not_shown_as_certain(score: float, shown: str) -> None:
    prediction = Prediction((("a", score), ("b", 1 - score)))
    assert result_text(FileResult("x.png", prediction)).split()[1] == shown
