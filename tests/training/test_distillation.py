"""Knowledge distillation: the targets are the teachers' predictions, and the run records its teachers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars, write_idx
from helpers.commands import SHORT, refused, run
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.data.ood.outlier_exposure import OOD_LABEL
from imparfait.models.classifier import as_classifier, ensemble
from imparfait.models.registry import build
from imparfait.training.distillation import distillation_targets
from imparfait.training.loop import Training
from imparfait.training.settings import TrainingSettings

ONE_THREAD = ComputeConfig(threads=1)
SETTINGS = TrainingSettings(
    model_args={"filters": 8, "depth": 1, "frame": 8}, batch_size=20, augmentation="clean", epochs=30
)


class PredictsTheNext(nn.Module):
    """Recognises a bar by the foreground in rows and columns, and predicts the next class instead."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        ink = images.mean(1)
        flat, steep = ink.mean(2).amax(1) > 0.3, ink.mean(1).amax(1) > 0.3
        label = torch.where(flat & steep, 2, torch.where(flat, 0, 1))
        return self.scale * 8 * nn.functional.one_hot((label + 1) % 3, 3).float()


def distilled(*teachers: nn.Module, ood_fraction: float = 0.0) -> tuple[Training, nn.Module]:
    settings = SETTINGS.model_copy(update={"ood_fraction": ood_fraction})
    model = build("petit", channels=1, classes=3, model_args=settings.model_args)
    targets = distillation_targets(teachers, 3, ONE_THREAD)
    return Training(model, draw_bars(60), settings, ONE_THREAD, targets=targets), model


def test_a_student_predicts_as_its_teacher_and_not_as_the_labels() -> None:
    training, model = distilled(PredictsTheNext())
    for _ in training:
        pass
    data = draw_bars(60, first_source=500)
    predicted = as_classifier(model, ONE_THREAD)(data.pixels.astype(np.float32) / 255).argmax(1)
    assert (predicted == (data.labels + 1) % 3).mean() > 0.9


def test_several_teachers_are_an_ensemble() -> None:
    teachers = [build("petit", channels=1, classes=3, model_args=SETTINGS.model_args, seed=seed) for seed in (1, 2, 3)]
    training, _ = distilled(*teachers)
    images = torch.rand(7, 1, 16, 16)
    together = ensemble([as_classifier(teacher, ONE_THREAD) for teacher in teachers])(images.numpy())
    expected = training.targets(torch.zeros(7, dtype=torch.int64), images)
    assert torch.allclose(expected, torch.from_numpy(together).softmax(1))
    assert torch.allclose(expected.sum(1), torch.ones(7))


def test_out_of_distribution_images_keep_equal_probabilities() -> None:
    training, _ = distilled(PredictsTheNext(), ood_fraction=0.5)
    is_ood = training.labels == OOD_LABEL
    expected = training.targets(training.labels, training.pixels / 255)
    assert is_ood.any()
    assert torch.allclose(expected[is_ood], torch.full((int(is_ood.sum()), 3), 1 / 3))
    assert (expected[~is_ood].amax(1) > 0.9).all()


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "bars", draw_bars(120), draw_bars(30, first_source=120))


def test_a_run_records_its_teachers_in_whatever_order(bars: Path, tmp_path: Path) -> None:
    words = ["train", "--data", bars, *SHORT, "--out"]
    teachers = []
    for seed in ("1", "2"):
        run(*words, tmp_path / "teachers", "--seed", seed)
    teachers = sorted((tmp_path / "teachers").iterdir())
    first, second = (["--teacher", teacher] for teacher in teachers)
    run(*words, tmp_path / "runs", *first, *second)
    (folder,) = (tmp_path / "runs").iterdir()
    assert "already trained" in run(*words, tmp_path / "runs", *second, *first)
    run(*words, tmp_path / "runs")
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert set(json.loads((folder / "settings.json").read_text())["origins"]) == {"teacher 1", "teacher 2"}


def test_unsuitable_teachers_are_user_errors(bars: Path, tmp_path: Path) -> None:
    words = ["train", "--data", bars, *SHORT, "--out", tmp_path / "runs"]
    run(*words)
    (teacher,) = (tmp_path / "runs").iterdir()
    run(*words, "--final")
    (seen,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir() and path != teacher)
    data = draw_bars(60)
    two = write_idx(tmp_path / "two", data.select(data.labels != 2), None)
    colour = write_idx(tmp_path / "colour", draw_bars(60, channels=3), None)
    before = sorted((tmp_path / "runs").iterdir())
    by = ["--teacher", teacher]
    for arguments, phrase in (
        ([*words, *by, *by], "is a teacher already; leave it out, or name another run"),
        ([*words, "--teacher", seen], "was trained on the validation images too"),
        ([*words, *by, "--data", two], "was trained on the classes 0, 1, 2; expected a teacher for the classes"),
        ([*words, *by, "--data", colour], "takes images of 16×16 pixels and 1 channel; expected a teacher for images"),
        ([*words, "--teacher", "nowhere"], "nowhere: no such model; expected a run folder"),
    ):
        assert phrase in refused(*arguments)
    assert sorted((tmp_path / "runs").iterdir()) == before
