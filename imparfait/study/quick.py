"""The quick study: one network trained on clean digits and on corrupted ones, evaluated on validation images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imparfait.data.load import Dataset
from imparfait.data.splits import split, subsample
from imparfait.selection.candidates import Candidate
from imparfait.selection.plan import parallel_seconds
from imparfait.selection.profiling import CandidateProfile, profile_candidates
from imparfait.study.final_runs import FinalRun
from imparfait.study.final_trainings import FinalTrainings
from imparfait.study.plan import Stage
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import TrainingSettings

IMAGES = 9_000  # of the 60,000 training images
HELD_OUT_SHARE = 1 / 9  # of them to evaluate on
CLEAN, CORRUPTED = "cnn, clean only", "cnn, clean and corrupted"
AUGMENTATIONS = {CLEAN: "clean", CORRUPTED: "core"}
"""The networks, and what each is trained on: as many images and steps, so that only the augmentation differs."""
# The annex's constant 1e-4 would need more epochs. Batches stay small: batch normalisation adapts a hundredth a step.
SETTINGS = {"epochs": 3, "schedule": "one_cycle", "learning_rate": 3e-3}
START_SECONDS = 10.0  # of a training's process, beside training and evaluation: importing, figures


def quick_settings() -> dict[str, TrainingSettings]:
    """The settings of each network."""
    study = RECIPES["study"].settings.model_copy(update=SETTINGS)
    return {name: study.model_copy(update={"augmentation": one}) for name, one in AUGMENTATIONS.items()}


def quick_stage_names() -> list[str]:
    """The names of its stages, in order."""
    return [f"final {name}" for name in AUGMENTATIONS]


@dataclass(frozen=True, eq=False)
class QuickStudy:
    """What was measured, on validation images."""

    classes: tuple[str, ...]
    finals: Mapping[str, FinalRun]

    @property
    def clean(self) -> FinalRun:
        """The network trained on clean digits."""
        return self.finals[CLEAN]

    @property
    def corrupted(self) -> FinalRun:
        """The network trained on clean and corrupted digits."""
        return self.finals[CORRUPTED]

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return {"scale": "quick", "finals": [final.to_json() for final in self.finals.values()]}


class QuickRun:
    """The quick study, with its runs in the folder `out`."""

    def __init__(self, dataset: Dataset, out: Path, workers: int):
        self.workers = workers
        self.classes = dataset.train.classes
        fit, held_out = split(subsample(dataset.train_and_val(), IMAGES), HELD_OUT_SHARE)
        settings = {name: ("study", of_name) for name, of_name in quick_settings().items()}
        self.finals = FinalTrainings(settings, fit, held_out, out)

    def stages(self) -> list[Stage]:
        """Its trainings and their predicted duration; measures the network's throughput."""
        fit, held_out = len(self.finals.fit), len(self.finals.held_out)
        candidates = [Candidate(name, settings) for name, settings in quick_settings().items()]
        [profile] = profile_candidates(candidates[:1], self.finals.fit, turns=1)
        return [Stage("final", one.name, 1, _seconds(profile, one.settings, fit, held_out)) for one in candidates]

    def seconds(self, stages: list[Stage]) -> float:
        """Predicted duration of all."""
        together = sum(stage.seconds for stage in stages)
        return max(*(stage.seconds for stage in stages), parallel_seconds(together, self.workers))

    @property
    def result(self) -> QuickStudy:
        """What was measured, once both networks are trained."""
        return QuickStudy(tuple(self.classes), {name: self.finals.result(name) for name in AUGMENTATIONS})


def _seconds(profile: CandidateProfile, settings: TrainingSettings, fit: int, held_out: int) -> float:
    """Predicted duration of a training that is evaluated after each epoch and once more at its end."""
    of_settings = profile.model_copy(update={"settings": settings})
    evaluation = of_settings.job_seconds(0, held_out)
    return of_settings.training_seconds(fit) + (settings.epochs + 1) * evaluation + START_SECONDS
