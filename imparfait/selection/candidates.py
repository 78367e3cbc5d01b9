"""What can be compared, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imparfait.core.errors import UserError, lookup
from imparfait.models import MODELS
from imparfait.models.custom import is_custom, parts_of
from imparfait.training.recipes import RECIPES, read_settings, recipe_of
from imparfait.training.settings import TrainingSettings, changed, read_toml


@dataclass(frozen=True)
class Candidate:
    """Settings under a name."""

    name: str
    settings: TrainingSettings
    fixed: frozenset[str] = frozenset()
    """The settings that its file names: they are not changed for few images."""


def candidate_named(name: str) -> Candidate:
    """A recipe, a model (a name, or `my_net.py:build`) with its own recipe, or a TOML file of settings.

    Raises UserError when it is none of these; for a run folder it says what compares saved models.
    """
    if (Path(name) / "config.json").is_file():
        raise UserError(
            f"{name} is a finished run, and here networks are trained anew, on several divisions of the images; give "
            f"recipes, models or settings files, and for saved models write: imparfait evaluate {name}"
        )
    if is_custom(name):
        file, _ = parts_of(name)
        return Candidate(file.stem, changed(RECIPES[recipe_of(name)].settings, {"model": name}))
    if name.endswith(".toml"):
        return Candidate(Path(name).stem, read_settings(Path(name)), frozenset(read_toml(Path(name))))
    if name in MODELS:
        return Candidate(name, changed(RECIPES[recipe_of(name)].settings, {"model": name}))
    lookup("recipe or model", name, dict.fromkeys([*RECIPES, *MODELS]))
    return Candidate(name, RECIPES[name].settings)


def candidates(names: Sequence[str]) -> list[Candidate]:
    """At least two, of different names and settings; raises UserError when they are not."""
    if len(names) < 2:
        raise UserError(
            f"compare wants two contenders or more, and {len(names)} came; write: imparfait compare cnn petit"
        )
    found = [candidate_named(name) for name in names]
    for index, each in enumerate(found):
        for other in found[:index]:
            if each.name == other.name or each.settings == other.settings:
                raise UserError(f"{names[index]} is {names[found.index(other)]} once more; give different contenders")
    return found
