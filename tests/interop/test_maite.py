"""MAITE: our objects pass for those of its protocols, run in its own workflows, and agree with our own scores."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars

import imparfait
from imparfait.core.errors import UserError
from imparfait.core.types import Logits
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.input_format import InputFormat
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor
from imparfait.interop.maite import (
    MaiteAccuracy,
    MaiteCorruption,
    MaiteDataset,
    MaiteModel,
    MaiteSuite,
    classifier_of,
    images_of,
)

CLASSES = ("flat", "steep", "cross")


def by_rows(images: np.ndarray) -> Logits:
    """Tells bars apart by their longest lines, badly."""
    grey = images.mean(1)
    row, column = grey.mean(2).max(1), grey.mean(1).max(1)
    return np.stack([row - column, column - row, 0.35 * np.minimum(row, column)], 1).astype(np.float32) * 9


@pytest.fixture(scope="module")
def bars() -> LabelledImages:
    return draw_bars(90)


@pytest.fixture(scope="module")
def digits() -> LabelledImages:
    _, validation = imparfait.load_data("mnist").train_val()
    return validation.select(np.arange(60))


def batches(dataset: MaiteDataset, size: int) -> list[tuple[Any, Any, Any]]:
    rows = [range(start, min(start + size, len(dataset))) for start in range(0, len(dataset), size)]
    return [tuple(map(list, zip(*[dataset[row] for row in part], strict=True))) for part in rows]  # type: ignore[misc]


def evaluate(model: Any, data: Any, metric: MaiteAccuracy) -> dict[str, Any]:
    """MAITE's loop: `data` are batches."""
    metric.reset()
    for images, targets, metadata in data:
        metric.update(model(images), targets, metadata)
    return metric.compute()


def test_a_model_gives_the_probabilities_of_each_image(digits: LabelledImages) -> None:
    with imparfait.open_model("digits") as opened:
        model = MaiteModel(opened)
        found = model(list(digits.pixels[:9]))
        assert model.metadata == {"id": "digits", "index2label": dict(enumerate("0123456789"))}
    assert len(found) == 9
    np.testing.assert_allclose(np.sum(found, 1), 1, atol=1e-5)
    expected = load_predictor("digits").predict_proba(digits.pixels[:9])
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    "kind", [np.asarray, torch.from_numpy, lambda image: image / np.float32(255), lambda image: image / 255]
)
def test_images_are_of_any_kind(kind: Callable[[np.ndarray], Any], digits: LabelledImages) -> None:
    model = MaiteModel(load_predictor("digits"))
    expected = model(list(digits.pixels[:5]))
    assert np.array_equal(model([kind(image) for image in digits.pixels[:5]]), expected)


def test_images_of_another_size_are_brought_to_the_model_as_predict_brings_files(digits: LabelledImages) -> None:
    predictor = load_predictor("digits")
    large = [np.kron(255 - image, np.ones((1, 5, 5), np.uint8)).repeat(3, 0) for image in digits.pixels[:12]]
    found = MaiteModel(predictor)([*large, *digits.pixels[20:30]])
    for image, row in zip(large, found[:12], strict=True):
        (expected,) = imparfait.predict(image.transpose(1, 2, 0), "digits")
        assert predictor.classes[row.argmax()] == expected.label
        assert row.max() == pytest.approx(expected.score, abs=1e-5)
    np.testing.assert_allclose(found[12:], predictor.predict_proba(digits.pixels[20:30]), atol=1e-5)


def test_an_empty_batch_has_no_predictions() -> None:
    assert MaiteModel(by_rows, CLASSES)([]) == []


def test_a_data_set_has_images_targets_and_ids(bars: LabelledImages) -> None:
    grouped = replace(bars, groups=np.arange(len(bars)) // 3, sources=bars.sources + 700)
    dataset = MaiteDataset(grouped)
    image, target, metadata = dataset[4]
    assert len(dataset) == 90
    assert np.array_equal(image, bars.pixels[4])
    assert target.tolist() == [0, 1, 0]
    assert metadata == {"id": 704, "group": 1}
    assert dataset.metadata == {"id": "bars train", "index2label": dict(enumerate(CLASSES))}
    assert len(list(dataset)) == 90  # an index beyond the end ends an iteration


def test_images_survive_the_way_there_and_back(bars: LabelledImages) -> None:
    grouped = replace(bars, groups=np.arange(len(bars)) // 3)
    found = images_of(MaiteDataset(grouped), split="train", group="group", name="bars")
    assert found.fingerprint() == grouped.fingerprint()
    assert found.classes == bars.classes
    assert found.groups is not None
    assert len(set(found.groups.tolist())) == 30
    assert len(set(zip(found.groups.tolist(), grouped.groups.tolist(), strict=True))) == 30  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1, 7, 90])
@pytest.mark.parametrize("name", ["rotate", "gaussian_noise", "photo.fog", "photo.glass_blur", "clean"])
def test_a_corruption_has_the_pixels_of_evaluate(name: str, size: int, bars: LabelledImages) -> None:
    expected = imparfait.corrupt(bars, name, 0.6)
    found = [MaiteCorruption(name, 0.6)(batch) for batch in batches(MaiteDataset(bars), size)]
    assert np.array_equal(np.concatenate([images for images, _, _ in found]), expected.pixels)
    assert all(each["corruption"] == name for _, _, metadata in found for each in metadata)


def test_a_corruption_keeps_the_kind_of_an_image_its_target_and_its_metadata(bars: LabelledImages) -> None:
    small = draw_bars(2, 24).pixels
    images = [bars.pixels[0], bars.pixels[1] / np.float32(255), small[0], torch.from_numpy(small[1])]
    metadata = [{"id": name, "sensor": 3} for name in "abcd"]
    found, targets, marked = MaiteCorruption("rotate", 1)((images, ["target"] * 4, metadata))
    assert [image.dtype for image in found] == [np.uint8, np.float32, np.uint8, np.uint8]
    assert [image.shape for image in found] == [(1, 16, 16), (1, 16, 16), (1, 24, 24), (1, 24, 24)]
    assert targets == ["target"] * 4
    assert marked[2] == {"id": "c", "sensor": 3, "corruption": "rotate", "severity": 1}
    assert metadata[2] == {"id": "c", "sensor": 3}
    again = MaiteCorruption("rotate", 1)((images[1:], ["target"] * 3, metadata[1:]))[0]
    assert all(np.array_equal(one, other) for one, other in zip(again, found[1:], strict=True))


@pytest.mark.parametrize("suite", ["core", ["rotate", "invert"]])
def test_accuracy_is_that_of_our_own_evaluation(suite: Any, bars: LabelledImages) -> None:
    scores = imparfait.evaluate(by_rows, bars, suite=suite)
    assert 0 < scores.mean < 1
    found = evaluate(MaiteModel(by_rows, CLASSES), MaiteSuite(bars, suite, batch_size=40), MaiteAccuracy())
    assert found["accuracy"] == scores.mean
    assert (found["low"], found["high"]) == scores.mean_interval
    assert found["images"] == 90
    for score in scores.scores:
        assert found[f"{score.corruption} {score.severity:g}"] == score.accuracy
        corruption = MaiteCorruption(score.corruption, score.severity)
        one = evaluate(MaiteModel(by_rows, CLASSES), map(corruption, batches(MaiteDataset(bars), 40)), MaiteAccuracy())
        assert one == {
            "accuracy": score.accuracy, "images": 90, "low": score.interval[0], "high": score.interval[1]
        }  # fmt: skip


def test_a_mean_over_conditions_of_different_images_has_no_interval() -> None:
    metric = MaiteAccuracy()
    metric.update([[1, 0]], [[1, 0]], [{"id": 1}])
    metric.update([[1, 0]], [[0, 1]], [{"id": 2, "corruption": "rotate", "severity": 0.5}])
    assert metric.compute() == {"accuracy": 0.5, "images": 1, "clean 0": 1.0, "rotate 0.5": 0.0}


@pytest.mark.parametrize("floating", [False, True])
@pytest.mark.parametrize("outputs", ["probabilities", "logits"])
def test_a_model_of_theirs_has_the_scores_of_the_classifier_in_it(
    outputs: str, floating: bool, bars: LabelledImages
) -> None:
    class Theirs:
        metadata: ClassVar = {"id": "theirs"}

        def __call__(self, batch: list[np.ndarray]) -> list[torch.Tensor]:
            images = np.stack(batch)
            assert images.dtype == (np.float32 if floating else np.uint8)
            logits = torch.from_numpy(by_rows(images if floating else images.astype(np.float32) / 255))
            return list(logits.softmax(1) if outputs == "probabilities" else logits)

    expected, found = (
        imparfait.evaluate(each, bars) for each in (by_rows, classifier_of(Theirs(), CLASSES, floating=floating))
    )
    assert [score.correct for score in found.scores] == [score.correct for score in expected.scores]
    for one, other in zip(found.conditions, expected.conditions, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def test_their_classes_in_another_order_are_matched_by_their_names(bars: LabelledImages) -> None:
    order = [2, 0, 1]

    class Theirs:
        metadata: ClassVar = {
            "id": "theirs",
            "index2label": {place: CLASSES[index] for place, index in enumerate(order)},
        }

        def __call__(self, batch: list[np.ndarray]) -> list[np.ndarray]:
            return list(by_rows(np.stack(batch))[:, order])

    found = imparfait.evaluate(classifier_of(Theirs(), CLASSES, floating=True), bars)
    assert found.mean == imparfait.evaluate(by_rows, bars).mean
    assert imparfait.evaluate(classifier_of(Theirs(), floating=True), bars).mean < found.mean


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaiteModel(by_rows), r"by_rows: its classes are not known; expected their names"),
        (lambda: MaiteModel(by_rows, CLASSES)([np.zeros((8, 8))]), r"shape \(8, 8\); expected \[channels, height"),
        (lambda: MaiteModel(by_rows, CLASSES)([np.zeros((8, 8, 3))]), r"of 1 or 3 channels"),
        (lambda: MaiteModel(by_rows, CLASSES)([np.full((1, 8, 8), 200.0)]), "float64, 200 to 200; expected uint8"),
        (lambda: MaiteModel(by_rows, CLASSES)([np.full((1, 8, 8), np.nan)]), "float64, nan to nan"),
        (lambda: MaiteModel(by_rows, CLASSES)([np.zeros((1, 8, 8)), np.zeros((1, 9, 9))]), "images of several sizes"),
        (lambda: MaiteCorruption("rotat", 0.5), "no corruption is called 'rotat'; did you mean 'rotate'"),
        (lambda: MaiteCorruption("rotate", 1.5), r"severity 1\.5; expected a number in 0\.\.1"),
        (lambda: MaiteAccuracy().compute(), "no predictions; expected update before compute"),
        (lambda: MaiteAccuracy().update([[1, 0]], [1], [{"id": 0}]), r"shape \(2,\) for a target of shape \(\)"),
        (lambda: images_of(MaiteDataset(draw_bars(0))), "without images"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_predictor_needs_no_classes() -> None:
    form = InputFormat(channels=1, height=16, width=16, normalization="none")
    predictor = Predictor("mine", CLASSES, form, None, lambda pixels: np.full((len(pixels), 3), 1 / 3, np.float32))
    assert MaiteModel(predictor).metadata["index2label"] == dict(enumerate(CLASSES))


def test_our_objects_pass_for_maites(bars: LabelledImages) -> None:
    protocols = pytest.importorskip("maite.protocols.image_classification")
    assert isinstance(MaiteModel(by_rows, CLASSES), protocols.Model)
    assert isinstance(MaiteDataset(bars), protocols.Dataset)
    assert isinstance(MaiteDataset(bars), protocols.FieldwiseDataset)
    assert isinstance(MaiteSuite(bars), protocols.DataLoader)
    assert isinstance(MaiteCorruption("rotate", 0.5), protocols.Augmentation)
    assert isinstance(MaiteAccuracy(), protocols.Metric)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_maites_own_evaluation_agrees_with_ours(batch_size: int, bars: LabelledImages) -> None:
    tasks = pytest.importorskip("maite.tasks")
    scores = imparfait.evaluate(by_rows, bars, suite=["rotate"])
    model, dataset = MaiteModel(by_rows, CLASSES), MaiteDataset(bars)
    for score in scores.scores:
        found, _, _ = tasks.evaluate(
            model=model, dataset=dataset, metric=MaiteAccuracy(), batch_size=batch_size,
            augmentation=MaiteCorruption(score.corruption, score.severity),
        )  # fmt: skip
        assert found["accuracy"] == score.accuracy
    found, _, _ = tasks.evaluate(model=model, dataloader=MaiteSuite(bars, ["rotate"]), metric=MaiteAccuracy())
    assert found["accuracy"] == scores.mean


def test_maites_own_predictions_are_ours(digits: LabelledImages) -> None:
    tasks = pytest.importorskip("maite.tasks")
    predictor = load_predictor("digits")
    found, data = tasks.predict(
        model=MaiteModel(predictor), dataset=MaiteDataset(digits), batch_size=16, return_augmented_data=True
    )
    np.testing.assert_allclose(np.concatenate(found), predictor.predict_proba(digits.pixels), atol=1e-6)
    result = tasks.evaluate_from_predictions(
        metric=MaiteAccuracy(),
        pred_batches=found,
        target_batches=[targets for _, targets, _ in data],
        metadata_batches=[metadata for _, _, metadata in data],
    )
    assert result["accuracy"] == (np.concatenate(found).argmax(1) == digits.labels).mean()
