"""Calibration by family, OOD detection, and calibration that never uses what it is tested on."""

import math

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_suites import CLASSES, condition_result, suite_of
from scipy.special import softmax

from imparfait.core.types import Classifier
from imparfait.corruptions import CORRUPTIONS
from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.blank import is_blank
from imparfait.data.ood import LIKE, OOD_SETS
from imparfait.evaluation import calibration
from imparfait.evaluation.calibration import CALIBRATION_FAMILIES, MODERATE_SEVERITY, calibrate
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.uncertainty import (
    OodReport,
    calibration_by_family,
    calibration_report,
    ood_reports,
)

CORRECT = np.ones(60, bool)


def test_confident_correct_predictions_have_no_loss() -> None:
    found = calibration_report(
        "all", [condition_result("a", 0.2, CORRECT, 1.0), condition_result("b", 0.2, CORRECT, 1.0)]
    )
    assert (found.total, found.log_loss, found.brier, found.calibration_error) == (120, 0, 0, 0)
    assert (found.calibration_error_interval, found.error_rate, found.confident_errors) == ((0, 0), 0, 0)


def test_confident_and_wrong_costs_most() -> None:
    found = calibration_report("all", [condition_result("a", 0.2, ~CORRECT, 1.0)])
    assert found.brier == pytest.approx(2)
    assert (found.calibration_error, found.error_rate) == (pytest.approx(1), 1)
    assert found.log_loss > 80
    assert (found.confident_errors, found.confident_total) == (60, 60)


def test_conditions_are_pooled_by_image() -> None:
    """Half are correct at 0.5, three quarters at 0.75: calibrated over all 120 images."""
    half, most = np.arange(40) % 2 == 0, np.arange(80) % 4 > 0
    found = calibration_report("both", [condition_result("a", 0.2, half, 0.5), condition_result("b", 0.2, most, 0.75)])
    assert (found.images, found.total) == ("both", 120)
    assert found.calibration_error == pytest.approx(0, abs=1e-7)
    assert found.error_rate == pytest.approx(40 / 120)
    losses = [20 * math.log(1 / 0.5), 20 * math.log(1 / 0.25), 60 * math.log(1 / 0.75), 20 * math.log(1 / 0.125)]
    assert found.log_loss == pytest.approx(sum(losses) / 120, abs=1e-6)
    assert (found.confident_errors, found.confident_total) == (40, 120)  # 99 % of them are 119, and ties are included


def test_the_interval_uses_random_copies_of_the_images() -> None:
    """Taking every tenth image would give one class only where classes alternate."""
    n = 200_000
    turns = np.arange(n) % 10 != 0  # every tenth is wrong
    found = calibration_report("all", [condition_result("a", 0.2, turns, 0.9)])
    assert found.calibration_error == pytest.approx(0, abs=1e-6)
    assert found.calibration_error_interval[1] < 0.02


def family_suite() -> SuiteResult:
    correct = {("my_corruption", level): CORRECT for level in SEVERITY_LEVELS}
    for name in ("rotate", "fog", "gaussian_noise", "jpeg"):
        correct |= {(name, level): np.arange(60) % 5 >= round(5 * level) - 1 for level in SEVERITY_LEVELS}
    published = CORRUPTIONS["rotate"].mnist_c
    assert published is not None
    return suite_of(correct | {("stripe", 1.0): ~CORRECT, ("rotate", published): ~CORRECT})


def test_families_are_summarised_at_moderate_severities_or_at_their_only_level() -> None:
    found = {report.images: report for report in calibration_by_family(family_suite())}
    moderate = sum(level <= MODERATE_SEVERITY for level in SEVERITY_LEVELS)
    assert list(found) == [
        "clean", "custom", "geometry", "light", "noise", "blur", "strokes",
        "calibration families", "other families",
    ]  # fmt: skip
    totals = {name: report.total for name, report in found.items()}
    one = 60 * moderate
    assert totals["clean"] == 60
    assert {totals[name] for name in ("custom", "geometry", "light", "noise", "blur")} == {one}
    assert totals["strokes"] == 60
    assert totals["calibration families"] == len(CALIBRATION_FAMILIES) * one
    assert totals["other families"] == 2 * one + 60
    errors = [
        np.mean(np.arange(60) % 5 < round(5 * level) - 1) for level in SEVERITY_LEVELS if level <= MODERATE_SEVERITY
    ]
    assert found["geometry"].error_rate == pytest.approx(np.mean(errors))  # without MNIST-C's severity
    assert found["calibration families"].error_rate == pytest.approx(np.mean(errors))
    assert found["strokes"].error_rate == 1


def test_an_empty_group_of_families_is_left_out() -> None:
    found = calibration_by_family(suite_of({("rotate", level): CORRECT for level in SEVERITY_LEVELS}))
    assert [report.images for report in found] == ["clean", "geometry", "calibration families"]


def confident_of(confidences: dict[str, float], n: int = 40) -> Classifier:
    """A classifier that recognises OOD images by their pixels, with the given confidence by set."""
    known = {}
    for name, confidence in confidences.items():
        drawn = OOD_SETS[name].draw(n, 28, 28, 1, seed=0)
        assert drawn is not None
        known |= {image.tobytes(): confidence for image in drawn}

    def classify(images: np.ndarray) -> np.ndarray:
        pixels = (images * 255).round().astype(np.uint8)
        largest = np.array([known.get(image.tobytes(), 0.5) for image in pixels])
        with np.errstate(divide="ignore"):
            return np.log(np.stack([largest, (1 - largest) / 2, (1 - largest) / 2], 1)).clip(-60).astype(np.float32)

    return classify


def reports_of(classifier: Classifier, suite: SuiteResult, threshold: float | None = None) -> list[OodReport]:
    return ood_reports(classifier, suite, 1, 28, 28, threshold, n=40)


def test_the_worst_set_comes_first_and_letters_like_digits_are_marked() -> None:
    suite = suite_of({("rotate", level): CORRECT for level in SEVERITY_LEVELS}, confidence=0.8)
    classifier = confident_of({"letters": 0.7, "noise": 0.9, LIKE: 0.8, "blank": 0.4, "photographs": 0.4})
    found = {report.name: report for report in reports_of(classifier, suite, threshold=0.75)}
    assert list(found)[:2] == ["noise", LIKE]
    assert {name for name, report in found.items() if report.resembles_classes} == {LIKE}
    assert set(found) <= {name for name, ood_set in OOD_SETS.items() if ood_set.purpose == "testing"}
    numbers = {name: (report.auroc, report.fpr95, report.accepted) for name, report in found.items()}
    assert numbers["noise"] == (0, 1, 1)
    assert numbers["letters"] == (1, 0, 0)
    assert numbers[LIKE][0] == pytest.approx(0.5, abs=0.51)  # 0.8 against 0.8, up to rounding
    assert [report.auroc for report in found.values()] == sorted(report.auroc for report in found.values())


def test_constant_confidence_separates_nothing_but_blank_images_are_rejected() -> None:
    """float32 rounds to 1 what float64 has as a little less: equal confidences must stay equal."""
    suite = suite_of({("rotate", level): CORRECT for level in SEVERITY_LEVELS}, confidence=1.0)

    def always(images: np.ndarray) -> np.ndarray:
        return np.array([[20.0, 0.0, 0.0]], np.float32).repeat(len(images), 0)

    for report in reports_of(always, suite, threshold=0.99):
        assert (report.auroc, report.fpr95) == (0.5, 1.0)
        assert report.accepted == (0 if report.name == "blank" else 1)
    assert all(report.accepted is None for report in reports_of(always, suite))


def test_in_distribution_images_are_corrupted_ones_only() -> None:
    """Clean images are confident here and corrupted ones are not: only these count."""
    clean = condition_result("clean", 0.0, CORRECT, 1.0)
    corrupted = [condition_result("rotate", level, CORRECT, 0.4) for level in SEVERITY_LEVELS]
    scores = suite_of({("rotate", 0.2): CORRECT}).scores
    suite = SuiteResult(type(scores)((clean, *corrupted), CLASSES))
    for report in reports_of(confident_of({}), suite):
        assert (report.auroc, report.fpr95) == (0, 1)


def sharp(data: LabelledImages, times: float, share: float = 0.8) -> Classifier:
    """Correct for `share` of the images of `data`, in their order, with logits scaled by `times`."""
    correct = np.arange(len(data)) % 100 < 100 * share
    predicted = np.where(correct, data.labels, (data.labels + 1) % len(CLASSES))
    logits = times * (np.arange(len(CLASSES)) == predicted[:, None])
    return lambda images: logits.astype(np.float32)


@pytest.fixture(scope="module")
def data() -> LabelledImages:
    return draw_bars(1200)


@pytest.mark.parametrize("times", [20.0, 0.5])
def test_the_temperature_calibrates_overconfident_and_underconfident_classifiers(
    data: LabelledImages, times: float
) -> None:
    found = calibrate(sharp(data, times), data)
    assert (found.temperature > 1) == (times > 2)
    assert found.temperature == pytest.approx(times / math.log(0.8 / (0.2 / 2)), rel=1e-3)
    assert found.images == len(data)
    assert found.threshold is None  # a fifth is wrong at equal confidence: no threshold keeps 1 %


def test_the_threshold_keeps_its_error_rate(data: LabelledImages) -> None:
    """The 1,000 most confident predictions are correct, the other 200 wrong and less confident."""
    correct = np.arange(len(data)) < 1000
    predicted = np.where(correct, data.labels, (data.labels + 1) % len(CLASSES))
    logits = np.where(correct, 8, 2)[:, None] * (np.arange(len(CLASSES)) == predicted[:, None]).astype(np.float32)
    found = calibrate(lambda images: logits, data)
    assert found.threshold is not None
    assert (found.threshold.wrong, found.threshold.accepted) == (0, 1000)
    confidence = softmax(logits.astype(np.float64) / found.temperature, 1).max(1)
    assert confidence[~correct].max() < found.threshold.confidence <= confidence[correct].min()
    assert found.error_rate == calibration.ERROR_RATE


def test_blank_images_do_not_count_for_the_threshold(data: LabelledImages) -> None:
    """They are refused whatever the threshold, so correct predictions by chance must not count."""
    pixels = data.pixels.copy()
    pixels[: len(data) // 2] = 0
    half = LabelledImages(pixels, data.labels, data.sources, CLASSES, "half empty", "train")
    seen = []

    def right_anyway(images: np.ndarray) -> np.ndarray:
        seen.append(int((~is_blank(images)).sum()))
        return 8 * (np.arange(len(CLASSES)) == data.labels[:, None]).astype(np.float32)

    found = calibrate(right_anyway, half).threshold
    assert 600 <= seen[0] < 800
    assert found is not None
    assert (found.wrong, found.accepted, found.coverage) == (0, seen[0], 1.0)
    nothing = LabelledImages(0 * pixels, data.labels, data.sources, CLASSES, "empty", "train")
    nothing = nothing.select(np.flatnonzero((calibration._corrupt_some(nothing).pixels == 0).all((1, 2, 3))))
    assert calibrate(lambda images: np.zeros((len(images), 3), np.float32), nothing).threshold is None


def test_each_source_is_used_once_and_with_calibration_families_only(
    data: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def recorded(some: LabelledImages, name: str, function: object, severity, seed: int = 0) -> LabelledImages:
        calls.append((name, some.sources, np.asarray(severity), seed))
        return corrupt_with(some, name, function, severity, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(calibration, "corrupt_with", recorded)
    mixed = calibration._corrupt_some(data)
    assert {CORRUPTIONS[name].family for name, *_ in calls} == set(CALIBRATION_FAMILIES)
    assert {name for name, *_ in calls} == {
        name for name, known in CORRUPTIONS.items() if known.family in CALIBRATION_FAMILIES
    }
    sources = np.concatenate([ids for _, ids, *_ in calls])
    assert len(set(sources)) == len(sources)
    assert len(sources) / len(data) == pytest.approx(1 - calibration.CLEAN_SHARE, abs=0.05)
    severities = np.concatenate([own for _, _, own, _ in calls])
    assert severities.min() >= 0
    assert 0.95 * MODERATE_SEVERITY < severities.max() <= MODERATE_SEVERITY
    assert 0 not in {seed for *_, seed in calls}  # seed 0 has the pixels of the evaluation suites
    assert np.array_equal(mixed.sources, data.sources)
    assert np.array_equal(mixed.labels, data.labels)
    untouched = ~np.isin(data.sources, sources)
    assert np.array_equal(mixed.pixels[untouched], data.pixels[untouched])


def test_the_corruption_of_an_image_depends_on_its_source_only(data: LabelledImages) -> None:
    rows = np.array([700, 3, 41, 8])
    assert np.array_equal(
        calibration._corrupt_some(data.select(rows)).pixels, calibration._corrupt_some(data).pixels[rows]
    )


def test_some_families_are_used_for_calibration_and_others_are_not() -> None:
    families = {known.family for known in CORRUPTIONS.values()}
    assert set(CALIBRATION_FAMILIES) < families
    assert len(families - set(CALIBRATION_FAMILIES)) >= 2
