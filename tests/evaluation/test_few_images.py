"""Calibration on few images: the lowest error rate that they can show, and how surely it is kept."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_suites import CLASSES
from scipy.stats import binom

from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.calibration import calibrate_few

KNOTS = (0, 0.2, 0.26, 0.4, 0.49, 0.52, 0.65, 0.74, 0.77, 0.9, 0.96, 1)
CURVES = {
    150: (0.39, 0.25, 0.69, 1.63, 3.94, 4.29, 6.43, 9.11, 10.84, 10.98, 9.87, 10.01),
    500: (0.33, 0.31, 0.32, 1.19, 1.94, 2.04, 5.28, 5.1, 5.16, 5.54, 10.2, 8.24),
    1200: (0.1, 0.32, 1.02, 2.04, 2.04, 2.04, 2.04, 5.1, 5.1, 10.2, 10.2, 10.2),
}
"""By number of images: the true error rate in percent of the most confident share (KNOTS) of them.

Of many curves those for which a rate was promised wrongly most often, among the four that `calibrate_few` tries."""


def sharp_and_right(data: LabelledImages) -> np.ndarray:
    return 8 * (np.arange(len(CLASSES)) == data.labels[:, None]).astype(np.float32)


@pytest.mark.parametrize(
    ("images", "rate"), [(1200, 0.01), (300, 0.02), (120, 0.05), (60, 0.1), (30, None)], ids=lambda value: f"{value}"
)
def test_few_images_promise_only_the_error_rate_that_they_can_show(images: int, rate: float | None) -> None:
    """All predictions are correct, at equal confidence: how low a rate that shows depends on their number."""
    data = draw_bars(images)
    found = calibrate_few(lambda pixels: sharp_and_right(data), data, corrupted=False)
    assert (found.error_rate if found.threshold else None) == rate
    assert found.images == images


@pytest.mark.parametrize("n", CURVES)
def test_the_rate_that_few_images_choose_is_kept_with_its_certainty(n: int) -> None:
    draws, rng = 400, np.random.default_rng(n)
    ranks = np.arange(1, n + 1)
    below = 10 ** np.interp((ranks - 0.5) / n, KNOTS, np.log10(np.array(CURVES[n]) / 100))
    wrong_rate = np.clip(np.diff(below * ranks, prepend=0), 0, 1)
    truly = wrong_rate.cumsum() / ranks  # of so many accepted images
    noise = rng.integers(0, 256, (n, 1, 4, 4), np.uint8)
    broken, chosen = 0, set()
    for _ in range(draws):
        labels = (rng.random(n) < wrong_rate).astype(np.int64)
        data = LabelledImages(noise, labels, ranks, ("right", "wrong"), "drawn", "validation")
        logits = np.stack([np.linspace(9, 1, n), np.zeros(n)], 1).astype(np.float32)
        found = calibrate_few(lambda images, logits=logits: logits, data, corrupted=False)
        if found.threshold:
            chosen.add(found.error_rate)
            broken += truly[found.threshold.accepted - 1] > found.error_rate
    assert broken <= binom.ppf(0.999, draws, 0.05)
    assert len(chosen) > 1


def test_the_threshold_of_few_images_keeps_its_rate_over_groups_too() -> None:
    """Two small groups of ten are wrong throughout at high confidence: 5 % of the images, 20 % of the groups."""
    data = draw_bars(400)
    groups = np.repeat(np.arange(10), [10, 10, *[47] * 7, 51])
    wrong = groups < 2
    logits = sharp_and_right(data)
    logits[wrong] = np.roll(logits[wrong], 1, axis=1)
    alone = calibrate_few(lambda pixels: logits, data, corrupted=False)
    grouped = calibrate_few(lambda pixels: logits, replace(data, groups=groups), corrupted=False)
    assert (alone.threshold is not None, alone.error_rate) == (True, 0.1)
    assert grouped.threshold is None


def test_a_few_correct_predictions_do_not_make_every_probability_1() -> None:
    data = draw_bars(12)
    found = calibrate_few(lambda pixels: 0.25 * sharp_and_right(data), data, corrupted=False)
    assert 0.2 < found.temperature < 1
    assert found.threshold is None
