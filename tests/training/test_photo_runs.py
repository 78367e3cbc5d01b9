"""Runs of photographs: chosen recipe, calibration of few images, none of these, balanced classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bars import CLASSES, draw_bars
from helpers.commands import run
from PIL import Image

from imparfait.core import large_arrays
from imparfait.core.types import Classifier
from imparfait.data import splits
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.ood import OOD_SETS
from imparfait.data.ood.base import OodSet
from imparfait.data.ood.outlier_exposure import OOD_LABEL
from imparfait.evaluation.calibration import Calibration, calibrate_few
from imparfait.evaluation.none_of_these import none_of_these
from imparfait.inference.predictor import NOT_CALIBRATED, Predictor
from imparfait.models.metadata import InputFormat, NoneOfThese, Threshold, read_config
from imparfait.reports import finished_run
from imparfait.training import pilot
from imparfait.training.manifest import read_manifest
from imparfait.training.pilot import run_pilots
from imparfait.training.recipes import RECIPES, choose_settings, recipe_for
from imparfait.training.settings import TrainingSettings
from imparfait.training.step import class_weights

QUICK = ("--epochs", "1", "--augmentation", "photo")  # which leaves out the pilots
FORM = InputFormat(channels=1, height=16, width=16, normalization="none")


def write_folder(folder: Path, per_class: int, *, size: tuple[int, int] = (16, 16)) -> Path:
    """Class folders of colour bars, as PNG files."""
    data = draw_bars(3 * per_class, channels=3)
    for number, (image, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
        path = folder / CLASSES[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - image.transpose(1, 2, 0)).resize(size).save(path)
    return folder


@pytest.mark.parametrize(
    ("data", "recipe"),
    [
        (draw_bars(30, channels=3), "photo"),
        (replace(draw_bars(30), normalization="digit"), "default"),
        (load_data("mnist").train.select(np.arange(300)), "default"),
        (replace(draw_bars(30), normalization="letterbox"), "photo"),
    ],
    ids=["colour", "read as digits", "MNIST", "grey photographs"],
)
def test_the_recipe_follows_from_the_images(data: LabelledImages, recipe: str) -> None:
    assert recipe_for(data) == recipe
    assert choose_settings(data=data)[0] == recipe
    assert choose_settings("quick", data=data)[0] == "quick"
    assert choose_settings(model="petit", data=data)[0] == "default"


def test_train_says_its_recipe_and_records_the_threshold_that_few_images_can_show(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "bars", 100)
    run("train", "--data", data, "--epochs", "12", "--augmentation", "photo", "--out", tmp_path / "runs")
    (folder,) = (tmp_path / "runs").glob("photo-*")
    config = read_config(folder)
    assert config.temperature is not None
    assert config.threshold is None or config.threshold.error_rate > 0.01  # of 50 validation images
    assert read_manifest(folder).settings.model == "resnet"


def test_photographs_held_out_for_calibration_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Corrupted ones, which its training never saw, would leave a network of photographs without a threshold."""
    monkeypatch.setattr(splits, "MIN_CALIBRATION_IMAGES", 5)
    called = list[tuple[int, bool]]()

    def spy(classifier: Classifier, data: LabelledImages, *, corrupted: bool) -> Calibration:
        called.append((len(data), corrupted))
        return calibrate_few(classifier, data, corrupted=corrupted)

    monkeypatch.setattr(finished_run, "calibrate_few", spy)
    data = write_folder(tmp_path / "bars", 60)
    run("train", "--data", data, *QUICK, "--out", tmp_path / "runs")
    assert called == [(7, False)]  # 5 % of 150


def test_a_final_run_takes_the_calibration_of_its_run_with_validation(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "bars" / "train", 40)
    write_folder(tmp_path / "bars" / "test", 4)
    arguments = ("train", "--data", data.parent, *QUICK, "--out")
    run(*arguments, tmp_path / "alone", "--final")
    (folder,) = (tmp_path / "alone").glob("photo-*")
    assert read_config(folder).temperature is None
    run(*arguments, tmp_path / "alone")
    run(*arguments, tmp_path / "alone", "--final")  # finished, so only its calibration is new
    assert read_config(folder).temperature is not None
    run(*arguments, tmp_path / "runs")
    run(*arguments, tmp_path / "runs", "--final")
    first, final = sorted((tmp_path / "runs").glob("photo-*"), key=lambda each: read_manifest(each).final)
    assert read_config(final).temperature == read_config(first).temperature is not None


@pytest.mark.parametrize(
    ("size", "normalization"), [((16, 24), "resize"), ((24, 16), "resize"), ((16, 16), "resize"), (None, "letterbox")]
)
def test_images_of_one_orientation_are_stretched_and_of_several_padded(
    tmp_path: Path, size: tuple[int, int] | None, normalization: str
) -> None:
    write_folder(tmp_path / "bars", 4, size=size or (16, 24))
    if size is None:
        for path in sorted((tmp_path / "bars" / "flat").iterdir()):
            Image.open(path).rotate(90, expand=True).save(path)
    assert load_data(tmp_path / "bars", 16).train.normalization == normalization


def test_images_of_the_data_s_own_test_set_are_no_ood_set() -> None:
    drawn = OodSet(OOD_SETS["noise"].make, "testing", "of the data", data="bars")
    data = replace(draw_bars(120), name="bars")
    classifier = lambda images: np.tile(np.float32([1, 0, 0]), (len(images), 1))  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OOD_SETS, "mine", drawn)
        for name, is_left_out in (("bars", True), ("others", False), ("images", False)):
            found = none_of_these(classifier, replace(data, name=name))
            assert found
            assert ("mine" not in found.caught) == is_left_out
            assert "photographs" in found.caught


def predictor(**parts) -> Predictor:
    probabilities = np.array([[0.9, 0.06, 0.04], [0.6, 0.3, 0.1], [0.4, 0.3, 0.3]], np.float32)
    return Predictor("a test", CLASSES, FORM, parts.get("threshold"), lambda pixels: probabilities, parts.get("none"))


def test_without_a_threshold_nothing_is_confident() -> None:
    found = predictor().predict_pixels(draw_bars(3).pixels)
    assert [each.confident for each in found] == [False] * 3
    assert {each.reason for each in found} == {NOT_CALIBRATED}


def test_the_reason_tells_unsure_from_none_of_these() -> None:
    none = NoneOfThese(confidence=0.5, false_rate=0.05, caught={"noise": 0.9})
    found = predictor(threshold=Threshold(confidence=0.8, error_rate=0.02), none=none).predict_pixels(
        draw_bars(3).pixels
    )
    assert found[0].confident
    assert "at most 2.0% are wrong" in (found[1].reason or "")
    assert "like none of the classes" in (found[2].reason or "")


def test_the_rule_for_none_of_these_keeps_its_rate_and_measures_what_it_catches() -> None:
    """A classifier that is confident in proportion to the brightest pixel: flat noise of low contrast is caught."""
    data = draw_bars(400)

    def by_brightness(images: np.ndarray) -> np.ndarray:
        return 6 * images.max((1, 2, 3))[:, None] * np.array([[1, 0, 0]], np.float32)

    rule = none_of_these(by_brightness, data)
    assert rule is not None
    logits = by_brightness(data.pixels.astype(np.float32) / 255)
    confidence = np.exp(logits[:, 0]) / np.exp(logits).sum(1)
    assert (confidence < rule.confidence).mean() == pytest.approx(0.05, abs=0.02)
    assert set(rule.caught) >= {"noise", "photographs"}
    assert "letters" not in rule.caught  # which may be a class
    assert none_of_these(by_brightness, draw_bars(99)) is None


def test_the_same_command_finds_its_pilots_instead_of_running_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pilot, "PILOT_STEPS", 1)
    run_once = pilot._accuracies
    calls = list[str]()

    def counted(fit: LabelledImages, held_out: LabelledImages, settings: TrainingSettings) -> np.ndarray:
        calls.append(settings.augmentation)
        return run_once(fit, held_out, settings)

    monkeypatch.setattr(pilot, "_accuracies", counted)
    data, settings = draw_bars(180, channels=3), TrainingSettings(model="resnet", augmentation="photo")
    first = run_pilots(data, settings, store=tmp_path / "kept")
    after_first = len(calls)
    assert run_pilots(data, settings, store=tmp_path / "kept") == first
    assert len(calls) == after_first > 0
    run_pilots(data.select(np.arange(170)), settings, store=tmp_path / "kept")  # other images
    assert len(calls) == 2 * after_first
    monkeypatch.setattr(pilot, "package_digest", lambda: "other code")
    run_pilots(data, settings, store=tmp_path / "kept")
    assert len(calls) == 3 * after_first


def test_pilots_refuse_a_change_that_exchanges_classes() -> None:
    """The class is the side on which a bar is: mirrored images are of the other class. Light or dark says nothing."""
    random = np.random.default_rng(0)
    labels = np.arange(240) % 2
    pixels = random.integers(100, 140, (240, 1, 16, 16)).astype(np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        place = 2 + 9 * label + random.integers(3)
        image[:, 2:14, place : place + 2] = random.choice([20, 230])
    data = LabelledImages(pixels, labels, np.arange(240), ("left", "right"), "sides", "train")
    found = run_pilots(data, RECIPES["photo"].settings)
    assert found is not None
    (mirrored,) = (accuracy for name, accuracy in found.accuracies.items() if "mirrored" in name)
    assert max(found.accuracies.values()) > 0.9
    assert mirrored < 0.8
    assert "mirrored" not in found.augmentation
    assert run_pilots(data.select(np.arange(40)), RECIPES["photo"].settings) is None


def test_with_groups_the_augmentation_stays_strong(monkeypatch: pytest.MonkeyPatch) -> None:
    """New groups differ in more than held-out images of known ones: only changes of the classes' meaning are tried."""
    tried: list[str] = []

    def accuracies(fit: LabelledImages, held_out: LabelledImages, settings: TrainingSettings) -> np.ndarray:
        tried.append(settings.augmentation)
        return np.full(5, 0.5)

    monkeypatch.setattr(pilot, "_accuracies", accuracies)
    for groups, strengths in ((np.arange(240) // 20, ["photo"]), (None, ["photo", "mild_photo", "shifted_photo"])):
        tried.clear()
        found = run_pilots(replace(draw_bars(240), groups=groups), RECIPES["photo"].settings)
        assert found is not None
        assert found.augmentation == "photo"
        assert tried == [*strengths, "mirrored_photo", "recoloured_photo"]


@pytest.mark.parametrize(
    ("mild", "shifted", "chosen"),
    [
        ([0.9, 0.9, 0.8, 0.9, 0.8], [0.9, 0.9, 0.8, 0.9, 0.8], "mild_photo"),  # as accurate: the stronger one
        ([0.9, 0.9, 0.8, 0.9, 0.8], [0.9, 0.9, 0.9, 0.9, 0.8], "shifted_photo"),
        ([0.2, 0.9, 0.9, 0.4, 0.4], [0.2, 0.9, 0.5, 0.5, 0.5], "photo"),  # better in the mean, by few of them
        ([0.4, 0.4, 0.4, 0.4, 0.4], [0.5, 0.5, 0.5, 0.5, 0.5], "photo"),
    ],
)
def test_a_weaker_augmentation_is_used_where_it_is_shown_to_be_better(
    mild: list[float], shifted: list[float], chosen: str
) -> None:
    accuracies = {"photo": [0.5, 0.6, 0.5, 0.5, 0.5], "mild_photo": mild, "shifted_photo": shifted}
    assert pilot._strength({name: np.array(each) for name, each in accuracies.items()}) == chosen


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_class_weights_have_mean_1_and_favour_rare_classes(balance: float) -> None:
    labels = torch.tensor([0] * 80 + [1] * 20 + [OOD_LABEL] * 10)
    weights = class_weights(labels, 3, balance)
    assert (weights[labels[labels >= 0]]).mean() == pytest.approx(1, rel=1e-5)
    assert weights[1] / weights[0] == pytest.approx(4**balance, rel=1e-5)
    assert TrainingSettings(class_balance=balance).class_balance == balance


def test_images_beyond_memory_are_trained_on_from_files_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_folder(tmp_path / "bars", 20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run("train", "--data", data, *QUICK, "--out", tmp_path / "in memory")
    monkeypatch.setattr(large_arrays, "limit_bytes", lambda: 1000)
    assert isinstance(load_data(data).train.pixels, np.memmap)
    run("train", "--data", data, *QUICK, "--out", tmp_path / "in files")
    weights = [path.read_bytes() for path in sorted(tmp_path.glob("in */photo-*/model.safetensors"))]
    assert len(weights) == 2
    assert weights[0] == weights[1]
