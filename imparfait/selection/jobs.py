"""Jobs: train on all folds but one and evaluate on that fold; frozen values, run by a pure function."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import Bool, Int64, Integer
from pydantic import BaseModel, NonNegativeInt, PositiveInt, model_validator

from imparfait.core.code_digest import digest_of
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.hardware import arithmetic_variables, torch_threads
from imparfait.core.storage import fingerprint
from imparfait.core.types import Groups, Labels, Sources
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import check_apart, fold, subsample
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import apply_conditions, conditions_from, weights
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import custom_fingerprint
from imparfait.training.history import train
from imparfait.training.loop import network_for
from imparfait.training.settings import TrainingSettings

PACKAGE = Path(__file__).parents[1]


class Job(BaseModel, frozen=True, extra="forbid"):
    """All that decides a result: images, training settings, held-out fold, corruptions and arithmetic."""

    data: str
    """sha256 of all training images, whatever file they came from."""
    settings: TrainingSettings
    network: str = ""
    """sha256 of the file of a custom network; empty for a model of the package."""
    compute: ComputeConfig
    partition: NonNegativeInt
    """Number of the random split into folds."""
    folds: PositiveInt = 5
    fold: NonNegativeInt
    """The held-out fold, 0..folds - 1."""
    images: PositiveInt | None = None
    """Number of training images used, the held-out ones included; None for all."""
    groups: str = ""
    """sha256 of their groups, which stay on one side of each split; empty without groups."""
    corruptions: tuple[tuple[str, float], ...] = CORE_SUITE
    """Corruptions and severities that the held-out fold is evaluated under."""

    @model_validator(mode="after")
    def _check_fold(self) -> Job:
        assert self.fold < self.folds, f"fold {self.fold} of {self.folds}"
        return self

    @property
    def key(self) -> str:
        """sha256 of the job, of the code that computes it, PyTorch's version and variables that change arithmetic."""
        variables = (f"{name}={value}" for name, value in arithmetic_variables().items())
        return fingerprint(self, code_digest(), torch.__version__, *variables)

    @property
    def provenance(self) -> Provenance:
        """Where a result of this process is computed."""
        return provenance_here()

    def run(self, data: LabelledImages) -> JobResult:
        """What `run_job` returns."""
        return run_job(self, data)

    def failed(self, cause: str) -> JobResult:
        """The result of a job that no worker could run; the next call tries again."""
        return failure(cause, permanent=False)

    def read(self, content: bytes) -> JobResult:
        """The result that its `to_bytes` wrote."""
        return JobResult.from_bytes(content)


@dataclass(frozen=True)
class Provenance:
    """Where a result was computed: code, PyTorch version, host and CPU instruction set."""

    code: str
    torch: str
    host: str
    instructions: str

    def check_like(self, here: Provenance) -> None:
        """Raises UserError when another machine computed with another version of PyTorch or of the package."""
        if (self.code, self.torch) != (here.code, here.torch):
            raise UserError(
                f"{self.host} has PyTorch {self.torch} and imparfait's code {self.code[:8]}",
                expected=f"PyTorch {here.torch} and code {here.code[:8]}, as on this machine",
                hint="install the same versions on both",
            )


def code_digest(package: Path = PACKAGE) -> str:
    """sha256 of the code that a job's result can depend on: this module and everything it imports from the package."""
    return digest_of(package / "selection" / "jobs.py", package=package)


@cache
def provenance_here() -> Provenance:
    """Code, PyTorch version, host and instruction set of this process."""
    return Provenance(code_digest(), torch.__version__, platform.node(), torch.backends.cpu.get_cpu_capability())


@dataclass(frozen=True, eq=False)
class JobResult:
    """Predictions for each held-out image under each corruption; or the `cause`, if the job failed."""

    sources: Sources
    truths: Labels
    predicted: Integer[np.ndarray, "corruptions n"]
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    """Both measured while other jobs may share the cores: throughput is measured separately."""
    cause: str = ""
    """Why the job failed; empty for a finished one."""
    permanent: bool = True
    """Whether it would come out again: False after a lack of memory or a lost worker."""
    provenance: Provenance = field(default_factory=provenance_here)
    corruptions: tuple[tuple[str, float], ...] = CORE_SUITE
    """Corruption and severity of each row of `predicted`."""
    groups: Groups | None = None
    """Of each held-out image, where the images have groups."""

    @property
    def correct(self) -> Bool[np.ndarray, "corruptions n"]:
        """Which predictions are correct."""
        return np.asarray(self.predicted == self.truths)

    @cached_property
    def weights(self) -> Int64[np.ndarray, " corruptions"]:
        """Weight of each row in the mean."""
        return weights(self.corruptions)

    @cached_property
    def correct_counts(self) -> Int64[np.ndarray, " corruptions"]:
        """Number of images classified correctly, row by row."""
        return np.asarray(self.correct.sum(1))

    @property
    def weighted_correct(self) -> Int64[np.ndarray, " n"]:
        """What each image adds to the mean: its correct predictions by weight, out of `weights.sum()`."""
        return np.asarray(self.weights @ self.correct)

    @property
    def mean(self) -> float | None:
        """The accuracy that is compared: weighted mean over the corruptions, 0..1; None for a failed job."""
        total = int(self.weights.sum()) * len(self.sources)
        return int(self.weights @ self.correct_counts) / total if self.predicted.size else None

    def to_bytes(self) -> bytes:
        """As a safetensors file, with everything but the arrays in its header."""
        names = ("training_seconds", "evaluation_seconds", "cause", "permanent", "corruptions")
        facts = {name: getattr(self, name) for name in names}
        facts["provenance"] = asdict(self.provenance)
        stored = ("sources", "truths", "predicted", *(["groups"] if self.groups is not None else []))
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in stored}
        return safetensors.numpy.save(arrays, {"facts": json.dumps(facts)})

    @staticmethod
    def from_bytes(content: bytes) -> JobResult:
        """The result that `to_bytes` wrote."""
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts: dict[str, Any] = json.loads(header["__metadata__"]["facts"]) | safetensors.numpy.load(content)
        facts["corruptions"] = tuple((name, severity) for name, severity in facts["corruptions"])
        return JobResult(**facts | {"provenance": Provenance(**facts["provenance"])})


def run_job(job: Job, data: LabelledImages) -> JobResult:
    """Train as `job` describes and evaluate on its held-out fold; an exception becomes a result with its cause.

    A pure function of the job and of `data`, all training images: on equal builds and CPU types the predictions are
    equal, bit for bit. The caller must pass the images whose fingerprint is `job.data`, with the groups of
    `job.groups`.

    >>> few = imparfait.load_data("mnist").train.select(range(60))
    >>> settings = imparfait.TrainingSettings(epochs=1, batch_size=20)
    >>> compute = imparfait.ComputeConfig()
    >>> job = imparfait.Job(data=few.fingerprint(), settings=settings, compute=compute, partition=0, folds=2, fold=0)
    >>> imparfait.run_job(job, few).predicted.shape  # conditions, held-out images
    (3, 30)
    """
    try:
        fit, held_out = fold(subsample(data, job.images), job.folds, job.fold, job.partition)
        with torch_threads(job.compute.threads):
            return fit_and_evaluate(job, fit, held_out)
    except Exception as error:
        return failure(_in_one_line(error), permanent=not (_lacked_memory(error) or isinstance(error, ChangedError)))


def fit_and_evaluate(job: Job, fit: LabelledImages, held_out: LabelledImages) -> JobResult:
    """Train on `fit` and evaluate on `held_out`; raises UserError when they share a source image."""
    check_apart(fit, held_out)
    settings = job.settings
    if custom_fingerprint(settings.model) != job.network:
        raise ChangedError(f"{settings.model} is not the file it was when this was planned")
    model = network_for(settings, fit)
    *_, last = train(model, fit, settings, job.compute)
    started = time.perf_counter()
    classifier, rows = as_classifier(model, job.compute), []
    small = np.uint8 if len(fit.classes) <= 256 else np.int32
    for condition in apply_conditions(held_out, conditions_from(job.corruptions)):
        [result] = score_conditions(classifier, [condition]).conditions
        rows.append(result.predicted.astype(small))  # probabilities are dropped: a full suite's would take 80 MB
    seconds = time.perf_counter() - started
    predicted = np.stack(rows)
    return JobResult(
        held_out.sources,
        held_out.labels,
        predicted,
        last.seconds,
        seconds,
        corruptions=job.corruptions,
        groups=held_out.groups,
    )


class ChangedError(UserError):
    """The file of a custom network changed after planning; once it is restored, the job runs."""


def failure(cause: str, permanent: bool = True) -> JobResult:
    """The result of a job that failed."""
    none = np.zeros(0, np.int64)
    return JobResult(none, none, np.zeros((0, 0), np.uint8), cause=cause, permanent=permanent)


def _lacked_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "not enough memory" in str(error) or "can't allocate" in str(error)


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
