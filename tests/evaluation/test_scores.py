"""Measuring: counts that add up, intervals that mean what they say."""

import numpy as np
import pytest
import scipy.special
import torch
from helpers.bars import draw_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.data.corrupted import core_suite
from imparfait.evaluation.scores import evaluate
from imparfait.evaluation.statistics import bootstrap_interval, wilson_interval
from imparfait.models.classifier import as_classifier, ensemble
from imparfait.models.registry import build
from imparfait.reports.figures import plot_scores


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    return scipy.special.softmax(logits.astype(np.float64) / temperature, axis=1)


def knowing(data, wrong: int = 0):
    """A classifier that knows each image's label by its pixels, but for the first `wrong` ones."""
    answers = {
        sample.astype(np.float32).tobytes(): (label + (row < wrong)) % len(data.classes)
        for row, (sample, label) in enumerate(zip(data.pixels / np.float32(255), data.labels, strict=True))
    }

    def classify(images: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(images), len(data.classes)), np.float32)
        for row, image in enumerate(images):
            logits[row, answers[image.tobytes()]] = 5
        return logits

    return classify


def test_a_classifier_that_knows_the_answers_is_always_right(bars) -> None:
    scores = evaluate(knowing(bars), core_suite(bars)[:1])
    assert [(s.corruption, s.correct, s.total) for s in scores.each] == [("clean", 32, 32)]
    assert (scores.parts[0].confusion() == np.diag(np.bincount(bars.labels))).all()


@pytest.mark.parametrize("wrong", [1, 7, 32])
def test_counts_add_up_exactly(bars, wrong: int) -> None:
    part = evaluate(knowing(bars, wrong), core_suite(bars)[:1]).parts[0]
    assert part.score.correct == 32 - wrong
    assert part.confusion().sum() == 32
    assert np.trace(part.confusion()) == part.score.correct


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            lambda images: np.zeros((len(images), 5), np.float32),
            r"shape \(32, 5\); expected finite numbers of shape \(32, 3\)",
        ),
        (lambda images: np.zeros(len(images), np.float32), r"shape \(32,\)"),
        (lambda images: np.full((len(images), 3), np.nan, np.float32), "finite numbers"),
    ],
)
def test_answers_of_the_wrong_kind_are_refused(bars, answer, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluate(answer, core_suite(bars))


def test_huge_logits_are_still_probabilities(bars) -> None:
    scores = evaluate(lambda images: np.tile(np.float32([1e30, -1e30, 0]), (len(images), 1)), core_suite(bars))
    assert scores.parts[0].probabilities[0].tolist() == [1, 0, 0]


def test_a_result_shows_as_a_table_a_frame_and_a_figure(bars) -> None:
    model = build("petit", channels=1, classes=3)
    scores = evaluate(as_classifier(model), core_suite(bars))
    frame = scores.to_frame()
    assert list(frame.index) == ["clean", "geometric", "shrunk", "core mean"]
    assert frame.accuracy.iloc[:3].mean() == pytest.approx(frame.accuracy.iloc[3])
    assert scores._repr_html_().count("<tr>") == 5
    assert str(scores).splitlines()[0].split() == ["images", "correct", "accuracy", "95", "%", "interval"]
    assert repr(scores) == str(scores)  # at a prompt the table, not ten thousand probabilities
    assert len(plot_scores(scores).axes) == 1


def test_scoring_leaves_the_model_as_it_was_and_repeats(bars) -> None:
    model = build("petit", channels=1, classes=3).train()
    classifier = as_classifier(model, ComputeConfig(threads=1))
    images = (bars.pixels / 255).astype(np.float32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = classifier(images)
    assert first.dtype == np.float32
    assert np.array_equal(first, classifier(images))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_adapter_answers_as_the_plain_module_does(bars) -> None:
    model = build("petit", channels=1, classes=3)
    images = (bars.pixels / 255).astype(np.float32)
    plain = model.eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(as_classifier(model)(images), plain, atol=1e-5)


def test_wilson_is_the_published_formula() -> None:
    low, high = wilson_interval(9968, 10_000)
    z, p, n = 1.959964, 0.9968, 10_000
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (low, high) == pytest.approx(
        ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)), abs=1e-9
    )


@given(st.lists(st.integers(0, 3), min_size=30, max_size=60))
@settings(max_examples=20, deadline=None)
def test_the_fast_bootstrap_agrees_with_a_slow_one(correct: list[int]) -> None:
    counts = np.array(correct)
    random = np.random.default_rng(1)
    slow = [random.choice(counts, len(counts)).mean() / 3 for _ in range(3000)]
    assert bootstrap_interval(counts, each=3) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.025)


def test_bootstrap_intervals_cover_what_they_should() -> None:
    """500 test sets whose parts agree within a source, as corrupted copies do: about 95 % of the intervals cover."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        hard = random.random(1000) < 0.05  # a hard source is missed in each form with probability 1/2
        correct = random.binomial(3, np.where(hard, 0.5, 0.99))
        low, high = bootstrap_interval(correct, each=3, resamples=1000)
        covered += low <= 0.05 * 0.5 + 0.95 * 0.99 <= high
    assert 0.92 <= covered / 500 <= 0.975


def test_the_mean_of_parts_from_different_sources_has_no_interval() -> None:
    first, second = core_suite(draw_bars(6))[0], core_suite(draw_bars(6, first_source=6))[0]
    scores = evaluate(lambda images: np.zeros((len(images), 3), np.float32), [first, second])
    with pytest.raises(UserError, match="different source images"):
        _ = scores.mean_interval


def test_an_ensemble_answers_the_mean_of_its_members_probabilities() -> None:
    draw = np.random.default_rng(0)
    said = [draw.normal(scale=3, size=(20, 4)).astype(np.float32) for _ in range(3)]
    together = ensemble([lambda images, each=each: each[: len(images)] for each in said])
    expected = np.mean([softmax(each) for each in said], axis=0)
    images = np.zeros((20, 1, 8, 8), np.float32)
    np.testing.assert_allclose(softmax(together(images)), expected, atol=1e-6)
    assert together(images).dtype == np.float32
    with pytest.raises(UserError, match="no classifiers"):
        ensemble([])
