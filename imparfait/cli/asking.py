"""Models made ready to be asked: run folders of ours, and files of other people."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.errors import UserError, lookup
from imparfait.core.storage import fingerprint, read_regular
from imparfait.core.types import Classifier
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import Dataset
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.models.loading import compute_for, load_classifier
from imparfait.models.metadata import MAX_JSON_BYTES, Sha256, config_of
from imparfait.models.pretrained import resolve_folder
from imparfait.training.settings import TrainingSettings

NOT_OURS = "What its training showed it is not known here; these images may have been among it."


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be asked."""

    name: str
    classifier: Classifier
    recipe: str
    """Equal for runs that differ only in their seed."""
    settings: str
    """For the ledger."""
    compute: ComputeConfig
    seen: str = NOT_OURS
    how: str = ""
    """How another's model is asked, and how that was found."""
    threshold: float | None = None
    fitted_on_all: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class _Data(BaseModel, frozen=True):
    sha256: Sha256


class RunManifest(BaseModel, frozen=True):
    """What a run's settings.json says of its training, as far as it matters when it is asked."""

    settings: TrainingSettings
    data: _Data
    final: bool
    hash: Sha256


def names_of(paths: Sequence[Path]) -> list[str]:
    """What each model is called: its last name, or its whole path where two have the same."""
    last = [path.resolve().name for path in paths]
    return [name if last.count(name) == 1 else str(path) for name, path in zip(last, paths, strict=True)]


@contextmanager
def open_for_evaluation(
    path: Path, name: str, dataset: Dataset, known: SpecHint, device: str, network: str | None
) -> Iterator[LoadedModel]:
    """The model at `path`, a run folder of ours or someone's file; a file's process ends with the block."""
    if path.is_dir() or not path.exists():
        yield _run(resolve_folder(path), name, dataset.train, device, network)
        return
    _, validation = dataset.fitting()
    compute = ComputeConfig(threads=usable_cores())
    with open_external(path, threads=compute.threads) as stranger:
        classifier, found = wrap_external(stranger, stranger.told, validation, known)
        yield LoadedModel(name, classifier, name, fingerprint(name, str(found.conventions)), compute, how=str(found))


def read_manifest(path: Path) -> RunManifest:
    """What settings.json in a run folder says; raises UserError when it cannot be read."""
    file = path / "settings.json"
    try:
        return RunManifest.model_validate_json(read_regular(file, MAX_JSON_BYTES))
    except ValidationError as error:
        raise UserError(f"{file}: not as a training wrote it; train again, or copy it from where you did") from error


def _run(path: Path, name: str, train: LabelledImages, device: str, network: str | None) -> LoadedModel:
    config = config_of(path)
    classifier = load_classifier(path, device, network)
    if list(config.classes) != list(train.classes):
        came, expected = ", ".join(train.classes), ", ".join(config.classes)
        raise UserError(f"--data {train.name} has the classes {came}; {path} was trained on {expected}")
    told = read_manifest(path)
    seedless = told.settings.model_copy(update={"seed": 0})
    return LoadedModel(
        name,
        classifier,
        fingerprint(seedless, told.data.sha256, f"final={told.final}"),
        told.hash,
        compute_for(path, device).model_copy(update={"threads": torch.get_num_threads()}),
        describe_overlap(lookup("augmentation", told.settings.augmentation, AUGMENTATIONS)),
        threshold=config.threshold.confidence if config.threshold else None,
        fitted_on_all=told.final,
        facts=told.settings.model_dump(),
    )
