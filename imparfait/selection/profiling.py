"""Throughput of candidates on this machine, measured while nothing else runs."""

import statistics
import time
from collections.abc import Sequence

import torch
from pydantic import BaseModel
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import lookup
from imparfait.core.hardware import bf16_agrees, has_bf16_units, torch_threads
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import subsample
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import custom_fingerprint
from imparfait.models.registry import check_outputs
from imparfait.selection.candidates import Candidate
from imparfait.training.loop import Training, network_for
from imparfait.training.settings import TrainingSettings

TURNS = 3  # measurements per candidate, of which the median counts
TURN_SECONDS = 0.7  # duration of one measurement
PROFILE_IMAGES = 2000  # images a candidate is measured on
JOB_OVERHEAD_SECONDS = 0.02  # per job, beside training and evaluation; results/executors
CORE_CORRUPTED_PER_SECOND = 90_000  # images per thread: 97,500 geometric, 86,800 shrunk; MNIST
SUITE_CORRUPTED_PER_SECOND = 25_000  # the other thirty, all severities: 22,900 and 26,300 in CPU time; MNIST


class CandidateProfile(BaseModel, frozen=True):
    """A candidate with its compute configuration, and its throughput there while nothing else runs."""

    name: str
    settings: TrainingSettings
    network: str
    """sha256 of the file of a custom network."""
    own_epochs: int
    """Epochs of its recipe or file; those in `settings` are what it is evaluated after."""
    compute: ComputeConfig
    num_parameters: int
    """Weights, biases, running means and variances."""
    train_throughput: float
    """Images/s in training, alone on `compute`."""
    eval_throughput: float
    """Images/s in evaluation, corruptions not counted."""

    def training_seconds(self, images: int) -> float:
        """Predicted duration of training on so many images, alone."""
        return self.settings.epochs * images_per_epoch(self.settings, images) / self.train_throughput

    def job_seconds(self, fit: int, held_out: int, corruptions: Sequence[tuple[str, float]] = CORE_SUITE) -> float:
        """Predicted duration of a job that trains on `fit` images and evaluates `held_out`, alone."""
        core = {name for name, _ in CORE_SUITE}
        seconds_to_corrupt = sum(
            1 / (CORE_CORRUPTED_PER_SECOND if name in core else SUITE_CORRUPTED_PER_SECOND)
            for name, severity in corruptions
            if severity > 0
        )
        evaluation = held_out * (len(corruptions) / self.eval_throughput + seconds_to_corrupt)
        return self.training_seconds(fit) + evaluation + JOB_OVERHEAD_SECONDS


def network_and_compute(
    settings: TrainingSettings, images: LabelledImages, threads: int
) -> tuple[nn.Module, ComputeConfig]:
    """The network of these settings for such images, and the compute configuration of its jobs: CPU threads.

    Precision by the fixed rule: bfloat16 on a CPU with bf16 units if the network's outputs agree. Raises UserError
    when they are not logits of the right shape.
    """
    with torch_threads(threads):
        model = network_for(settings, images)
        batch = torch.from_numpy(images.pixels[: settings.batch_size]) / 255
        check_outputs(model, batch, len(images.classes), settings.model)
        fast = has_bf16_units() and bf16_agrees(model, batch)
    return model, ComputeConfig(threads=threads, precision="bfloat16" if fast else "float32")


def profile_candidates(
    candidates: Sequence[Candidate], data: LabelledImages, threads: int = 1, turns: int = TURNS
) -> list[CandidateProfile]:
    """Measure the throughput of each candidate in turn (A B C A B C A B C) and take each one's median."""
    part = subsample(data, PROFILE_IMAGES)
    images = part.pixels.astype("float32") / 255
    measured = []
    for candidate in candidates:
        lookup("augmentation", candidate.settings.augmentation, AUGMENTATIONS)
        model, compute = network_and_compute(candidate.settings, part, threads)
        # Too small a step size to diverge: whether it diverges is for its jobs to find out.
        endless = candidate.settings.model_copy(update={"epochs": 10**6, "learning_rate": 1e-9})
        training = Training(model, part, endless, compute)
        measured.append((candidate, compute, model, training, iter(training)))
    train_throughput: list[list[float]] = [[] for _ in measured]
    eval_throughput: list[list[float]] = [[] for _ in measured]
    for turn in range(turns):
        for index, (candidate, compute, model, training, steps) in enumerate(measured):
            if turn == 0:
                for _ in range(3):  # warm-up
                    next(steps)
            images_per_step = images_per_epoch(candidate.settings, len(part)) / training.steps_an_epoch
            done, started = 0, time.perf_counter()
            while time.perf_counter() - started < TURN_SECONDS:
                next(steps)
                done += 1
            train_throughput[index].append(images_per_step * done / (time.perf_counter() - started))
            started = time.perf_counter()
            with torch_threads(threads):
                as_classifier(model, compute)(images)
            eval_throughput[index].append(len(part) / (time.perf_counter() - started))
    return [
        CandidateProfile(
            name=candidate.name,
            settings=candidate.settings,
            own_epochs=candidate.settings.epochs,
            network=custom_fingerprint(candidate.settings.model),
            compute=compute,
            num_parameters=sum(tensor.numel() for tensor in model.state_dict().values() if tensor.is_floating_point()),
            train_throughput=statistics.median(train_throughput[index]),
            eval_throughput=statistics.median(eval_throughput[index]),
        )
        for index, (candidate, compute, model, _, _) in enumerate(measured)
    ]


def images_per_epoch(settings: TrainingSettings, images: int) -> int:
    """Images that an epoch shows when training on `images`, out-of-distribution ones included."""
    return AUGMENTATIONS[settings.augmentation].images_per_epoch(images + round(settings.ood_fraction * images))
