"""Jobs of a suite: a model under one condition on a part of the images; frozen values, run by a pure function."""

import json
import math
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import safetensors.numpy
import torch
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from imparfait.core.code_digest import package_digest
from imparfait.core.compute import ARRAY_VALUES, ComputeConfig, images_at_once
from imparfait.core.errors import UserError
from imparfait.core.hardware import torch_threads
from imparfait.core.storage import fingerprint
from imparfait.core.types import Classifier, Probabilities
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import BATCH_IMAGES, probabilities_of
from imparfait.evaluation.suite import Condition, conditions_from
from imparfait.inference.model_source import ModelSource
from imparfait.selection.jobs import Provenance

SHARD_IMAGES = 500  # of a job, at least: seconds of work for photographs, and a few hundred jobs a suite
LIBRARIES = ("onnxruntime", "keras")  # that run model files, beside PyTorch


class SuiteJob(BaseModel, frozen=True, extra="forbid"):
    """All that decides the probabilities of a model for a part of the images, a shard, under one condition."""

    model: str
    """sha256 of all that decides its predictions; empty for a function, whose jobs are not kept."""
    data: str
    groups: str = ""
    corruption: str
    severity: float
    start: NonNegativeInt
    stop: PositiveInt
    """The shard: the rows from `start` to before `stop`."""
    compute: ComputeConfig

    @property
    def key(self) -> str:
        """sha256 of the job, of the package's code and of the versions of what runs models."""
        return fingerprint(self, *versions_here())

    @property
    def condition(self) -> tuple[str, float]:
        """The corruption and its severity."""
        return self.corruption, self.severity

    @property
    def provenance(self) -> Provenance:
        """Where a result of this process is computed."""
        return provenance_here()

    def run(self, data: "SuiteImages") -> "ShardResult":
        """The probabilities by the model opened again; a mistake in its file becomes a result with its cause."""
        assert data.source, "a function runs in its own process"
        [condition] = conditions_from([self.condition])
        try:
            with torch_threads(self.compute.threads):
                classifier = _opened(data.source, self.compute.threads)
                return ShardResult(shard_probabilities(classifier, data.images, condition, self.start, self.stop))
        except UserError as error:
            close_models()  # a sandbox may have ended
            return self.failed(str(error))

    def failed(self, cause: str) -> "ShardResult":
        """The result of a job that was not finished; the next call tries again."""
        return ShardResult(np.zeros((0, 0), np.float32), cause)

    def read(self, content: bytes) -> "ShardResult":
        """The result that its `to_bytes` wrote."""
        return ShardResult.from_bytes(content)


@cache
def provenance_here() -> Provenance:
    """Code, PyTorch version, host and instruction set of this process."""
    return Provenance(package_digest(), torch.__version__, platform.node(), torch.backends.cpu.get_cpu_capability())


@cache
def versions_here() -> tuple[str, ...]:
    """The digest of the package's code, and the versions of what runs models."""
    found = [package_digest(), torch.__version__]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return tuple(found)


@dataclass(frozen=True, eq=False)
class ShardResult:
    """The probabilities of a shard; or the `cause`, if the job was not finished."""

    probabilities: Probabilities
    cause: str = ""
    provenance: Provenance = field(default_factory=provenance_here)

    @property
    def permanent(self) -> bool:
        """Whether it is kept."""
        return not self.cause

    def to_bytes(self) -> bytes:
        """As a safetensors file, with everything but the probabilities in its header."""
        facts = json.dumps({"cause": self.cause, "provenance": asdict(self.provenance)})
        arrays = {"probabilities": np.ascontiguousarray(self.probabilities)}
        return safetensors.numpy.save(arrays, {"facts": facts})

    @staticmethod
    def from_bytes(content: bytes) -> "ShardResult":
        """The result that `to_bytes` wrote."""
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts = json.loads(header["__metadata__"]["facts"])
        probabilities = safetensors.numpy.load(content)["probabilities"]
        return ShardResult(probabilities, facts["cause"], Provenance(**facts["provenance"]))


@dataclass(frozen=True, eq=False)
class SuiteImages:
    """The images of a suite, and where its model is opened from; None for a function, which runs in this process."""

    images: LabelledImages
    source: ModelSource | None

    def fingerprint(self) -> str:
        """sha256 of the images."""
        return self._marks[0]

    def grouping(self) -> str:
        """sha256 of their groups; empty without groups."""
        return self._marks[1]

    @cached_property
    def _marks(self) -> tuple[str, str]:
        return self.images.fingerprint(), self.images.grouping()


def shard_probabilities(
    classifier: Classifier, images: LabelledImages, condition: Condition, start: int, stop: int
) -> Probabilities:
    """The probabilities for the rows from `start` to before `stop`; only their corrupted copies are in memory."""
    shard = condition.apply(images.select(np.arange(start, stop))).data
    return probabilities_of(classifier, shard.pixels, len(images.classes))


def shards_of(images: LabelledImages) -> list[tuple[int, int]]:
    """The parts of the images that are one job each, of whole batches: the model gets the same ones as without."""
    batch = images_at_once(images.pixels.shape[1:], BATCH_IMAGES, ARRAY_VALUES)
    size = batch * math.ceil(SHARD_IMAGES / batch)
    return [(start, min(start + size, len(images))) for start in range(0, len(images), size)]


def suite_jobs(data: SuiteImages, conditions: Sequence[Condition], compute: ComputeConfig) -> list[SuiteJob]:
    """The jobs of a suite, condition by condition."""
    return [
        SuiteJob(
            model=data.source.sha256 if data.source else "",
            data=data.fingerprint(),
            groups=data.grouping(),
            corruption=condition.corruption,
            severity=condition.severity,
            start=start,
            stop=stop,
            compute=compute,
        )
        for condition in conditions
        for start, stop in shards_of(data.images)
    ]


_models: dict[tuple[str, int], tuple[Classifier, ExitStack]] = {}  # the one that this worker has open


def _opened(source: ModelSource, threads: int) -> Classifier:
    """The model, opened once for all jobs of this process."""
    key = (source.sha256, threads)
    if key not in _models:
        close_models()
        with ExitStack() as stack:
            classifier = stack.enter_context(source.open(threads))
            _models[key] = classifier, stack.pop_all()
    return _models[key][0]


def close_models() -> None:
    """Close what `SuiteJob.run` has opened in this process."""
    while _models:
        _models.popitem()[1][1].close()
