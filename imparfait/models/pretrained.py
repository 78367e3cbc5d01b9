"""The models that ship with the package."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class PretrainedModel:
    """A classifier in the package: `model.onnx`, `model.safetensors` and `config.json`, with a model card."""

    summary: str

    name: str

    @property
    def folder(self) -> Path:
        """Where its files are; a run folder as far as `train --init-from` and `evaluate` are concerned."""
        return FOLDER / self.name


PRETRAINED = {
    each.name: each
    for each in (
        PretrainedModel("MNIST's digits, trained on corrupted images: the one to use", "digits"),
        PretrainedModel("the same network, trained on clean images only: to see what that costs", "digits-clean"),
    )
}


def resolve_folder(run: Path) -> Path:
    """The run folder, or that of the classifier in the package which is called so."""
    return PRETRAINED[str(run)].folder if str(run) in PRETRAINED and not run.exists() else run
