"""Weak slices: a part of the images with clearly lower accuracy is named; where nothing differs, nothing is."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import hypergeom

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.image_properties import PROPERTIES, image_property
from imparfait.evaluation.scores import ConditionResult
from imparfait.evaluation.weak_slices import (
    MIN_IMAGES,
    read_weak_slices,
    stratified_p,
    weak_slices,
    write_weak_slices,
)
from imparfait.reports.data_text import ENDS, slices_sentence

IMAGES, CLASSES, SIDE = 240, 3, 12


def drawn(seed: int, n: int = IMAGES, groups: int = 0, channels: int = 3) -> LabelledImages:
    """Images of one colour each, with noise of another strength each."""
    random = np.random.default_rng(seed)
    level, noise = random.uniform(0.3, 0.9, (n, channels, 1, 1)), random.uniform(0.02, 0.2, (n, 1, 1, 1))
    pixels = ((level + noise * random.normal(size=(n, channels, SIDE, SIDE))).clip(0, 1) * 255).astype(np.uint8)
    belong = random.integers(0, groups, n) if groups else None
    labels = np.arange(n) % CLASSES
    return LabelledImages(pixels, labels, np.arange(n), ("a", "b", "c"), "drawn", "validation", groups=belong)


def with_errors(data: LabelledImages, rates: np.ndarray | float, seed: int = 0) -> ConditionResult:
    wrong = np.random.default_rng(seed).random(len(data)) < rates
    predicted = np.where(wrong, (data.labels + 1) % CLASSES, data.labels)
    probabilities = np.eye(CLASSES, dtype=np.float32)[predicted]
    return ConditionResult("clean", 0.0, data.sources, data.labels, probabilities, data.groups)


def with_dark(data: LabelledImages, share: float) -> tuple[LabelledImages, np.ndarray]:
    """A share of the images much darker."""
    dark = np.random.default_rng(1).random(len(data)) < share
    pixels = np.where(dark[:, None, None, None], data.pixels // 5, data.pixels)
    return LabelledImages(pixels, data.labels, data.sources, data.classes, "drawn", "validation"), dark


def test_dark_images_that_are_few_and_wrong_are_named_with_their_training_images() -> None:
    images, dark = with_dark(drawn(0), 0.15)
    trained_on, few = with_dark(drawn(5, 400), 0.02)
    [found] = weak_slices(with_errors(images, np.where(dark, 0.6, 0.05)), images, trained_on)
    assert (found.property, found.side) == ("brightness", "low")
    assert found.images >= MIN_IMAGES
    assert found.other_correct / found.other_images > 0.85 > 0.7 > found.correct / found.images
    low, high = found.difference
    assert 0 < low < found.other_correct / found.other_images - found.correct / found.images < high
    assert found.p < 0.001
    assert abs(found.training_images - few.sum()) <= 0.05 * len(trained_on)
    sentence = slices_sentence([found], ())
    assert sentence.startswith("less accurate on dark images (brightness at most 0")
    assert sentence.endswith(f"{found.training_images} of 400 training images are like them")


def test_two_causes_are_two_slices_and_one_cause_is_one() -> None:
    images, dark = with_dark(drawn(0, 800), 0.15)
    bright = image_property(images.pixels, "brightness") > 0.75
    found = weak_slices(with_errors(images, np.where(dark | bright, 0.6, 0.02)), images, images)
    assert {(one.property, one.side) for one in found} == {("brightness", "low"), ("brightness", "high")}


@pytest.mark.parametrize(("groups", "rates"), [
    (0, (0.1, 0.1, 0.1)), (0, (0.0, 0.1, 0.6)), (6, (0.15, 0.15, 0.15)),
])  # fmt: skip
def test_where_nothing_but_a_class_differs_at_most_one_set_in_ten_is_a_false_alarm(
    groups: int, rates: tuple[float, ...]
) -> None:
    alarms = 0
    for seed in range(200):
        images = drawn(seed, groups=groups)
        alarms += bool(weak_slices(with_errors(images, np.array(rates)[images.labels], seed), images, images))
    assert alarms <= 20


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_where_all_are_correct_or_none_nothing_is_named(rate: float) -> None:
    images = drawn(0, groups=5)
    assert weak_slices(with_errors(images, rate), images, images) == []


def test_a_weak_group_is_named_but_not_the_darkness_that_only_it_has() -> None:
    images = drawn(0, 600, groups=6)
    pixels = np.where((images.groups == 2)[:, None, None, None], images.pixels // 2, images.pixels)
    images = LabelledImages(
        pixels, images.labels, images.sources, images.classes, "drawn", "validation", groups=images.groups
    )
    found = weak_slices(with_errors(images, np.where(images.groups == 2, 0.5, 0.05)), images, images)
    assert [one.property for one in found] == ["group"]
    assert found[0].limit == 2
    assert "the group of file-" in slices_sentence(found, [f"file-{number}.png" for number in range(600)])


@pytest.mark.parametrize("n", [3, MIN_IMAGES, 60])
def test_few_images_show_nothing(n: int) -> None:
    images = drawn(0, n)
    assert weak_slices(with_errors(images, np.where(np.arange(n) < n // 4, 1.0, 0.0)), images, images) == []


def test_the_p_value_is_that_of_the_hypergeometric_distribution_and_adds_over_classes() -> None:
    random = np.random.default_rng(3)
    wrong, inside = random.random(80) < 0.3, random.random(80) < 0.25
    expected = hypergeom.sf((wrong & inside).sum() - 1, 80, wrong.sum(), inside.sum())
    assert stratified_p(wrong, inside, np.zeros(80, int)) == pytest.approx(expected)
    classes, draws = np.arange(80) % 4, []
    for _ in range(4000):
        order = np.arange(80)
        for label in range(4):
            order[classes == label] = random.permutation(order[classes == label])
        draws.append((wrong[order] & inside).sum())
    simulated = np.mean(np.array(draws) >= (wrong & inside).sum())
    assert stratified_p(wrong, inside, classes) == pytest.approx(simulated, abs=0.03)


def test_slices_are_kept_in_a_file(tmp_path: Path) -> None:
    images, dark = with_dark(drawn(0), 0.15)
    found = weak_slices(with_errors(images, np.where(dark, 0.6, 0.05)), images, images)
    assert read_weak_slices(tmp_path) == []
    write_weak_slices(tmp_path, found)
    assert read_weak_slices(tmp_path) == found


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"slices": 3}'])
def test_a_broken_file_of_slices_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weak_slices.json").write_bytes(content)
    with pytest.raises(UserError, match="is not what a training wrote"):
        read_weak_slices(tmp_path)


SQUARE = np.zeros((1, 3, 20, 20), np.uint8)
SQUARE[:, :, 8:12, 8:12] = 200
MOVED, LARGER = np.roll(SQUARE, 6, 3), SQUARE.copy()
LARGER[:, :, 3:17, 3:17] = 200
RED = SQUARE.copy()
RED[:, 1:] = 0
SOFT = (np.hypot(*np.mgrid[-1:1:20j, -1:1:20j]) < 2)[None, None] * np.linspace(0, 200, 20).astype(np.uint8)


@pytest.mark.parametrize(("name", "less", "more"), [
    ("brightness", SQUARE, LARGER), ("contrast", SQUARE // 4, SQUARE), ("sharpness", SOFT, SQUARE[:, :1]),
    ("colourfulness", SQUARE, RED), ("eccentricity", SQUARE, MOVED), ("scale", SQUARE, LARGER),
])  # fmt: skip
def test_a_property_is_what_its_name_says(name: str, less: np.ndarray, more: np.ndarray) -> None:
    assert image_property(less, name)[0] < image_property(more, name)[0] - 1e-3
    assert set(ENDS) == set(PROPERTIES)


@pytest.mark.parametrize("shape", [(5, 1, 2, 9), (5, 3, 1, 1), (0, 3, 8, 8), (5, 1, 8, 8)])
@pytest.mark.parametrize("name", PROPERTIES)
def test_images_of_one_colour_and_tiny_ones_have_finite_properties(shape: tuple[int, ...], name: str) -> None:
    assert np.isfinite(image_property(np.full(shape, 77, np.uint8), name)).all()
