"""Any model as a classifier: a run folder, a pretrained model, a model file, a function, an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.errors import UserError
from imparfait.core.storage import fingerprint
from imparfait.core.types import Classifier, Logits, Pixels, Probabilities
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.input_format import InputFormat
from imparfait.data.load import Dataset, load_data
from imparfait.data.test_ledger import ledger_for
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import InferredSpec
from imparfait.evaluation.external.input_spec import Function, SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.external.remote import RemoteModel, is_url
from imparfait.inference.model_source import ModelSource, source_of_file, source_of_run
from imparfait.inference.predictor import Predictor
from imparfait.models.custom import is_custom, load_custom
from imparfait.models.loading import compute_for, load_classifier
from imparfait.models.metadata import ModelConfig, read_config
from imparfait.models.pretrained import find_model, find_models
from imparfait.training.manifest import RunManifest, read_manifest


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to predict: itself a classifier, from images to logits. `close` or a `with` block ends its sandbox.

    A model from a run folder has a `config` and a `manifest`; an external one has a `spec`, how it takes its input.
    """

    name: str
    classifier: Classifier
    classes: tuple[str, ...] | None
    """None for a function whose classes were not checked."""
    compute: ComputeConfig
    config: ModelConfig | None = None
    manifest: RunManifest | None = None
    spec: InferredSpec | None = None
    source: ModelSource | None = None
    """What it was opened from; None for a function."""
    input_format: InputFormat | None = None
    """The images that it takes; None for a function without data."""
    _resources: ExitStack = field(default_factory=ExitStack, repr=False)

    def __call__(self, images: np.ndarray) -> Logits:
        """Logits `[n, classes]` of float32 images `[n, channels, height, width]` in 0..1."""
        return self.classifier(images)

    @property
    def threshold(self) -> float | None:
        """The confidence below which it abstains, where it was calibrated."""
        return self.config.threshold.confidence if self.config and self.config.threshold else None

    @property
    def group(self) -> str:
        """Equal for runs that differ only in their seed; a name of its own for an external model."""
        return self.manifest.seedless_hash if self.manifest else self.name

    @property
    def settings_hash(self) -> str:
        """sha256 of everything that decides its predictions, for the ledger of test accesses."""
        return self.manifest.hash if self.manifest else fingerprint(self.name, str(self.spec and self.spec.spec))

    def to_predictor(self) -> Predictor:
        """As a predictor of image files, for `predict` and `explain`: files are read as those of its data were.

        An external model has no confidence threshold. Raises UserError for a function that was opened without data.
        """
        form = self.config.input if self.config else self.input_format
        if form is None or self.classes is None:
            raise UserError(
                f"{self.name}: it is not known which images it takes",
                expected="a model that was opened with its data",
                hint="write: imparfait.open_model(function, imparfait.load_data(…))",
            )

        def run(pixels: Pixels) -> Probabilities:
            return softmax(self.classifier(pixels.astype(np.float32) / 255).astype(np.float64), 1).astype(np.float32)

        rules = (self.config.threshold, self.config.none_of_these) if self.config else (None, None)
        return Predictor(self.name, tuple(self.classes), form, rules[0], run, rules[1])

    def close(self) -> None:
        """End the sandbox process of a model file; nothing to do for other models."""
        self._resources.close()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.__exit__(kind, error, trace)


def open_model(
    model: str | Path | Function,
    data: Dataset | None = None,
    *,
    name: str | None = None,
    device: str = "auto",
    network: str | None = None,
    spec: SpecHint | None = None,
    out: str | Path = "runs",
) -> LoadedModel:
    """The model at the path `model` (a run folder, a model file), of this pretrained name, or a function.

    `model` may also name a function in a Python file, my_model.py:predict, which is run as `python my_model.py` would.
    Or it is the address of a model behind HTTP: http://host:port/v2/models/NAME/infer or http://host:port/v1/predict.

    `data` are the images it is meant for: their classes must be the model's. The validation images show how an
    external model takes its input where neither `spec` nor the file says (default: MNIST). Where all images are for the
    test, the ledger in `out` records that before. A file runs in a sandbox process until `close`. `network` is
    my_net.py:build, for a run whose network is from a file of yours.
    Raises UserError when there is no such model, and when it does not fit the data.

    >>> imparfait.open_model("digits").classes
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    if is_url(model):
        return _from_url(str(model), data, name, spec, out)
    if not isinstance(model, str | Path):
        return _from_function(model, data, name or str(getattr(model, "__name__", "model")), spec, out)
    if is_custom(str(model)):
        return _from_function(function_in(str(model)), data, name or Path(model).name, spec or SpecHint(), out)
    path = find_model(model)
    name = name or path.resolve().name
    return _from_run(path, data, name, device, network) if path.is_dir() else _from_file(path, data, name, spec, out)


@contextmanager
def open_models(
    models: Sequence[str | Path],
    data: Dataset | None = None,
    *,
    device: str = "auto",
    network: str | None = None,
    spec: SpecHint | None = None,
    out: str | Path = "runs",
) -> Iterator[list[LoadedModel]]:
    """Several models, opened as `open_model` does, with names that differ; the sandboxes end with the `with` block.

    Raises UserError also where a model is given twice.
    """
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_model(path, data, name=name, device=device, network=network, spec=spec, out=out))
            for name, path in find_models(models).items()
        ]


def _from_run(path: Path, data: Dataset | None, name: str, device: str, network: str | None) -> LoadedModel:
    config = read_config(path)
    classifier = load_classifier(path, device, network)
    if data and config.classes != tuple(data.train.classes):
        raise UserError(
            f"{data.train.name}: has the classes {', '.join(data.train.classes)}",
            expected=f"the classes that {path} was trained on, {', '.join(config.classes)}",
        )
    if data and data.files and (config.input.normalization == "digit") != (data.train.normalization == "digit"):
        raise UserError(
            f"{data.train.name}: its images were normalised by {data.train.normalization}",
            expected=f"{config.input.normalization}, as {path} was trained",
            hint=f"write --normalize {config.input.normalization}",
        )
    compute = compute_for(path, device).model_copy(update={"threads": torch.get_num_threads()})
    manifest = read_manifest(path)
    source = source_of_run(path, manifest, config, compute, network)
    return LoadedModel(name, classifier, config.classes, compute, config, manifest, source=source)


@contextmanager
def _trial_images(data: Dataset | None, name: str, out: str | Path, *beside: Path) -> Iterator[LabelledImages]:
    """Images on which it is tried how a model takes its input.

    Where all are for the test, a line is in the ledger before they are used.
    """
    data = data or load_data("mnist")
    images = data.trial_images()
    if images is not None:
        yield images
        return
    with data.test.open(ledger_for(Path(out), *beside), fingerprint(name, "input")) as access:
        yield access.images
        access.result = "tried how the model takes its input"


def _from_file(path: Path, data: Dataset | None, name: str, hint: SpecHint | None, out: str | Path) -> LoadedModel:
    compute = ComputeConfig(threads=usable_cores())
    with ExitStack() as stack, _trial_images(data, name, out, path) as validation:
        external = stack.enter_context(open_external(path, threads=compute.threads))
        of_files = bool(data and data.files)
        classifier, spec = wrap_external(external, external.declared, validation, hint or SpecHint(), of_files=of_files)
        source = source_of_file(path, spec.spec, tuple(validation.classes), compute)
        return LoadedModel(
            name, classifier, validation.classes, compute, spec=spec, source=source,
            input_format=validation.input_format, _resources=stack.pop_all(),
        )  # fmt: skip


def function_in(model: str) -> Function:
    """The function that my_model.py:predict names, whose sys.exit() is an error of it and does not end this program."""
    function: Function = load_custom(model, "one from a batch of images to predictions")

    def predict(images: np.ndarray) -> Any:
        try:
            return function(images)
        except SystemExit as error:
            raise UserError(
                f"{model}: the function ended in SystemExit: {error.code}", expected="predictions"
            ) from error

    return predict


def _from_url(url: str, data: Dataset | None, name: str | None, hint: SpecHint | None, out: str | Path) -> LoadedModel:
    with ExitStack() as stack, _trial_images(data, name or url, out) as validation:
        remote = stack.enter_context(RemoteModel(url))
        classifier, spec = wrap_external(remote, remote.declared, validation, hint or SpecHint())
        compute = ComputeConfig(threads=usable_cores())
        return LoadedModel(
            name or remote.name, classifier, validation.classes, compute, spec=spec,
            input_format=validation.input_format, _resources=stack.pop_all(),
        )  # fmt: skip


def _from_function(
    function: Function, data: Dataset | None, name: str, hint: SpecHint | None, out: str | Path
) -> LoadedModel:
    compute = ComputeConfig(threads=torch.get_num_threads())
    if hint is None:
        form, classes = (data.input_format, data.train.classes) if data else (None, None)
        return LoadedModel(name, function, classes, compute, input_format=form)
    with _trial_images(data, name, out) as validation:
        classifier, spec = wrap_external(function, DeclaredSpec(), validation, hint)
    return LoadedModel(name, classifier, validation.classes, compute, spec=spec, input_format=validation.input_format)
