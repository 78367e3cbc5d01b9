"""Jobs of predictions: a model on some image files; frozen values, run by a pure function."""

import os
import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from imparfait.core.code_digest import package_digest
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES, read_regular
from imparfait.inference.file_results import FileResult, file_results
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor
from imparfait.models.pretrained import PRETRAINED

OF_A_RUN = ("model.safetensors", "config.json")  # the files that decide its predictions


@dataclass(frozen=True)
class PredictorSource:
    """A model that is opened again in each worker, and the folder that names of files are relative to."""

    model: str
    """A pretrained model's name or an absolute path, which is the same on each machine."""
    sha256: str
    """Of its files."""
    folder: str
    trust: bool = False
    """Whether an .onnx file may run without its sandbox."""

    @staticmethod
    def of(model: str, trust: bool = False) -> "PredictorSource":
        """The source of a model that `load_predictor` takes, for names of files from the current folder."""
        name = model if model in PRETRAINED else str(Path(model).resolve())
        return PredictorSource(name, _sha256_of(name), str(Path.cwd()), trust)

    @property
    def is_run(self) -> bool:
        """Whether it is a run folder, which PyTorch runs."""
        return is_run(self.model)

    def open(self, threads: int) -> Predictor:
        """The predictor; raises UserError where the model's files are not those that were opened first."""
        if _sha256_of(self.model) != self.sha256:
            raise UserError(
                f"{self.model}: has changed, or is another model on {platform.node()}", expected="one model"
            )
        return load_predictor(self.model, threads, self.trust)


@dataclass(frozen=True, eq=False)
class JobPredictions:
    """The results of a job, and the versions that computed them; or the `cause`, if it was not finished."""

    results: Sequence[FileResult]
    versions: tuple[str, ...] = ()
    cause: str = ""
    host: str = field(default_factory=platform.node)

    def checked(self, versions: tuple[str, ...]) -> Sequence[FileResult]:
        """The results; raises UserError where there are none, and where other versions have computed them."""
        if self.cause:
            raise UserError(self.cause)
        if self.versions != versions:
            raise UserError(
                f"{self.host} has {', '.join(self.versions)}",
                expected=f"{', '.join(versions)}, as on this machine",
                hint="install the same versions on both",
            )
        return self.results


@dataclass(frozen=True)
class PredictJob:
    """Predictions of a model for some files."""

    number: int
    """Of the job: the same files may be given twice."""
    model: str
    """sha256 of the model's files."""
    files: tuple[str, ...]
    compute: ComputeConfig

    @property
    def key(self) -> str:
        """sha256 of the job."""
        return sha256(os.fsencode("\0".join((str(self.number), self.model, *self.files)))).hexdigest()

    def run(self, data: PredictorSource) -> JobPredictions:
        """The results by the model opened again; its own error becomes a result with the cause."""
        try:
            predictor, workers = _opened(data, self.compute.threads)
            with threads_of(data.model, self.compute.threads):
                results = file_results(self.files, predictor, workers, data.folder)
            return JobPredictions(results, versions_here(data.is_run))
        except UserError as error:
            return self.failed(str(error))

    def failed(self, cause: str) -> JobPredictions:
        """The result of a job that was not finished."""
        which = f"{self.files[0]} and {len(self.files) - 1} files after it" if len(self.files) > 1 else self.files[0]
        return JobPredictions((), cause=f"{which}: {cause}")


@cache
def versions_here(is_run: bool) -> tuple[str, ...]:
    """The code and the packages of this process that decide predictions, in words."""
    found = [f"imparfait's code {package_digest()[:8]}"]
    for name in ("numpy", "pillow", "torch" if is_run else "onnxruntime"):
        with suppress(PackageNotFoundError):  # ONNX Runtime has other names for other devices
            found.append(f"{name} {version(name)}")
    return tuple(found)


def is_run(model: str) -> bool:
    """Whether `model` is a run folder, which PyTorch runs."""
    return model not in PRETRAINED and Path(model).is_dir()


def threads_of(model: str, threads: int | None) -> AbstractContextManager[None]:
    """A block in which a run folder predicts on `threads` threads; other models are opened for a number of them."""
    if threads is None or not is_run(model):
        return nullcontext()
    from imparfait.core.hardware import torch_threads

    return torch_threads(threads)


_open: dict[tuple[PredictorSource, int], tuple[Predictor, ImageWorkers]] = {}  # what this worker has open


def _opened(source: PredictorSource, threads: int) -> tuple[Predictor, ImageWorkers]:
    """The model and the image workers, opened once for all jobs of this process."""
    if (source, threads) not in _open:
        while _open:
            _open.popitem()[1][1].close()
        _open[source, threads] = source.open(threads), ImageWorkers()
    return _open[source, threads]


def _sha256_of(model: str) -> str:
    """Of the file or the files of a model; raises UserError where there is none."""
    path = PRETRAINED[model].folder / "model.onnx" if model in PRETRAINED else Path(model)
    files = [path / name for name in OF_A_RUN] if path.is_dir() else [path]
    return sha256(b"".join(sha256(read_regular(file, MAX_MODEL_BYTES)).digest() for file in files)).hexdigest()
