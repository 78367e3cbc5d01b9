"""How far confidence can be trusted: summed up by family, fitted without looking at what it is tested on."""

import math

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_suites import CLASSES, answers, suite_of
from scipy.special import softmax

from imparfait.core.types import Classifier
from imparfait.corruptions import CORRUPTIONS
from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.blank import is_blank
from imparfait.data.ood import LIKE, OOD_SETS
from imparfait.evaluation import calibration
from imparfait.evaluation.calibration import calibrate
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.uncertainty import FIT, MODERATE, OodReport, by_family, calibration_report, ood_reports

RIGHT = np.ones(60, bool)


def test_who_knows_and_is_sure_loses_nothing() -> None:
    found = calibration_report("all", [answers("a", 0.2, RIGHT, 1.0), answers("b", 0.2, RIGHT, 1.0)])
    assert (found.total, found.log_loss, found.brier, found.calibration_error) == (120, 0, 0, 0)
    assert (found.interval, found.always_sure, found.surest_wrong) == ((0, 0), 0, 0)


def test_who_is_sure_and_wrong_loses_most() -> None:
    found = calibration_report("all", [answers("a", 0.2, ~RIGHT, 1.0)])
    assert found.brier == pytest.approx(2)
    assert (found.calibration_error, found.always_sure) == (pytest.approx(1), 1)
    assert found.log_loss > 80
    assert (found.surest_wrong, found.surest) == (60, 60)


def test_parts_are_taken_together_by_their_pictures() -> None:
    """Half of these are right at 0.5, three quarters at 0.75: as sure as they should be, over all 120 images."""
    half, most = np.arange(40) % 2 == 0, np.arange(80) % 4 > 0
    found = calibration_report("both", [answers("a", 0.2, half, 0.5), answers("b", 0.2, most, 0.75)])
    assert (found.images, found.total) == ("both", 120)
    assert found.calibration_error == pytest.approx(0, abs=1e-7)
    assert found.always_sure == pytest.approx(40 / 120)
    losses = [20 * math.log(1 / 0.5), 20 * math.log(1 / 0.25), 60 * math.log(1 / 0.75), 20 * math.log(1 / 0.125)]
    assert found.log_loss == pytest.approx(sum(losses) / 120, abs=1e-6)
    assert (found.surest_wrong, found.surest) == (40, 120)  # 99 % of them are 119: all that tie with these are in


def test_the_interval_of_many_pictures_is_that_of_a_share_in_no_order() -> None:
    """Every tenth image would be of one class only where classes take turns."""
    n = 200_000
    turns = np.arange(n) % 10 != 0  # one in ten is wrong, and always the same one in the round
    found = calibration_report("all", [answers("a", 0.2, turns, 0.9)])
    assert found.calibration_error == pytest.approx(0, abs=1e-6)
    assert found.interval[1] < 0.02


def family_suite() -> SuiteResult:
    correct = {("a of mine", level): RIGHT for level in SEVERITY_LEVELS}
    for name in ("rotate", "fog", "gaussian_noise", "jpeg"):
        correct |= {(name, level): np.arange(60) % 5 >= round(5 * level) - 1 for level in SEVERITY_LEVELS}
    theirs = CORRUPTIONS["rotate"].mnist_c
    assert theirs is not None
    return suite_of(correct | {("stripe", 1.0): ~RIGHT, ("rotate", theirs): ~RIGHT})


def test_families_are_summed_up_at_moderate_severities_and_those_of_one_level_at_that() -> None:
    found = {each.images: each for each in by_family(family_suite())}
    moderate = sum(level <= MODERATE for level in SEVERITY_LEVELS)
    assert list(found) == [
        "clean", "yours", "geometry", "light", "noise", "blur", "strokes", "families in the fit", "families left out",
    ]  # fmt: skip
    totals = {name: each.total for name, each in found.items()}
    one = 60 * moderate
    assert totals["clean"] == 60
    assert {totals[name] for name in ("yours", "geometry", "light", "noise", "blur")} == {one}
    assert totals["strokes"] == 60
    assert totals["families in the fit"] == len(FIT) * one
    assert totals["families left out"] == 2 * one + 60
    errors = [np.mean(np.arange(60) % 5 < round(5 * level) - 1) for level in SEVERITY_LEVELS if level <= MODERATE]
    assert found["geometry"].always_sure == pytest.approx(np.mean(errors))  # MNIST-C's severity is not among them
    assert found["families in the fit"].always_sure == pytest.approx(np.mean(errors))
    assert found["strokes"].always_sure == 1


def test_without_a_family_on_one_side_that_sum_is_left_out() -> None:
    found = by_family(suite_of({("rotate", level): RIGHT for level in SEVERITY_LEVELS}))
    assert [each.images for each in found] == ["clean", "geometry", "families in the fit"]


def by_what_is_sure(of: dict[str, float], n: int = 40) -> Classifier:
    """A classifier that knows the sets of nothing by their pixels, and is as sure of each as `of` says."""
    known = {}
    for name, sure in of.items():
        drawn = OOD_SETS[name].draw(n, 28, 28, 1, seed=0)
        assert drawn is not None
        known |= {image.tobytes(): sure for image in drawn}

    def classify(images: np.ndarray) -> np.ndarray:
        pixels = (images * 255).round().astype(np.uint8)
        sure = np.array([known.get(image.tobytes(), 0.5) for image in pixels])
        with np.errstate(divide="ignore"):
            return np.log(np.stack([sure, (1 - sure) / 2, (1 - sure) / 2], 1)).clip(-60).astype(np.float32)

    return classify


def refused(classifier: Classifier, suite: SuiteResult, threshold: float | None = None) -> list[OodReport]:
    return ood_reports(classifier, suite, 1, 28, 28, threshold, n=40)


def test_refusals_come_worst_first_and_letters_like_digits_are_told_apart() -> None:
    suite = suite_of({("rotate", level): RIGHT for level in SEVERITY_LEVELS}, sure=0.8)
    classifier = by_what_is_sure({"letters": 0.7, "noise": 0.9, LIKE: 0.8, "blank": 0.4, "photographs": 0.4})
    found = {each.name: each for each in refused(classifier, suite, threshold=0.75)}
    assert list(found)[:2] == ["noise", LIKE]
    assert {name for name, each in found.items() if not each.has_right_answer} == {LIKE}
    assert set(found) <= {name for name, nothing in OOD_SETS.items() if nothing.purpose == "testing"}
    told = {name: (each.auroc, each.false_positive_rate, each.accepted) for name, each in found.items()}
    assert told["noise"] == (0, 1, 1)
    assert told["letters"] == (1, 0, 0)
    assert told[LIKE][0] == pytest.approx(0.5, abs=0.51)  # 0.8 against 0.8, up to rounding
    assert [each.auroc for each in found.values()] == sorted(each.auroc for each in found.values())


def test_who_is_always_sure_tells_nothing_apart_and_blank_pictures_are_refused_all_the_same() -> None:
    """Float32 has 1 for what float64 has as a little less: a sure answer to a letter is as sure as one to a digit."""
    suite = suite_of({("rotate", level): RIGHT for level in SEVERITY_LEVELS}, sure=1.0)

    def always(images: np.ndarray) -> np.ndarray:
        return np.array([[20.0, 0.0, 0.0]], np.float32).repeat(len(images), 0)

    for each in refused(always, suite, threshold=0.99):
        assert (each.auroc, each.false_positive_rate) == (0.5, 1.0)
        assert each.accepted == (0 if each.name == "blank" else 1)
    assert all(each.accepted is None for each in refused(always, suite))


def test_the_other_side_of_refusals_are_altered_pictures_only() -> None:
    """Clean ones are sure here, corrupted ones are not: only these count."""
    clean = answers("clean", 0.0, RIGHT, 1.0)
    corrupted = [answers("rotate", level, RIGHT, 0.4) for level in SEVERITY_LEVELS]
    scores = suite_of({("rotate", 0.2): RIGHT}).scores
    suite = SuiteResult(type(scores)((clean, *corrupted), CLASSES))
    for each in refused(by_what_is_sure({}), suite):
        assert (each.auroc, each.false_positive_rate) == (0, 1)


def sharp(data: LabelledImages, times: float, share: float = 0.8) -> Classifier:
    """Right for `share` of the images of `data`, in their order, with logits `times` high."""
    correct = np.arange(len(data)) % 100 < 100 * share
    said = np.where(correct, data.labels, (data.labels + 1) % len(CLASSES))
    logits = times * (np.arange(len(CLASSES)) == said[:, None])
    return lambda images: logits.astype(np.float32)


@pytest.fixture(scope="module")
def data() -> LabelledImages:
    return draw_bars(1200)


@pytest.mark.parametrize("times", [20.0, 0.5])
def test_the_temperature_makes_the_over_and_the_under_confident_as_sure_as_they_are_right(
    data: LabelledImages, times: float
) -> None:
    found = calibrate(sharp(data, times), data)
    assert (found.temperature > 1) == (times > 2)
    assert found.temperature == pytest.approx(times / math.log(0.8 / (0.2 / 2)), rel=1e-3)
    assert found.images == len(data)
    assert found.threshold is None  # a fifth is wrong, all equally sure: nothing keeps 1 %


def test_the_threshold_keeps_its_error_rate(data: LabelledImages) -> None:
    """The surest 1,000 are right, the other 200 wrong and less sure, however low their logits are."""
    correct = np.arange(len(data)) < 1000
    said = np.where(correct, data.labels, (data.labels + 1) % len(CLASSES))
    logits = np.where(correct, 8, 2)[:, None] * (np.arange(len(CLASSES)) == said[:, None]).astype(np.float32)
    found = calibrate(lambda images: logits, data)
    assert found.threshold is not None
    assert (found.threshold.wrong, found.threshold.accepted) == (0, 1000)
    sure = softmax(logits.astype(np.float64) / found.temperature, 1).max(1)
    assert sure[~correct].max() < found.threshold.confidence <= sure[correct].min()
    assert found.error_rate == calibration.ERROR_RATE


def test_pictures_of_nothing_are_no_answers_to_promise_by(data: LabelledImages) -> None:
    """They are refused whatever the threshold is, so answers to them, right by luck, must not count."""
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
    nothing = nothing.select(np.flatnonzero((calibration._shown(nothing).pixels == 0).all((1, 2, 3))))
    assert calibrate(lambda images: np.zeros((len(images), 3), np.float32), nothing).threshold is None


def test_each_source_is_shown_once_and_altered_by_nothing_that_is_tested_on(
    data: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def remembered(few: LabelledImages, name: str, alter: object, severity, seed: int = 0) -> LabelledImages:
        told.append((name, few.sources, np.asarray(severity), seed))
        return corrupt_with(few, name, alter, severity, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(calibration, "corrupt_with", remembered)
    shown = calibration._shown(data)
    assert {CORRUPTIONS[name].family for name, *_ in told} == set(FIT)
    assert {name for name, *_ in told} == {name for name, known in CORRUPTIONS.items() if known.family in FIT}
    sources = np.concatenate([each for _, each, *_ in told])
    assert len(set(sources)) == len(sources)
    assert len(sources) / len(data) == pytest.approx(1 - calibration.CLEAN, abs=0.05)
    severities = np.concatenate([each for _, _, each, _ in told])
    assert severities.min() >= 0
    assert 0.95 * MODERATE < severities.max() <= MODERATE
    assert 0 not in {seed for *_, seed in told}  # 0 has the pixels that everything is scored on
    assert np.array_equal(shown.sources, data.sources)
    assert np.array_equal(shown.labels, data.labels)
    untouched = ~np.isin(data.sources, sources)
    assert np.array_equal(shown.pixels[untouched], data.pixels[untouched])


def test_what_a_picture_is_shown_as_depends_on_its_source_only(data: LabelledImages) -> None:
    rows = np.array([700, 3, 41, 8])
    assert np.array_equal(calibration._shown(data.select(rows)).pixels, calibration._shown(data).pixels[rows])


def test_the_fit_and_what_is_left_out_are_both_there() -> None:
    families = {known.family for known in CORRUPTIONS.values()}
    assert set(FIT) < families
    assert len(families - set(FIT)) >= 2
