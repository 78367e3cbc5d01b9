"""Options of every command: -q and -v, before the command's name or after it; and the commands `help` and `version`."""

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

PACKAGES = ("torch", "onnxruntime", "numpy", "pillow")  # whose versions change numbers
QUIET, VERBOSE = "quiet", "verbose"
PREFIX = "IMPARFAIT_"  # of environment variables
NEVER_FROM_ENVIRONMENT = ("split", "final", "trust", "public", "push_to_hub")
"""What is to be typed each time: the test set, files run without the sandbox, and what is published."""


def general_options(group: Callable[..., None]) -> Callable[..., None]:
    """The options, on the program itself."""
    for option in _options(hidden=False):
        group = option(group)
    return group


def add_general_options(command: click.Command) -> click.Command:
    """The same on a command, where --help does not repeat them; its other options get environment variables."""

    def holder() -> None:
        """Take the options."""

    for option in command.params:
        if isinstance(option, click.Option) and option.name not in NEVER_FROM_ENVIRONMENT:
            option.envvar = variable_of(command.name or "", option)
    for add in _options(hidden=True):
        holder = add(holder)
    command.params += getattr(holder, "__click_params__", [])
    assert command.callback
    command.callback = _told(command.callback)
    return command


def variable_of(command: str, option: click.Parameter) -> str:
    """The environment variable of an option, such as IMPARFAIT_TRAIN_OUT."""
    return f"{PREFIX}{command}_{option.opts[0].removeprefix('--')}".upper().replace("-", "_")


def variables_set(words: Sequence[str]) -> list[str]:
    """The environment variables that may have set an option of the command that is one of `words`."""
    begins = tuple(f"{PREFIX}{word}_".upper().replace("-", "_") for word in words if not word.startswith("-"))
    return sorted(name for name in os.environ if name.startswith(begins))


def is_quiet() -> bool:
    """Whether -q was given."""
    return _is_on(QUIET)


def is_verbose() -> bool:
    """Whether -v was given."""
    return _is_on(VERBOSE)


def _is_on(name: str) -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get(f"imparfait.{name}"))


def _options(hidden: bool) -> list[Callable[[Callable[..., None]], Callable[..., None]]]:
    texts = {
        QUIET: ("-q", "Show no progress bars and no next steps."),
        VERBOSE: ("-v", "Show versions, how each image became the model's input, times, and where an error arose."),
    }
    return [
        click.option(
            short, f"--{name}", name, is_flag=True, hidden=hidden, help=text, expose_value=False, callback=_note,
        )
        for name, (short, text) in texts.items()
    ]  # fmt: skip


def _note(context: click.Context, option: click.Parameter, on: bool) -> None:
    """Remember it for `is_quiet` and `is_verbose`, and refuse both."""
    meta = context.find_root().meta
    if on:
        meta[f"imparfait.{option.name}"] = True
    if meta.get(f"imparfait.{QUIET}") and meta.get(f"imparfait.{VERBOSE}"):
        raise click.UsageError("-q and -v contradict each other; leave one out", context)


def _told(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The command; before it, with -v the versions, and what variables have set; after it, with -v its time."""

    @functools.wraps(callback)
    def command(*args: Any, **values: Any) -> Any:
        context = click.get_current_context()
        if is_verbose():
            click.echo(_versions(), err=True)
        if not is_quiet():
            for line in _from_environment(context):
                click.echo(line, err=True)
        begun, busy = time.monotonic(), time.process_time()
        try:
            return callback(*args, **values)
        finally:
            if is_verbose():
                spent, used = time.monotonic() - begun, time.process_time() - busy
                click.echo(f"time: {spent:.2f} s, {used:.2f} s of it on a processor in this process", err=True)

    return command


def _from_environment(context: click.Context) -> list[str]:
    """A line for each option whose value an environment variable gave."""
    lines = []
    for option in context.command.params:
        if context.get_parameter_source(option.name or "") is ParameterSource.ENVIRONMENT:
            variable = variable_of(context.command.name or "", option)
            lines.append(f"{variable} sets {option.opts[0]}: {os.environ.get(variable, '')}")
    return lines


def _versions() -> str:
    """The versions of this package and of what its numbers depend on, without importing any."""
    import platform  # late, for the start of every command
    from importlib.metadata import PackageNotFoundError, version

    found = [f"imparfait {version('imparfait')}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return f"{', '.join(found)}; Python {platform.python_version()}, {platform.platform()}"


@click.command("help", hidden=True)
@click.argument("command", required=False)
@click.pass_context
def help_command(context: click.Context, command: str | None) -> None:
    """Show the help of the program, or of a command."""
    root = context.find_root()
    if not command:
        click.echo(root.get_help())
        return
    assert isinstance(root.command, click.Group)
    name, found, _ = root.command.resolve_command(root, [command])
    assert found
    with click.Context(found, info_name=name, parent=root) as inner:
        click.echo(found.get_help(inner))


@click.command("version", hidden=True)
def version_command() -> None:
    """Print the version; with -v those of Python and of what numbers depend on too."""
    versions = _versions()
    click.echo(versions if is_verbose() else versions.partition(",")[0])
