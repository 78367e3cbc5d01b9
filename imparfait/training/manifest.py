"""The manifest of a run: settings.json, which records what was trained, on which images, where."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.storage import fingerprint, read_regular
from imparfait.models.metadata import MAX_JSON_BYTES, Sha256
from imparfait.training.settings import TrainingSettings


class DataManifest(BaseModel, frozen=True):
    """The images that a run was trained on."""

    name: str
    images: int
    sha256: Sha256
    groups: int | None = None
    """How many groups they are of; None without groups."""
    split_from: Sha256 | None = None
    """sha256 of the images that they were split from by group, validation images included."""


class RunManifest(BaseModel, frozen=True):
    """The content of settings.json: what was trained, on which images, where."""

    recipe: str
    settings: TrainingSettings
    compute: ComputeConfig
    data: DataManifest
    final: bool
    """Whether the validation images were among the training images."""
    origins: dict[str, Sha256] = {}
    """sha256 of everything else that decides the weights: a custom network's file, initial weights, teachers."""
    hash: Sha256
    """Of everything that decides the weights."""

    @property
    def seedless_hash(self) -> str:
        """Equal for runs that differ only in their seed."""
        return fingerprint(self.settings.model_copy(update={"seed": 0}), self.data.sha256, f"final={self.final}")


def read_manifest(folder: Path) -> RunManifest:
    """The manifest of a run folder; raises UserError when it cannot be read."""
    file = folder / "settings.json"
    try:
        return RunManifest.model_validate_json(read_regular(file, MAX_JSON_BYTES))
    except ValidationError as error:
        raise UserError(
            f"{file}: not a settings.json of imparfait", hint="copy it from where you trained, or train again"
        ) from error
