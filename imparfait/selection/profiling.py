"""What contenders can do on this machine, measured with nothing beside them."""

import statistics
import time
from collections.abc import Sequence

import torch
from pydantic import BaseModel
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import lookup
from imparfait.core.hardware import bf16_agrees, has_bf16_units
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import subsample
from imparfait.models import check_answers
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import custom_fingerprint
from imparfait.selection.candidates import Candidate
from imparfait.training.loop import Training, network_for
from imparfait.training.settings import TrainingSettings

TURNS, TURN = 3, 0.7  # the exclusive pass: each contender so often, for so many seconds
FEW = 2000  # images it learns from and is asked in that pass
AROUND = 0.02  # seconds a job takes beside training and judging, results/2026-11-24-executors
ALTERING = 90_000  # images/s that one thread alters for judging: 97,500 geometric, 86,800 shrunk, MNIST's
ALTERING_ELSE = 25_000  # … by the suite's other thirty, all levels: 22,900 and 26,300 in CPU time, MNIST's


class CandidateProfile(BaseModel, frozen=True):
    """A contender with its machine, and what it can do there when it has it to itself."""

    name: str
    settings: TrainingSettings
    network: str
    own_epochs: int
    """Of its recipe or file; it is judged after those in its settings."""
    compute: ComputeConfig
    numbers: int
    """Weights, biases and running means and variances."""
    learns: float
    """Images/s in training, alone on `machine`."""
    answers: float
    """Images/s in judging."""

    def training_seconds(self, images: int) -> float:
        """What training on so many images takes, alone."""
        return self.settings.epochs * shown_an_epoch(self.settings, images) / self.learns

    def job_seconds(self, fit: int, held_out: int, corruptions: Sequence[tuple[str, float]] = CORE_SUITE) -> float:
        """What a job that is judged on `corruptions` takes, alone."""
        quick = {name for name, _ in CORE_SUITE}
        altering = sum(1 / (ALTERING if name in quick else ALTERING_ELSE) for name, level in corruptions if level > 0)
        judging = held_out * (len(corruptions) / self.answers + altering)
        return self.training_seconds(fit) + judging + AROUND


def network_of(settings: TrainingSettings, few: LabelledImages, threads: int) -> tuple[nn.Module, ComputeConfig]:
    """The network of these settings for such images, and the machine of its jobs: so many threads of a CPU.

    Precision by the fixed rule: bfloat16 where there are units for it and the network's answers agree. Raises UserError
    when the network does not answer as it must.
    """
    torch.set_num_threads(threads)
    model = network_for(settings, few)
    images = torch.from_numpy(few.pixels[: settings.batch_size]) / 255
    check_answers(model, images, len(few.classes), settings.model)
    fast = has_bf16_units() and bf16_agrees(model, images)
    return model, ComputeConfig(threads=threads, precision="bfloat16" if fast else "float32")


def measured(
    candidates: Sequence[Candidate], data: LabelledImages, threads: int = 1, turns: int = TURNS
) -> list[CandidateProfile]:
    """What each contender can do, measured in turn with nothing beside it: A B C A B C A B C, the median of each."""
    few = subsample(data, FEW)
    images = few.pixels.astype("float32") / 255
    trials = []
    for each in candidates:
        lookup("augmentation", each.settings.augmentation, AUGMENTATIONS)
        model, compute = network_of(each.settings, few, threads)
        # It learns nothing here: a step size at which it diverges is for its jobs to find out.
        endless = each.settings.model_copy(update={"epochs": 10**6, "learning_rate": 1e-9})
        training = Training(model, few, endless, compute)
        trials.append((each, compute, model, training, iter(training)))
    learns: list[list[float]] = [[] for _ in trials]
    answers: list[list[float]] = [[] for _ in trials]
    for turn in range(turns):
        for index, (each, compute, model, training, steps) in enumerate(trials):
            if turn == 0:
                for _ in range(3):  # the first steps set up what later ones use
                    next(steps)
            a_step = shown_an_epoch(each.settings, len(few)) / training.steps_an_epoch
            done, started = 0, time.perf_counter()
            while time.perf_counter() - started < TURN:
                next(steps)
                done += 1
            learns[index].append(a_step * done / (time.perf_counter() - started))
            started = time.perf_counter()
            as_classifier(model, compute)(images)
            answers[index].append(len(few) / (time.perf_counter() - started))
    return [
        CandidateProfile(
            name=each.name,
            settings=each.settings,
            own_epochs=each.settings.epochs,
            network=custom_fingerprint(each.settings.model),
            compute=compute,
            numbers=sum(tensor.numel() for tensor in model.state_dict().values() if tensor.is_floating_point()),
            learns=statistics.median(learns[index]),
            answers=statistics.median(answers[index]),
        )
        for index, (each, compute, model, _, _) in enumerate(trials)
    ]


def shown_an_epoch(settings: TrainingSettings, images: int) -> int:
    """Images that an epoch shows, of so many to fit on and those of nothing beside them."""
    return AUGMENTATIONS[settings.augmentation].shown(images + round(settings.ood_fraction * images))
