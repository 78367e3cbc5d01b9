"""The scikit-learn estimator: fits, predicts, and works with scikit-learn's own tools."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from PIL import Image
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from imparfait import ImageClassifier
from imparfait.core.errors import UserError

NAMES = np.array(["flat", "steep", "cross"])


def quick(**changes) -> ImageClassifier:
    """Trains in a second: one epoch, so that no test waits for accuracy."""
    return ImageClassifier("photo", **({"epochs": 1, "batch_size": 8} | changes))


@pytest.fixture(scope="module")
def bars() -> tuple[np.ndarray, np.ndarray]:
    data = draw_bars(90, channels=3)
    return data.pixels.transpose(0, 2, 3, 1), NAMES[data.labels]


def test_it_learns_and_its_labels_are_those_it_was_given(bars) -> None:
    images, labels = bars
    fitted = quick(epochs=30).fit(images, labels)
    assert list(fitted.classes_) == sorted(NAMES)
    assert fitted.score(images, labels) > 0.9
    probabilities = fitted.predict_proba(images[:7])
    assert probabilities.shape == (7, 3)
    assert np.allclose(probabilities.sum(1), 1)
    assert list(fitted.predict(images[:7])) == list(fitted.classes_[probabilities.argmax(1)])


def test_equal_parameters_give_equal_probabilities_and_another_seed_others(bars) -> None:
    images, labels = bars
    one, same, other = (quick(seed=seed).fit(images, labels).predict_proba(images[:5]) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "labels", [np.array([7, 3, 11]), np.array([True, False, True]), NAMES], ids=["numbers", "truth values", "text"]
)
def test_labels_may_be_numbers_text_or_truth_values(bars, labels: np.ndarray) -> None:
    images = bars[0][:30]
    given = labels[np.arange(30) % 3]
    fitted = quick().fit(images, given)
    assert fitted.predict(images).dtype == given.dtype
    assert set(fitted.predict(images)) <= set(given)


def test_images_may_be_floats_grey_arrays_pillow_images_or_paths(bars, tmp_path: Path) -> None:
    images, labels = bars[0][:30], bars[1][:30]
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    expected = quick().fit(images, labels).predict_proba(images)
    for same in (
        images / 255,
        [Image.fromarray(image) for image in images],
        [tmp_path / f"{number}.png" for number in range(30)],
    ):
        assert np.allclose(quick().fit(same, labels).predict_proba(same), expected)
    assert quick().fit(images[..., 0], labels).predict_proba(images[..., 0]).shape == (30, 3)


def test_images_of_several_sizes_are_brought_to_the_size_that_is_given(bars) -> None:
    images = [Image.fromarray(image).resize((16 + number, 16)) for number, image in enumerate(bars[0][:12])]
    assert quick(size=16).fit(images, bars[1][:12]).predict_proba(images).shape == (12, 3)


def test_scikit_learns_tools_take_it(bars) -> None:
    images, labels = bars
    pipeline = make_pipeline(FunctionTransformer(lambda images: images[:, ::2, ::2]), quick())
    assert pipeline.fit(images, labels).predict(images).shape == (90,)
    groups = np.arange(90) // 15
    scores = cross_val_score(quick(), images, labels, groups=groups, cv=GroupKFold(3))
    assert scores.shape == (3,)
    calibrated = CalibratedClassifierCV(quick(), cv=2).fit(images, labels)
    assert np.allclose(calibrated.predict_proba(images).sum(1), 1)


def test_a_clone_is_unfitted_and_has_the_same_parameters(bars) -> None:
    fitted = quick(seed=3).fit(*bars)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(bars[0])


def test_a_fitted_one_survives_pickling(bars) -> None:
    fitted = quick().fit(*bars)
    restored = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(restored.predict_proba(bars[0]), fitted.predict_proba(bars[0]))


@pytest.mark.parametrize("check", [
    estimator_checks.check_no_attributes_set_in_init, estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance, estimator_checks.check_set_params,
    estimator_checks.check_estimator_repr,
], ids=lambda check: check.__name__)  # fmt: skip
def test_scikit_learns_checks_that_need_no_images_pass(check) -> None:
    check("ImageClassifier", ImageClassifier())


@pytest.mark.parametrize(
    ("changes", "images", "labels", "expected"),
    [
        ({}, np.zeros((4, 8)), [0, 1, 0, 1], "[n, height, width]"),
        ({}, np.zeros((4, 8, 8)), [0, 1, 0], "one label per image"),
        ({}, np.zeros((4, 8, 8)), [1, 1, 1, 1], "two classes"),
        ({"recipe": "foto"}, np.zeros((4, 8, 8)), [0, 1, 0, 1], "photo"),
        ({"epochs": 0}, np.zeros((4, 8, 8)), [0, 1, 0, 1], "of 1 or more"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict, images: np.ndarray, labels: list, expected: str) -> None:
    with pytest.raises(UserError, match=r".") as caught:
        ImageClassifier(**changes).fit(images, labels)
    assert expected in str(caught.value)


def test_no_images_give_no_predictions_and_broken_ones_are_refused(bars) -> None:
    fitted = quick().fit(*bars)
    assert fitted.predict([]).shape == (0,)
    assert fitted.predict_proba(bars[0][:0]).shape == (0, 3)
    for broken in (np.full((2, 16, 16, 3), np.nan), np.full((2, 16, 16, 3), -300)):
        with pytest.raises(UserError, match=r"uint8, or floats in 0\.\.1"):
            fitted.predict(broken)


def test_a_single_image_is_refused_with_how_to_write_it(bars) -> None:
    fitted = quick().fit(*bars)
    for single in (bars[0][0], bars[0][0][..., 0], bars[0][0] / 255):
        with pytest.raises(
            UserError, match=r"one image, of shape .*expected a batch of images.*write X\[:1\], not X\[0\]"
        ):
            fitted.predict(single)
    assert len(fitted.predict(bars[0][:1])) == 1


def test_images_of_another_size_are_refused_when_predicting(bars) -> None:
    fitted = quick().fit(*bars)
    with pytest.raises(UserError, match="16×16 as in training"):
        fitted.predict(np.zeros((2, 8, 8, 3), np.uint8))
