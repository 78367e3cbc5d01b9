"""Learning curves: nested parts, finished fits kept, and extrapolations that keep their intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.commands import run
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.errors import UserError
from imparfait.reports.learning_curve import curve_sentences
from imparfait.training import learning_curve as module
from imparfait.training.learning_curve import LearningCurve, learning_curve, neediest
from imparfait.training.settings import TrainingSettings

SETTINGS = TrainingSettings(model="petit", model_args={"filters": 4}, augmentation="clean", epochs=1, batch_size=16)


@pytest.fixture
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images are not trained on for more epochs."""
    monkeypatch.setattr(module, "enough_steps", lambda settings, images: settings)


def drawn_curve(
    rng: np.random.Generator, start: float, slope: float, asymptote: float = 0.0
) -> tuple[LearningCurve, float]:
    """Fits whose error rate is a power of the images plus an asymptote, with the spread of trainings; and the next."""
    images, held_out = np.array([100, 200, 300, 400, 800]), 600
    difficulty = rng.random(held_out)  # of each held-out image, for all of the fits
    rates = asymptote + start * (images / 100) ** slope
    rates += rng.normal(0, 0.5 * np.sqrt(rates / held_out))
    correct = difficulty >= rates[:, None]
    return LearningCurve((100, 200, 300, 400), correct[:-1]), float(correct[-1].mean())


@pytest.mark.parametrize(
    ("start", "slope", "asymptote"),
    [
        (0.4, -0.5, 0.0), (0.1, -0.3, 0.0), (0.3, 0.0, 0.0), (0.05, -0.8, 0.0),
        (0.3, -1.0, 0.2), (0.2, -0.5, 0.1), (0.1, -0.8, 0.02),
    ],
)  # fmt: skip
def test_the_interval_holds_the_accuracy_at_twice_the_images_nine_times_in_ten(
    start: float, slope: float, asymptote: float
) -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        curve, seen = drawn_curve(rng, start, slope, asymptote)
        found = curve.extrapolate()
        inside += found.low <= seen <= found.high
    assert inside >= 85


def test_a_level_curve_is_expected_to_stay_level() -> None:
    level = LearningCurve((100, 200, 300, 400), np.tile(np.arange(3000) >= 1200, (4, 1))).extrapolate()
    assert 0.6 <= level.accuracy <= 0.61
    assert level.low < 0.6


@settings(max_examples=50, deadline=None)
@given(
    errors=st.lists(st.integers(0, 150), min_size=1, max_size=5),
    factor=st.floats(1, 8),
    certainties=st.tuples(st.floats(0.1, 0.99), st.floats(0.1, 0.99)),
)
def test_any_curve_gives_ordered_accuracies_and_a_wider_interval_for_more_certainty(
    errors: list[int], factor: float, certainties: tuple[float, float]
) -> None:
    correct = np.arange(150) >= np.array(errors)[:, None]
    curve = LearningCurve(tuple(range(100, 100 * len(errors) + 1, 100)), correct)
    narrow, wide = (curve.extrapolate(factor, certainty) for certainty in sorted(certainties))
    assert 0 <= wide.low <= narrow.low <= narrow.accuracy <= narrow.high <= wide.high <= 1
    assert narrow.accuracy == wide.accuracy >= curve.accuracies[-1]


def test_the_expected_accuracy_lies_in_its_interval_and_the_sentences_say_both() -> None:
    curve, _ = drawn_curve(np.random.default_rng(1), 0.3, -0.5)
    found = curve.extrapolate()
    assert found.images == 800
    assert found.low <= found.accuracy <= found.high
    twice, classes = curve_sentences(curve, [("flat", 0.61, 130), ("steep", 0.9, 1)])
    assert twice.startswith("twice the images (800): ")
    assert f"→ {100 * found.accuracy:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f} with" in twice
    assert classes.endswith("flat: recall 61.0 %, 130 training images; steep: recall 90.0 %, 1 training image")


def test_without_a_mistake_the_interval_still_has_a_width() -> None:
    curve = LearningCurve((25, 50, 75, 100), np.ones((4, 200), bool))
    found = curve.extrapolate()
    assert found.low < 1
    assert found.accuracy == 1  # more images make nothing worse


def test_each_part_has_more_images_than_the_one_before_and_groups_stay_whole() -> None:
    data = draw_bars(240)
    grouped = replace(data, groups=np.arange(240) // 20)
    for images in (data, grouped):
        sizes = [len(module._part(images, share)) for share in module.SHARES]
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == 240
    parts = [module._part(grouped, share) for share in module.SHARES]
    for part in parts:
        assert part.groups is not None
        assert set(np.bincount(part.groups)) <= {0, 20}


@pytest.mark.usefixtures("one_epoch")
def test_finished_fits_are_kept_and_give_the_same_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, held_out = draw_bars(120), draw_bars(60, first_source=1000)
    *_, first = learning_curve(fit, held_out, SETTINGS, "a test", cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    monkeypatch.setattr(module, "as_classifier", None)  # nothing is predicted again
    *_, again = learning_curve(fit, held_out, SETTINGS, "a test", cache=tmp_path)
    assert np.array_equal(first.correct, again.correct)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="at least 40 training images for a learning curve"):
        next(learning_curve(draw_bars(39), draw_bars(20), SETTINGS, "a test"))


def test_the_classes_with_the_lowest_recall_come_first() -> None:
    held_out = draw_bars(30)
    correct = np.ones((4, 30), bool)
    correct[-1, held_out.labels == 2] = False
    assert neediest(LearningCurve((1, 2, 3, 4), correct), held_out, [7, 8, 9])[0] == ("cross", 0.0, 9)


@pytest.mark.usefixtures("one_epoch")
def test_the_command_prints_the_curve_and_writes_its_page(tmp_path: Path, bars_folder: Path) -> None:
    said = run("learning-curve", "--data", bars_folder, "--recipe", "quick", "--out", tmp_path)
    assert "twice the images" in said
    (report,) = tmp_path.glob("learning-curve-quick-*/report.html")
    assert report.with_name("learning_curve.png").exists()
    assert {path.name for path in (report.parent / "figures").iterdir()} == {"learning_curve.svg", "learning_curve.pdf"}
    assert "\\caption{Learning curve: quick on" in report.with_name("table.tex").read_text(encoding="utf-8")
    assert '<h2 id="settings">' not in report.read_text(encoding="utf-8")  # there are none
