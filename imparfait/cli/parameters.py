"""Types of arguments and options: they refuse wrong names at once, and complete right ones in the shell."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from imparfait.cli import names
from imparfait.data.locate import NAMES as DATASETS
from imparfait.data.locate import check_data
from imparfait.models.pretrained import PRETRAINED, runs_in

Completions = list[CompletionItem]
MODEL_FILES = (".onnx", ".keras", ".pt", ".pt2", ".tflite", ".skops")


class Name(click.ParamType[str]):
    """One of these names, or what `accepts` says is another way to name such a thing."""

    name = "text"

    def __init__(self, kind: str, known: Sequence[str], check: Callable[[str], None] | None = None) -> None:
        """Of this kind; `check` raises UserError for a wrong name, by default for one that is not known."""
        self.kind, self.known = kind, known
        self.check = check or (lambda name: names.check_name(kind, name, known))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name; raises UserError for one that is not known."""
        self.check(str(value))
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Completions:
        """The names that begin so."""
        return beginning(incomplete, self.known)


class Recipe(Name):
    """The name of a recipe."""

    def __init__(self) -> None:
        """Recipes are known once the command runs."""
        super().__init__("recipe", (), self._check)

    @staticmethod
    def _check(name: str) -> None:
        from imparfait.training.recipes import RECIPES, refuse_renamed

        refuse_renamed(name)
        names.check_name("recipe", name, RECIPES)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Completions:
        """The recipes that begin so."""
        return beginning(incomplete, _recipes())


class Suite(click.Choice[str]):
    """The name of a suite; that of an earlier version is refused with today's."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name; raises UserError for one of an earlier version."""
        names.check_renamed_suite(str(value))
        return str(super().convert(value, param, ctx))


class Data(click.ParamType[str]):
    """A data set's name, or a path; raises UserError where there is neither."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name or path."""
        check_data(str(value))
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Completions:
        """Names, and files."""
        return [CompletionItem(incomplete, type="file"), *beginning(incomplete, DATASETS)]


class Model(click.Path):
    """A model: a name of one in the package, a run folder, or a file. Whether it is there is checked later."""

    def __init__(self, as_path: bool = False) -> None:
        """With `as_path` the command gets a Path."""
        super().__init__(path_type=Path if as_path else None)
        self.name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Completions:
        """The names, the run folders in runs/, and files."""
        runs = [str(folder) for folder in runs_in(Path("runs"))]
        return [CompletionItem(incomplete, type="file"), *beginning(incomplete, [*PRETRAINED, *runs])]


def candidates(ctx: click.Context, param: click.Parameter, incomplete: str) -> Completions:
    """Recipes, networks and files of settings."""
    return [CompletionItem(incomplete, type="file"), *beginning(incomplete, [*_recipes(), *names.NETWORKS])]


def values_of(known: Iterable[Any]) -> Callable[[click.Context, click.Parameter, str], Completions]:
    """What completes an option that takes one of these."""
    values = list(map(str, known))
    return lambda ctx, param, incomplete: beginning(incomplete, values)


def beginning(incomplete: str, known: Iterable[str]) -> Completions:
    """Those of the names that begin so."""
    return [CompletionItem(name) for name in dict.fromkeys(known) if name.startswith(incomplete)]


def _recipes() -> Iterable[str]:
    from imparfait.training.recipes import RECIPES

    return RECIPES


NETWORK = Name("model", names.NETWORKS, names.check_network)
AUGMENTATION = Name("augmentation", names.AUGMENTATIONS)
CORRUPTION = Name(
    "corruption", (*names.CORRUPTIONS, *names.PHOTO_CORRUPTIONS), lambda name: names.check_corruptions([name])
)
DEVICE = Name("device", names.DEVICES)
EXECUTOR = Name("executor", names.EXECUTORS)
METHOD = Name("method", names.METHODS)
RECIPE = Recipe()
SUITE = Suite(names.SUITES)
DATA = Data()
