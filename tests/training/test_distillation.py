"""Learning from trained networks: what is expected what they say, and they are named in the run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars, write_idx
from helpers.commands import SHORT, refused, run
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.models.classifier import as_classifier, ensemble
from imparfait.models.registry import build
from imparfait.training.distillation import DistillationTraining
from imparfait.training.loop import OOD_LABEL
from imparfait.training.settings import TrainingSettings

ONE_THREAD = ComputeConfig(threads=1)
SETTINGS = TrainingSettings(
    model_args={"filters": 8, "depth": 1, "frame": 8}, batch_size=20, augmentation="clean", epochs=30
)


class SaysTheNext(nn.Module):
    """Tells a bar by how much ink is in rows and in columns, and calls it by the name of the next class."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        ink = images.mean(1)
        flat, steep = ink.mean(2).amax(1) > 0.3, ink.mean(1).amax(1) > 0.3
        label = torch.where(flat & steep, 2, torch.where(flat, 0, 1))
        return self.scale * 8 * nn.functional.one_hot((label + 1) % 3, 3).float()


def taught(*teachers: nn.Module, nothing: float = 0.0) -> tuple[DistillationTraining, nn.Module]:
    settings = SETTINGS.model_copy(update={"nothing": nothing})
    model = build("petit", channels=1, classes=3, model_args=settings.model_args)
    return DistillationTraining(teachers, model, draw_bars(60), settings, ONE_THREAD), model


def test_a_student_answers_as_its_teacher_does_and_not_as_the_labels_say() -> None:
    training, model = taught(SaysTheNext())
    for _ in training:
        pass
    data = draw_bars(60, first_source=500)
    said = as_classifier(model, ONE_THREAD)(data.pixels.astype(np.float32) / 255).argmax(1)
    assert (said == (data.labels + 1) % 3).mean() > 0.9


def test_several_teach_as_one() -> None:
    teachers = [build("petit", channels=1, classes=3, model_args=SETTINGS.model_args, seed=seed) for seed in (1, 2, 3)]
    training, _ = taught(*teachers)
    images = torch.rand(7, 1, 16, 16)
    together = ensemble([as_classifier(each, ONE_THREAD) for each in teachers])(images.numpy())
    expected = training.targets(torch.arange(7), images)
    assert torch.allclose(expected, torch.from_numpy(together).softmax(1))
    assert torch.allclose(expected.sum(1), torch.ones(7))


def test_of_nothing_teachers_are_not_asked() -> None:
    training, _ = taught(SaysTheNext(), ood_fraction=0.5)
    nothing = training.labels == OOD_LABEL
    expected = training.targets(torch.arange(len(nothing)), training.pixels / 255)
    assert nothing.any()
    assert torch.allclose(expected[nothing], torch.full((int(nothing.sum()), 3), 1 / 3))
    assert (expected[~nothing].amax(1) > 0.9).all()


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "bars", draw_bars(120), draw_bars(30, first_source=120))


def test_a_run_names_its_teachers_whatever_their_order(bars: Path, tmp_path: Path) -> None:
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


def test_teachers_that_cannot_teach_are_one_sentence(bars: Path, tmp_path: Path) -> None:
    words = ["train", "--data", bars, *SHORT, "--out", tmp_path / "runs"]
    run(*words)
    (teacher,) = (tmp_path / "runs").iterdir()
    run(*words, "--final")
    (seen,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir() and path != teacher)
    few = draw_bars(60)
    two = write_idx(tmp_path / "two", few.select(few.labels != 2), None)
    colour = write_idx(tmp_path / "colour", draw_bars(60, channels=3), None)
    before = sorted((tmp_path / "runs").iterdir())
    by = ["--teacher", teacher]
    for told, sentence in (
        ([*words, *by, *by], "is a teacher already; leave it out, or name another run"),
        ([*words, "--teacher", seen], "was fitted on the validation images too, which would be reported on here"),
        ([*words, *by, "--data", two], "tells 0, 1, 2 apart; a teacher's classes are those of the images, 0, 1"),
        ([*words, *by, "--data", colour], "takes images of 16×16 pixels and 1 channel; these are of 16×16 pixels"),
        ([*words, "--teacher", "nowhere"], "nowhere: no classifier there; give a run folder"),
    ):
        assert sentence in refused(*told)
    assert sorted((tmp_path / "runs").iterdir()) == before
