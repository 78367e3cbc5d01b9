"""Classes held out in turn: what is measured, where it is stored, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.commands import refused, run

from imparfait.core.types import Classifier
from imparfait.data.dataset import LabelledImages
from imparfait.data.split_dataset import Dataset
from imparfait.inference.loading import load_predictor
from imparfait.models.metadata import read_config
from imparfait.training import held_out_classes
from imparfait.training.held_out_classes import caught_when_held_out
from imparfait.training.recipes import RECIPES
from imparfait.training.run import Run, prepare_run

NAMES = ("a", "b", "c", "d", "e", "f")
STEP = 40  # of the grey level from class to class
UNCERTAIN = {"a", "d"}  # classes that the stand-in, where it never saw them, is unsure of
SMALL = """model = "resnet"
model_args = {filters = 8, depth = 1}
augmentation = "photo"
epochs = 1
"""


def greys(images: int = 900) -> LabelledImages:
    """Images of one grey level for each class."""
    labels = np.arange(images) % len(NAMES)
    pixels = np.broadcast_to((STEP * labels).astype(np.uint8)[:, None, None, None], (images, 1, 8, 8))
    return LabelledImages(np.ascontiguousarray(pixels), labels, np.arange(images), NAMES, "greys", "train")


def prepared(data: LabelledImages) -> Run:
    settings = RECIPES["photo"].settings.model_copy(update={"epochs": 1})
    return prepare_run(Dataset(data), settings, "photo", fixed={"augmentation", "epochs"})[0]


def test_each_class_is_missing_once_and_only_its_images_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, ...]] = []

    def stand_in(_run: Run, data: LabelledImages) -> Classifier:
        assert {NAMES[level // STEP] for level in np.unique(data.pixels)} == set(data.classes)
        assert set(np.unique(data.labels)) == set(range(len(data.classes)))
        trained.append(data.classes)

        def classify(images: np.ndarray) -> np.ndarray:
            names = np.array(NAMES)[np.round(images[:, 0, 0, 0] * 255 / STEP).astype(int)]
            unsure = np.isin(names, list(UNCERTAIN)) & ~np.isin(names, data.classes)
            return np.where(unsure, 0, 5)[:, None] * np.eye(len(data.classes), dtype=np.float32)[:1]

        return classify

    monkeypatch.setattr(held_out_classes, "_trained", stand_in)
    run = prepared(greys())
    expected = {name: float(name in UNCERTAIN) for name in NAMES}
    assert caught_when_held_out(run, tmp_path / "kept") == expected
    missing = [set(NAMES) - set(classes) for classes in trained]
    assert len(missing) == 4
    assert sorted(name for each in missing for name in each) == sorted(NAMES)
    next((tmp_path / "kept").iterdir()).unlink()
    assert caught_when_held_out(run, tmp_path / "kept") == expected
    assert len(trained) == 5  # only the one that was gone was trained again


def test_train_stores_the_rates_also_of_a_run_that_was_finished_without_them(tmp_path: Path) -> None:
    data = write_idx(tmp_path / "bars", draw_bars(960), None)
    settings = tmp_path / "small.toml"
    settings.write_text(SMALL, encoding="utf-8")
    words = ("train", "--data", data, "--settings", settings, "--out")
    run(*words, tmp_path / "before")
    assert "classes held out of training" in run(*words, tmp_path / "before", "--held-out-classes")
    again = json.loads(run(*words, tmp_path / "before", "--held-out-classes", "--json"))
    said = run(*words, tmp_path / "runs", "--held-out-classes")
    assert "classes held out of training" in said
    (folder,), (earlier,) = ([*out.iterdir()] for out in (tmp_path / "runs", tmp_path / "before"))
    rule = read_config(folder).none_of_these
    assert rule is not None
    assert set(rule.held_out_classes) == {"0", "1", "2"}
    assert read_config(earlier).none_of_these == rule
    assert again["none_of_these"]["held_out_classes"] == rule.held_out_classes
    assert "classes held out of training" in (folder / "README.md").read_text(encoding="utf-8")
    assert load_predictor(str(folder)).none_of_these == rule


@pytest.mark.parametrize(
    ("images", "more", "said"),
    [
        (960, ("--recipe", "photo", "--augmentation", "photo", "--final"), "found on validation images"),
        (960, ("--init-from", "digits"), "--held-out-classes with --init-from"),
        (300, ("--recipe", "photo", "--augmentation", "photo"), "are of the classes that are left"),
    ],
    ids=["final", "initial weights", "few images"],
)
def test_what_cannot_be_measured_is_refused_before_the_training(
    tmp_path: Path, images: int, more: tuple[str, ...], said: str
) -> None:
    data = write_idx(tmp_path / "bars", draw_bars(images), draw_bars(12))
    assert said in refused("train", "--data", data, *more, "--held-out-classes", "--out", tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*"))
