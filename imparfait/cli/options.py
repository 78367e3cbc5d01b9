"""Options that mean the same on every command, and the flags that settings make."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imparfait.training.settings import TrainingSettings
from imparfait.training.settings import changed as settings_changed

Command = Callable[..., None]

data = click.option(
    "--data",
    default="mnist",
    show_default=True,
    help="A data set's name, a folder (of class folders with images, IDX or .npy files), or an .npz file.",
)
size = click.option(
    "--size",
    type=click.IntRange(8, 1024),
    help="Side in pixels to bring images of class folders to: reduced or enlarged, and padded to a square.",
)
device = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or mps (only cpu is tested)."
)
out = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder that gets the result's own folder, and the ledger of test openings.",
)
model = click.option(
    "--model",
    default="digits",
    show_default=True,
    help="digits or digits-clean, which come with imparfait; an .onnx file that it exported; or a run folder.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of a table.")


def executor(command: Command) -> Command:
    """Where jobs run, and on how many threads each."""
    each = (
        click.option("--executor", metavar="NAME", help="here, processes or ray.  [default: processes]"),
        click.option("--address", metavar="HOST:PORT", help="Of a Ray cluster that is running; for --executor ray."),
        click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each job."),
    )
    for option in reversed(each):
        command = option(command)
    return command


def settings(command: Command) -> Command:
    """A flag for each training setting that is one value; what is not given is the recipe's."""
    fields = {name: field for name, field in TrainingSettings.model_fields.items() if name != "model_args"}
    for name, field in reversed(fields.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, metavar="VALUE", help=f"{field.description} [default: the recipe's].")(
            command
        )
    return command


def again(*words: str, but: str = "") -> str:
    """The command under way as it was typed, with `words` added and the option `but` left out: a next step to print."""
    context = click.get_current_context()
    typed = ["imparfait", context.info_name or ""]
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.opts[0] not in (but, "--json"):
            value = context.params[parameter.name or ""]
            option = [] if isinstance(parameter, click.Argument) else [parameter.opts[0]]
            values = value if isinstance(value, tuple) else () if value is True else (value,)
            typed += [*option, *map(str, values)]
    return shlex.join([*typed, *words])


def changed(recipe: TrainingSettings, flags: dict[str, Any]) -> TrainingSettings:
    """The recipe's settings with the flags that were given."""
    return settings_changed(recipe, {name: value for name, value in flags.items() if value is not None}, "--")
