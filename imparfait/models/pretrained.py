"""The models that ship with the package, and where any model's files are."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from imparfait.core.errors import UserError

WEIGHTS_FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class PretrainedModel:
    """A model in the package: a run folder with `model.safetensors`, and the same network as `model.onnx`."""

    summary: str
    name: str

    @property
    def folder(self) -> Path:
        """The run folder."""
        return WEIGHTS_FOLDER / self.name


PRETRAINED = {
    model.name: model
    for model in (
        PretrainedModel(
            "single digits of many hands, in type, on displays; trained on corruptions: the one to use", "digits"
        ),
        PretrainedModel("the same network, trained on clean images only: the baseline", "digits-clean"),
    )
}


def find_model(model: str | Path) -> Path:
    """The path of `model`: a pretrained model's name, or the path of a run folder or file.

    A path comes first where both are there. Raises UserError where there is neither.
    """
    path = Path(model)
    if path.exists():
        return path
    if str(model) in PRETRAINED:
        return PRETRAINED[str(model)].folder
    raise no_model(model, "a run folder, a model file such as model.onnx, my_model.py:predict, or ")


def no_model(model: str | Path, expected: str) -> UserError:
    """The error for a model that is not there, with the name or the run that was probably meant.

    `expected` precedes the names of the pretrained ones.
    """
    near = get_close_matches(str(model), PRETRAINED, n=1)
    runs = runs_in(Path("runs"))
    hint = f"did you mean {near[0]!r}?" if near else f"such as {runs[-1]}" if runs else "`imparfait train` makes a run"
    return UserError(f"{model}: no such model", expected=expected + " or ".join(PRETRAINED), hint=hint)


def runs_in(folder: Path) -> list[Path]:
    """The run folders in `folder`, the newest last."""
    if not folder.is_dir():
        return []
    runs = [path for path in folder.iterdir() if (path / "config.json").is_file() and not path.name.startswith(".")]
    return sorted(runs, key=lambda path: (path.stat().st_mtime, path.name))


def find_models(models: Sequence[str | Path]) -> dict[str, Path]:
    """The path of each of `models` by its display name: its last part, or all of it where two end alike.

    A function in a Python file, my_model.py:predict, stays as it is. Raises UserError where there is no such model, and
    where one is given twice.
    """
    paths = [Path(model) if ".py:" in str(model) else find_model(model) for model in models]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("a MODEL is given twice", hint="give each once")
    last = [Path(model).resolve().name for model in models]
    names = [name if last.count(name) == 1 else str(model) for name, model in zip(last, models, strict=True)]
    return dict(zip(names, paths, strict=True))
