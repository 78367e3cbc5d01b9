"""Options shared by several commands, and the flags of training settings."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from imparfait.cli import names, parameters
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.selection.executors import Executor
    from imparfait.training.settings import TrainingSettings

Command = Callable[..., None]


class NumberOr(click.ParamType[Any]):
    """A number, or a word instead of one."""

    def __init__(self, word: str, least: int) -> None:
        """Numbers from `least`, or this word."""
        self.name, self.word, self.least = f"N|{word}", word, least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number as an int, or the word."""
        if value == self.word:
            return value
        try:
            number = int(value)
        except ValueError:
            number = self.least - 1
        if number < self.least:
            self.fail(f"{value!r}; expected {self.least} or more, or {self.word}", param, ctx)
        return number

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> parameters.Completions:
        """The word."""
        return parameters.beginning(incomplete, [self.word])


device = click.option(
    "--device",
    type=parameters.DEVICE,
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or mps (only cpu is tested).",
)
threads = click.option(
    "--threads", type=click.IntRange(1), help="Threads to compute on.  [default: one per core, at most 8]"
)
images = click.option(
    "--images", type=click.IntRange(20), help="Number of training images to use, approximately.  [default: all]"
)
out = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder for the result's own folder, and for the ledger of test accesses.",
)
model = click.option(
    "--model",
    type=parameters.Model(),
    default="digits",
    show_default=True,
    help="A pretrained model (digits, digits-clean), an .onnx file that imparfait exported, or a run folder.",
)
trust = click.option(
    "--trust", is_flag=True, help="Run an .onnx file in this process: faster, for files that you made yourself."
)
group = click.option(
    "--group",
    metavar="COLUMN|parent|REGEX",
    help="Keep images of one group on one side of every split. Groups are the values of a table's column, the "
    "folders inside class folders (parent), or what the regular expression's one group finds in paths; none "
    "for no groups.  [default: the column called group, if any]",
)
language = click.option(
    "--language",
    type=click.Choice(["en", "fr"]),
    default="en",
    show_default=True,
    help="Language of the report: English or French.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of a table.")


def data(command: Command) -> Command:
    """The data set, and how its image files are read."""
    name = click.option(
        "--data",
        type=parameters.DATA,
        default="mnist",
        show_default=True,
        help="A data set's name, a folder of class folders, a CSV or Parquet table, or files in another format of "
        "docs/own-data.md; also in a zip archive.",
    )
    return name(image_options(command))


def image_options(command: Command) -> Command:
    """How image files are read and normalised."""
    choices = (
        click.option("--size", type=click.IntRange(8, 1024), help="Side in pixels to which image files are resized."),
        click.option(
            "--normalize",
            type=click.Choice(["none", "resize", "letterbox", "digit"]),
            help="How image files become the model's input: unchanged, stretched, padded, or the digit on them cropped "
            "and drawn light on dark.  [default: chosen for the data, and printed]",
        ),
        click.option(
            "--skip-unreadable", is_flag=True, help="Leave out image files that cannot be read, and count them."
        ),
    )
    return _with(choices, command)


def constraints(command: Command) -> Command:
    """What each number on a page has to meet."""
    choices = (
        click.option("--length", metavar="N|N-M", help="Numbers have this many digits."),
        click.option("--one-of", metavar="FILE[:COLUMN]", help="Numbers are in this text file or CSV column."),
        click.option(
            "--check",
            metavar="NAME",
            shell_complete=parameters.values_of(names.CHECK_DIGITS),
            help="Check digits are correct: luhn, isbn, mod11 or iban:COUNTRY.",
        ),
        click.option("--pattern", metavar="REGEX", help=r"The form of numbers, such as '\d{2}\.\d{2}\.\d{4}'."),
        click.option("--at-least", metavar="NUMBER", help="Numbers have as many digits as this, and are no smaller."),
    )
    return _with(choices, command)


def backbone(command: Command) -> Command:
    """A pretrained backbone, and whether it is trained further."""
    choices = (
        click.option(
            "--backbone",
            metavar="NAME",
            shell_complete=parameters.values_of((*names.BACKBONES, names.TIMM)),
            help="Fit a linear layer on the features of a pretrained network: efficientnet-lite0, or timm:NAME for one "
            "of timm. For photographs; image files become 224×224 pixels unless --size says otherwise.",
        ),
        click.option(
            "--fine-tune", is_flag=True, help="With --backbone: then train all its weights, at a low learning rate."
        ),
    )
    return _with(choices, command)


address = click.option("--address", metavar="HOST:PORT", help="Address of a running Ray cluster, for --executor ray.")


def executor(command: Command) -> Command:
    """Where jobs run, and on how many threads each."""
    choices = (
        click.option(
            "--executor",
            type=parameters.EXECUTOR,
            metavar="NAME",
            help="serial, processes or ray.  [default: processes]",
        ),
        address,
        click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads per job."),
    )
    return _with(choices, command)


def suite_executor(command: Command) -> Command:
    """Where the jobs of a suite run."""
    text = "serial, processes or ray: where jobs run, each a condition on a part of the images.  [default: serial]"
    threads = click.option(
        "--threads", type=click.IntRange(1), help="Threads per job.  [default: 1; all cores with serial]"
    )
    return _with(
        (click.option("--executor", type=parameters.EXECUTOR, metavar="NAME", help=text), address, threads), command
    )


def predict_executor(command: Command) -> Command:
    """Where predictions for many files run."""
    text = (
        "serial, processes or ray: where jobs, each some of the files, run.  [default: processes from 1,000 files on]"
    )
    threads = click.option(
        "--threads",
        type=click.IntRange(1),
        help="Threads per job.  [default: 1; all cores for a run folder with serial]",
    )
    return _with(
        (click.option("--executor", type=parameters.EXECUTOR, metavar="NAME", help=text), address, threads), command
    )


severities = click.option(
    "--severities",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Severities of your own data, from calibrate-severity, instead of the published ones.",
)


def url(name: str, *, multiple: bool) -> Callable[[Command], Command]:
    """The address of a model behind HTTP, as the argument `name`."""
    return click.option(
        "--url",
        name,
        multiple=multiple,
        metavar="ADDRESS",
        help="A model behind HTTP: http://host:port/v2/models/NAME/infer (Open Inference Protocol) or "
        "http://host:port/v1/predict (imparfait serve). Nothing else is contacted.",
    )


def executor_for_suite(name: str | None, address: str | None, threads: int | None) -> "Executor | None":
    """The executor that was asked for by `suite_executor`; None where all runs in this process."""
    from imparfait.selection.executors import executor_named

    in_this_process = name in (None, "serial") and not (threads or address)
    return None if in_this_process else executor_named(name or "serial", address, threads or 1)


def _with(choices: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(choices):
        command = option(command)
    return command


def settings(command: Command) -> Command:
    """A flag for each training setting that is one value; the recipe gives the others."""
    from imparfait.training.settings import TrainingSettings

    fields = {name: field for name, field in TrainingSettings.model_fields.items() if name != "model_args"}
    for name, field in reversed(fields.items()):
        text = field.description or ""
        help_text = f"{text[:1].upper()}{text[1:]}.  [default: the recipe's]"
        command = click.option(
            f"--{name.replace('_', '-')}", name, metavar="VALUE", help=help_text,
            type={"model": parameters.NETWORK, "augmentation": parameters.AUGMENTATION}.get(name),
            shell_complete=parameters.values_of(get_args(field.annotation)) if get_args(field.annotation) else None,
        )(command)  # fmt: skip
    return command


def again(*words: str, but: str = "") -> str:
    """The current command as it was typed, with `words` added and the option `but` left out."""
    context = click.get_current_context()
    typed = ["imparfait", context.info_name or ""]
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.opts[0] not in (but, "--json") and parameter.expose_value:
            value = context.params[parameter.name or ""]
            option = [] if isinstance(parameter, click.Argument) else [parameter.opts[0]]
            if isinstance(value, tuple) and option:
                typed += [word for each in value for word in (*option, str(each))]
            else:
                values = value if isinstance(value, tuple) else () if value is True else (value,)
                typed += [*option, *map(str, values)]
    return shlex.join([*typed, *words])


def given(*names: str) -> list[str]:
    """Those of the current command's options that were typed, with their values."""
    context = click.get_current_context()
    typed = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return [word for name in typed for word in (f"--{name}", str(context.params[name]))]


def refuse_typed(what: str, but: tuple[str, ...]) -> None:
    """Raise UserError where an option was typed that is not named in `but`: for `what`, it would change nothing."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if (
            name not in but
            and parameter.expose_value
            and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        ):
            raise UserError(f"{parameter.opts[0]} with {what}, which it does not change", hint="leave it out")


def changed(recipe: "TrainingSettings", flags: dict[str, Any]) -> "TrainingSettings":
    """The recipe's settings with the flags that were given."""
    from imparfait.training.settings import changed as changed_settings

    return changed_settings(recipe, {name: value for name, value in flags.items() if value is not None}, "--")
