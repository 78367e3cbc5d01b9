"""One training on all folds but one, judged on that one: frozen values, run by a pure function."""

import ast
import hashlib
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

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.storage import fingerprint
from imparfait.core.types import Labels, Sources
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import check_apart, fold, subsample
from imparfait.evaluation.scores import evaluate
from imparfait.evaluation.suite import conditions_from, shown, weights
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import custom_fingerprint
from imparfait.training.loop import network_for, train
from imparfait.training.settings import TrainingSettings

PACKAGE = Path(__file__).parents[1]


class Job(BaseModel, frozen=True, extra="forbid"):
    """All that decides an outcome: the images, the training, the fold it is judged on, and the arithmetic."""

    data: str
    """sha256 of all images, wherever they were read from."""
    settings: TrainingSettings
    network: str = ""
    """sha256 of the file of one's own network."""
    compute: ComputeConfig
    partition: NonNegativeInt
    """Which division of the sources into folds."""
    folds: PositiveInt = 5
    fold: NonNegativeInt
    """The fold held out."""
    images: PositiveInt | None = None
    """How many of the images are used, the held-out ones included; None for all."""
    corruptions: tuple[tuple[str, float], ...] = CORE_SUITE
    """What it is judged on: corruptions with their severities."""

    @model_validator(mode="after")
    def _has_its_fold(self) -> "Job":
        assert self.fold < self.folds, f"fold {self.fold} of {self.folds}"
        return self

    @property
    def key(self) -> str:
        """sha256 of the job, of the code that computes and of PyTorch's version."""
        return fingerprint(self, code_digest(), torch.__version__)


@dataclass(frozen=True)
class Provenance:
    """Where an outcome comes from, for those who doubt it."""

    code: str
    torch: str
    host: str
    instructions: str


@cache
def code_digest(package: Path = PACKAGE) -> str:
    """sha256 of the code a job's result can depend on, without comments, docstrings and layout.

    That is this module and all that it imports from the package, at any depth: edit a model and it is another.
    """
    digest = hashlib.sha256()
    for path in imported_files(package / "selection" / "jobs.py", package):
        digest.update(ast.dump(_without_docstrings(path.read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()


def imported_files(start: Path, package: Path = PACKAGE) -> list[Path]:
    """The file `start` and those of the package that it imports, directly or not, sorted; imports in functions too."""
    found, waiting = set[Path](), [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imparfait."):
                for name in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)):
                    waiting += _files_of(name, package)
    return sorted(found)


def _files_of(module: str, package: Path) -> list[Path]:
    """The files that importing a module of the package executes: its own and its packages' `__init__`."""
    _, *parts = module.split(".")
    place = package.joinpath(*parts)
    own = [place.with_suffix(".py"), place / "__init__.py"]
    above = [package.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts))]
    return [path for path in (*own, *above) if path.is_file()]


@cache
def made_here() -> Provenance:
    """The code, PyTorch, host and instruction set of this process."""
    return Provenance(code_digest(), torch.__version__, platform.node(), torch.backends.cpu.get_cpu_capability())


@dataclass(frozen=True, eq=False)
class JobResult:
    """What a job's network said to each held-out image; or, where there is a `cause`, why it said nothing."""

    sources: Sources
    truths: Labels
    said: Integer[np.ndarray, "corruptions n"]
    training_seconds: float = 0.0
    judging_seconds: float = 0.0
    """Both taken where jobs may share cores: images/s are measured apart."""
    cause: str = ""
    lasting: bool = True
    """Whether it would come out again: not so where memory was short or a worker was lost."""
    making: Provenance = field(default_factory=made_here)
    corruptions: tuple[tuple[str, float], ...] = CORE_SUITE
    """What the rows of `said` are answers to."""

    @property
    def correct(self) -> Bool[np.ndarray, "corruptions n"]:
        """Which answers are right."""
        return np.asarray(self.said == self.truths)

    @cached_property
    def weights(self) -> Int64[np.ndarray, " corruptions"]:
        """How much each row counts in the headline."""
        return weights(self.corruptions)

    @cached_property
    def counts(self) -> Int64[np.ndarray, " corruptions"]:
        """How many images are read correctly, row by row."""
        return np.asarray(self.correct.sum(1))

    @property
    def hits(self) -> Int64[np.ndarray, " n"]:
        """What each image adds to the headline: its right answers as they count, of `weights.sum()`."""
        return np.asarray(self.weights @ self.correct)

    @property
    def mean(self) -> float:
        """The mean over the corruptions of the share of right answers: the headline; NaN for a failure."""
        total = int(self.weights.sum()) * len(self.sources)
        return int(self.weights @ self.counts) / total if self.said.size else float("nan")

    def to_bytes(self) -> bytes:
        """As a safetensors file, whose header tells the rest."""
        names = ("training_seconds", "judging_seconds", "cause", "lasting", "corruptions")
        facts = {name: getattr(self, name) for name in names}
        facts["making"] = asdict(self.making)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ("sources", "truths", "said")}
        return safetensors.numpy.save(arrays, {"facts": json.dumps(facts)})

    @staticmethod
    def from_bytes(content: bytes) -> "JobResult":
        """The outcome that `to_bytes` wrote."""
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts: dict[str, Any] = json.loads(header["__metadata__"]["facts"]) | safetensors.numpy.load(content)
        facts["corruptions"] = tuple((name, severity) for name, severity in facts["corruptions"])
        return JobResult(**facts | {"making": Provenance(**facts["making"])})


def run_job(job: Job, data: LabelledImages) -> JobResult:
    """Train as the job says and judge on its held-out fold; whatever goes wrong is an outcome with its cause.

    A function of the job and of `data`, which are all training images: on equal builds and CPU types the answers
    are equal, bit for bit. That `data` are the job's is the caller's to see to.
    """
    try:
        fit, held_out = fold(subsample(data, job.images), job.folds, job.fold, job.partition)
        return fit_and_judge(job, fit, held_out)
    except Exception as error:
        return failure(_in_one_line(error), lasting=not (_lacked_memory(error) or isinstance(error, ChangedError)))


def fit_and_judge(job: Job, fit: LabelledImages, held_out: LabelledImages) -> JobResult:
    """Train on `fit` and judge on `held_out`; raises UserError when they share a source image."""
    check_apart(fit, held_out)
    settings = job.settings
    if custom_fingerprint(settings.model) != job.network:
        raise ChangedError(f"{settings.model} is not the file it was when this was planned")
    model = network_for(settings, fit)
    *_, last = train(model, fit, settings, job.compute)
    started = time.perf_counter()
    classifier, said = as_classifier(model, job.compute), []
    small = np.uint8 if len(fit.classes) <= 256 else np.int32
    for part in shown(held_out, conditions_from(job.corruptions)):
        [answers] = evaluate(classifier, [part]).parts
        said.append(answers.said.astype(small))  # probabilities are not kept: a full suite's would take 80 MB
    judging = time.perf_counter() - started
    rows = np.stack(said)
    return JobResult(held_out.sources, held_out.labels, rows, last.seconds, judging, corruptions=job.corruptions)


class ChangedError(UserError):
    """A file of one's own is another one now: put back, the job runs."""


def failure(cause: str, lasting: bool = True) -> JobResult:
    """The outcome of a job that failed."""
    nothing = np.zeros(0, np.int64)
    return JobResult(nothing, nothing, np.zeros((0, 0), np.uint8), cause=cause, lasting=lasting)


def _without_docstrings(code: str) -> ast.Module:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    return tree


def _lacked_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "not enough memory" in str(error) or "can't allocate" in str(error)


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
