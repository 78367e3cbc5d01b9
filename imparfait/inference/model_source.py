"""Where a model was opened from: what tells it from others, and opens it again in another process."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES, fingerprint, read_regular
from imparfait.core.types import Classifier
from imparfait.evaluation.external.adapter import adapt
from imparfait.evaluation.external.input_spec import InputSpec
from imparfait.evaluation.external.load import open_external
from imparfait.models.custom import parts_of
from imparfait.models.loading import load_classifier
from imparfait.models.metadata import ModelConfig
from imparfait.training.manifest import RunManifest

WEIGHTS = "model.safetensors"  # of a run folder


class ModelSource(BaseModel, frozen=True, extra="forbid"):
    """A run folder or a model file; opened again it makes equal predictions, bit for bit, on as many threads."""

    path: Path
    sha256: str
    """Of everything that decides its predictions: weights, calibration and network, or file and input specification."""
    compute: ComputeConfig
    content: str
    """sha256 of the file with the weights."""
    network: str | None = None
    """The file and function of a custom network, which the user named."""
    spec: InputSpec | None = None
    """How a model file takes images; None for a run."""
    classes: tuple[str, ...] = ()

    @contextmanager
    def open(self, threads: int) -> Iterator[Classifier]:
        """The classifier; a model file is in a sandbox on so many threads, which ends with the block.

        Raises UserError where the file with the weights is not the one that was opened first.
        """
        weights = self.path if self.spec else self.path / WEIGHTS
        if _sha256_of(weights) != self.content:
            raise UserError(f"{weights}: has changed during the evaluation", hint="give the same command again")
        if self.spec is None:
            yield load_classifier(self.path, self.compute.device, self.network, self.compute.precision)
            return
        with open_external(self.path, threads=threads) as external:
            yield adapt(external, self.spec, self.classes)


def source_of_run(
    folder: Path, manifest: RunManifest, config: ModelConfig, compute: ComputeConfig, network: str | None
) -> ModelSource:
    """The source of a run; `compute` has its precision here."""
    content = _sha256_of(folder / WEIGHTS)
    if network:
        file, function = parts_of(network)
        network = f"{file}:{function}"
    return ModelSource(
        path=folder.resolve(),
        sha256=fingerprint("run", manifest.hash, config, content, compute.device, compute.precision),
        compute=compute,
        content=content,
        network=network,
        classes=config.classes,
    )


def source_of_file(file: Path, spec: InputSpec, classes: tuple[str, ...], compute: ComputeConfig) -> ModelSource:
    """The source of a model file that takes its input as `spec` says."""
    content = _sha256_of(file)
    return ModelSource(
        path=file.resolve(),
        sha256=fingerprint("file", content, repr(spec), repr(classes)),
        compute=compute,
        content=content,
        spec=spec,
        classes=classes,
    )


def _sha256_of(file: Path) -> str:
    return sha256(read_regular(file, MAX_MODEL_BYTES)).hexdigest()
