"""The trainings of the final networks: each resumable, in a run folder of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from imparfait.data.dataset import LabelledImages
from imparfait.data.sealed_test import SealedTest
from imparfait.study.final_runs import FinalRun, read_final_run
from imparfait.training.run import Run, new_run
from imparfait.training.settings import TrainingSettings


@dataclass(frozen=True, eq=False)
class FinalTrainings:
    """Trainings by name, on the same images; evaluated on the test set where it is given, else on `held_out`."""

    settings: Mapping[str, tuple[str, TrainingSettings]]
    """Recipe and settings of each."""
    fit: LabelledImages
    held_out: LabelledImages
    """Not trained on; calibrates where the test set is given."""
    out: Path
    test: SealedTest | None = None

    def run(self, name: str) -> tuple[Run, nn.Module]:
        """A training and its initial network: on one thread, so that several run in parallel."""
        recipe, settings = self.settings[name]
        calibration = self.held_out if self.test else None
        run, model = new_run(
            recipe, settings, self.fit, final=bool(self.test), validation=self.held_out, calibration=calibration
        )
        return replace(run, compute=run.compute.model_copy(update={"threads": 1})), model

    def is_trained(self, name: str) -> bool:
        """Whether the folder of a training is there."""
        return self._folder(name).exists()

    def result(self, name: str) -> FinalRun:
        """A finished training, read from its folder."""
        return read_final_run(name, self._folder(name))

    def _folder(self, name: str) -> Path:
        return self.out / self.run(name)[0].name
