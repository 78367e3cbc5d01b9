"""Scores: counts that add up, and intervals that cover the truth."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import torch
from helpers.bars import draw_bars
from helpers.fake_suites import CLASSES, suite_of

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.data.corrupted import core_suite
from imparfait.evaluation.evaluate import evaluate
from imparfait.evaluation.intervals import group_interval, mean_interval, wilson_interval
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores, score_conditions
from imparfait.evaluation.scores_file import ScoresFile, read_scores, write_scores
from imparfait.models.classifier import as_classifier, ensemble
from imparfait.models.registry import build
from imparfait.reports.figures.runs import plot_scores
from imparfait.reports.text import mean_label, scores_rows


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    return scipy.special.softmax(logits.astype(np.float64) / temperature, axis=1)


def perfect(data, wrong: int = 0):
    """A classifier that recognises each image by its pixels, and is wrong on the first `wrong` ones."""
    labels = {
        sample.astype(np.float32).tobytes(): (label + (row < wrong)) % len(data.classes)
        for row, (sample, label) in enumerate(zip(data.pixels / np.float32(255), data.labels, strict=True))
    }

    def classify(images: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(images), len(data.classes)), np.float32)
        for row, image in enumerate(images):
            logits[row, labels[image.tobytes()]] = 5
        return logits

    return classify


def test_a_perfect_classifier_is_always_correct(bars) -> None:
    scores = score_conditions(perfect(bars), core_suite(bars)[:1])
    assert [(s.corruption, s.correct, s.total) for s in scores.scores] == [("clean", 32, 32)]
    assert (scores.conditions[0].confusion() == np.diag(np.bincount(bars.labels))).all()


@pytest.mark.parametrize("wrong", [1, 7, 32])
def test_counts_add_up_exactly(bars, wrong: int) -> None:
    result = score_conditions(perfect(bars, wrong), core_suite(bars)[:1]).conditions[0]
    assert result.score.correct == result.correct.sum() == 32 - wrong
    assert result.confusion().sum() == 32
    assert np.trace(result.confusion()) == result.score.correct


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (
            lambda images: np.zeros((len(images), 5), np.float32),
            r"shape \(32, 5\) for 32 images; expected finite numbers of shape \(32, 3\)",
        ),
        (lambda images: np.zeros(len(images), np.float32), r"shape \(32,\)"),
        (lambda images: np.full((len(images), 3), np.nan, np.float32), "finite numbers"),
    ],
)
def test_outputs_of_the_wrong_shape_or_type_are_rejected(bars, classifier, message: str) -> None:
    with pytest.raises(UserError, match=message):
        score_conditions(classifier, core_suite(bars))


def test_huge_logits_give_probabilities(bars) -> None:
    scores = score_conditions(lambda images: np.tile(np.float32([1e30, -1e30, 0]), (len(images), 1)), core_suite(bars))
    assert scores.conditions[0].probabilities[0].tolist() == [1, 0, 0]


def test_scores_are_shown_as_a_frame_a_table_and_a_figure(bars) -> None:
    model = build("petit", channels=1, classes=3)
    scores = score_conditions(as_classifier(model), core_suite(bars))
    frame = scores.to_frame()
    assert list(frame.index) == ["clean", "geometric", "shrunk", "mean"]
    assert frame.accuracy.iloc[:3].mean() == pytest.approx(frame.accuracy.iloc[3])
    assert scores._repr_html_().count("</tr>") == 6  # two rows of headings
    assert {"severity", "correct", "total", "accuracy"} <= set(str(scores).splitlines()[0].split())
    assert repr(scores) == str(scores)  # at a prompt the table, not ten thousand probabilities
    rows = scores_rows(scores)
    assert [row[0] for row in rows] == ["clean", "geometric", "shrunk", "core mean"]
    assert rows[-1][2] == f"{100 * scores.mean:.2f} %"
    assert len(plot_scores(scores).axes) == 1


def test_scores_json_is_read_as_it_was_written(bars, tmp_path) -> None:
    scores = score_conditions(as_classifier(build("petit", channels=1, classes=3)), core_suite(bars))
    write_scores(tmp_path, scores)
    file = read_scores(tmp_path)
    assert file == ScoresFile.of(scores)
    assert file.mean == scores.mean
    assert [(one.corruption, one.correct, one.total) for one in file.conditions] == [
        (score.corruption, score.correct, score.total) for score in scores.scores
    ]


def test_scoring_is_repeatable_and_leaves_the_model_unchanged(bars) -> None:
    model = build("petit", channels=1, classes=3).train()
    classifier = as_classifier(model, ComputeConfig(threads=1))
    images = (bars.pixels / 255).astype(np.float32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = classifier(images)
    assert first.dtype == np.float32
    assert np.array_equal(first, classifier(images))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_as_classifier_agrees_with_the_plain_module(bars) -> None:
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


def test_a_mean_over_different_source_images_has_no_interval() -> None:
    first, second = core_suite(draw_bars(6))[0], core_suite(draw_bars(6, first_source=6))[0]
    scores = score_conditions(lambda images: np.zeros((len(images), 3), np.float32), [first, second])
    with pytest.raises(UserError, match="different source images"):
        _ = scores.mean_interval


def test_scores_of_different_source_images_are_shown_without_an_interval() -> None:
    first, second = core_suite(draw_bars(6))[0], core_suite(draw_bars(9, first_source=6))[1]
    scores = score_conditions(lambda images: np.zeros((len(images), 3), np.float32), [first, second])
    frame = scores.to_frame()
    assert frame.loc["mean", ["low", "high"]].isna().all()
    assert frame["low"].notna().sum() == 2
    assert f"{scores.mean:.4f}" in str(scores)
    assert "<table" in scores._repr_html_()
    assert [len(axes.lines) for axes in (scores.plot(), plot_scores(scores).axes[0])] == [3, 5]  # dots in one, or three
    assert scores_rows(scores)[-1] == ("mean of 2 conditions", "", f"{100 * scores.mean:.2f} %", "–")


@pytest.mark.parametrize("suite", ["core", "digits", ["zigzag", "stripe"], "photo"])
def test_the_mean_of_one_function_is_that_of_several(suite: str | list[str]) -> None:
    data = draw_bars(12)

    def guess(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1)[:, :3].astype(np.float32)

    alone = evaluate(guess, data, suite=suite)
    result = SuiteResult(alone)
    levels = [[result.conditions[name, level].score.accuracy for level in own] for name, own in result.levels.items()]
    over_corruptions = float(np.mean([np.mean(own) for own in levels]))
    plain = float(np.mean([score.accuracy for score in alone.scores]))
    assert alone.mean == pytest.approx(plain if suite == "core" else over_corruptions)
    assert mean_label(alone) == ("core mean" if suite == "core" else "suite mean")
    together = evaluate({"a": guess}, data, suite=suite).models[0].seeds[0]
    assert (alone.mean, alone.mean_interval) == (together.mean, together.mean_interval)
    assert alone.to_frame().loc["mean", "accuracy"] == together.mean
    assert plain != pytest.approx(over_corruptions)


def test_the_interval_over_groups_has_the_weights_of_the_mean() -> None:
    groups = np.arange(12) % 3
    correct = {("zigzag", level): np.random.default_rng(0).random(12) < level for level in (0.1, *SEVERITY_LEVELS)}
    results = suite_of(correct).scores.conditions
    scores = Scores(tuple(replace(each, groups=groups) for each in results), CLASSES)
    shares = np.mean([correct["zigzag", level] for level in SEVERITY_LEVELS], 0)
    assert scores.mean == pytest.approx(shares.mean())
    assert scores.mean_group_interval == group_interval(shares, groups)
    assert scores.mean_interval == pytest.approx(mean_interval(shares, copies=len(results)))


@pytest.mark.parametrize("images", [1, 7, 33])
def test_a_mean_of_images_that_are_all_correct_keeps_an_interval(images: int) -> None:
    data = draw_bars(images)
    scores = score_conditions(lambda batch: np.eye(3, dtype=np.float32)[data.labels], core_suite(data))
    assert scores.mean == 1
    assert scores.mean_interval == pytest.approx(wilson_interval(images, images))


def test_an_ensemble_averages_the_probabilities_of_its_members() -> None:
    random = np.random.default_rng(0)
    members = [random.normal(scale=3, size=(20, 4)).astype(np.float32) for _ in range(3)]
    together = ensemble([lambda images, logits=logits: logits[: len(images)] for logits in members])
    expected = np.mean([softmax(logits) for logits in members], axis=0)
    images = np.zeros((20, 1, 8, 8), np.float32)
    np.testing.assert_allclose(softmax(together(images)), expected, atol=1e-6)
    assert together(images).dtype == np.float32
    with pytest.raises(UserError, match="no classifiers"):
        ensemble([])
