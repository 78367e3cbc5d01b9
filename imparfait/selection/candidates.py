"""Candidates for a comparison: recipes, models, custom networks or settings files, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imparfait.core.counts import counted
from imparfait.core.errors import UserError, lookup
from imparfait.models.custom import is_custom, parts_of
from imparfait.models.registry import MODELS
from imparfait.training.recipes import RECIPES, read_settings, recipe_of, refuse_renamed
from imparfait.training.settings import TrainingSettings, changed, read_toml


@dataclass(frozen=True)
class Candidate:
    """Training settings under a name."""

    name: str
    settings: TrainingSettings
    fixed: frozenset[str] = frozenset()
    """Settings that are kept as they are where the images are few."""


def candidate_named(name: str) -> Candidate:
    """A recipe, a model (a name, or `my_net.py:build`) with its own recipe, or a TOML file of settings.

    Raises UserError when `name` is none of these; for a run folder the error names the command for saved models.
    """
    if (Path(name) / "config.json").is_file():
        raise UserError(
            f"{name} is a finished run, and candidates are trained anew on several splits",
            expected="recipes, models or settings files",
            hint=f"for saved models write: imparfait evaluate {name}",
        )
    if is_custom(name):
        file, _ = parts_of(name)
        return Candidate(file.stem, changed(RECIPES[recipe_of(name)].settings, {"model": name}))
    if name.endswith(".toml"):
        return Candidate(Path(name).stem, read_settings(Path(name)), frozenset(read_toml(Path(name))))
    if name in MODELS:
        return Candidate(name, changed(RECIPES[recipe_of(name)].settings, {"model": name}))
    refuse_renamed(name)
    lookup("recipe or model", name, dict.fromkeys([*RECIPES, *MODELS]))
    return Candidate(name, RECIPES[name].settings)


def candidates_from(given: Sequence[str | Candidate] | Mapping[str, TrainingSettings]) -> list[Candidate]:
    """At least two candidates by name, or settings by the name each is to have.

    Raises UserError when there are fewer, or when two have the same name or the same settings.
    """
    if isinstance(given, Mapping):
        every = frozenset(TrainingSettings.model_fields)
        candidates = [Candidate(name, settings, fixed=every) for name, settings in given.items()]
    else:
        candidates = [one if isinstance(one, Candidate) else candidate_named(one) for one in given]
    if len(candidates) < 2:
        raise UserError(
            f"compare was given {counted(len(candidates), 'candidate')}",
            expected="two or more",
            hint="write, for example: imparfait compare cnn petit",
        )
    for index, candidate in enumerate(candidates):
        for other in candidates[:index]:
            if candidate.name == other.name or candidate.settings == other.settings:
                raise UserError(
                    f"{candidate.name} and {other.name} are the same candidate", expected="different names and settings"
                )
    return candidates
