"""The command `imparfait`: parses, and prints users' mistakes in one sentence."""

import errno
import io
import os
import signal
import sys
import traceback
from functools import cache
from importlib import import_module
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from imparfait.cli.examples import epilog
from imparfait.cli.general import (
    add_general_options,
    general_options,
    help_command,
    variables_set,
    version_command,
)
from imparfait.cli.signals import Stopped
from imparfait.cli.usage import usage_sentence
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint

MISTAKE = 2
REPORT = "please report it, with the lines above and those of: imparfait -v version"
SIGNALLED = 128  # exit codes above it: the number of the signal is added
INTERRUPTED = 130  # what shells expect after Ctrl-C
GROUPS: dict[str, tuple[dict[str, str], tuple[str, str]]] = {
    "Use a model": (
        {
            "predict": "Classify images.",
            "read": "Read the numbers on images, line by line (OCR).",
            "serve": "Serve an HTTP API and a page to draw on.",
            "export": "Export a model to ONNX or Keras.",
        },
        ("imparfait predict photo.jpg", "imparfait serve digits --open"),
    ),
    "Train on your own images": (
        {
            "check": "Check a data set: images per class, copies, imbalance.",
            "train": "Train, calibrate and evaluate a classifier.",
            "learning-curve": "Find out whether more training images would help.",
            "label": "Label the images that a model needs most.",
        },
        ("imparfait check my_images", "imparfait train --data my_images --size 32"),
    ),
    "Evaluate and compare": (
        {
            "evaluate": "Evaluate models on corrupted images, and compare them.",
            "compare": "Compare recipes, models, or two tables of predictions.",
            "search": "Search for better settings of a recipe.",
            "gate": "Fail where a model breaks bounds on its accuracy, in CI.",
            "parity": "Find out why two models that should agree do not.",
            "corrupt": "Preview corruptions, or write corrupted data sets.",
            "calibrate-severity": "Find severities of corruptions for your own data.",
            "drift": "Find what changed since training, in a server's log.",
        },
        ("imparfait evaluate model.onnx --data my_images", "imparfait compare quick default"),
    ),
    "Read forms": (
        {
            "fields": "Draw the fields of a form on an example.",
            "review": "Decide on the unsure fields of forms.",
        },
        ("imparfait fields form.jpg", "imparfait read forms/ --fields fields.json --csv forms.csv"),
    ),
    "More": (
        {
            "study": "Reproduce the study that imparfait began with.",
            "list": "List models, recipes, corruptions and data sets.",
            "cite": "Print BibTeX entries.",
        },
        ("imparfait list recipes", "imparfait study --quick"),
    ),
}
"""Commands with one line each, by what they are for, and two examples of each group."""
COMMANDS = {name: line for group, _ in GROUPS.values() for name, line in group.items()}


class LazyGroup(click.Group):
    """Commands that are imported when they are used, so that --help does not wait for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, from the module of this name."""
        return HIDDEN.get(cmd_name) or (_loaded(cmd_name) if cmd_name in COMMANDS else None)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, none of them imported."""
        named = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands in --help, by what they are for."""
        for heading, (group, examples) in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(list(group.items()), col_max=max(map(len, COMMANDS)))
                formatter.write_paragraph()
                for example in examples:
                    formatter.write_text(f"$ {example}")


@cache
def _loaded(name: str) -> click.Command:
    module = name.replace("-", "_")
    command = getattr(import_module(f"imparfait.cli.{module}"), "list_names" if name == "list" else module)
    assert isinstance(command, click.Command)
    command.epilog = epilog(name)
    return add_general_options(command)


HIDDEN = {"help": help_command, "version": version_command}
"""Commands that print what -h and -V print, as in other programs; --help does not list them."""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(None, "-V", "--version", package_name="imparfait", message="%(prog)s %(version)s")
@general_options
def commands() -> None:
    """Train, compare and evaluate image classifiers that are robust to corrupted images.

    Start with: imparfait train --recipe quick
    """


def main() -> None:
    """Run the command; exit 2 after a mistake of the user, 1 after an error of the disk or the system."""
    # NumPy's matrices are small here: a second thread that waits for them doubled the processor time of an image.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold what is no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _run()
    except KeyboardInterrupt:  # a second Ctrl-C, while the first is answered
        _end(INTERRUPTED)


def _run() -> None:
    try:
        commands.main(prog_name="imparfait", standalone_mode=False)
    except click.UsageError as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            sys.exit(error.exit_code)
        _stop(usage_sentence(error, COMMANDS), error.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        print(*map(_plain, shown.getvalue().splitlines()), sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)
    except UserError as error:
        _stop(str(error), MISTAKE)
    except Stopped as error:
        _stop(str(error), error.code)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("imparfait"):
            raise
        _stop(f"this needs {error.name}, which is not installed; {install_hint('train')}", MISTAKE)
    except OSError as error:
        full = "; free some space and give the same command again: what is finished is kept"
        cause = f"{error.strerror or error}{full if error.errno in (errno.ENOSPC, errno.EDQUOT) else ''}"
        _stop(f"{error.filename or 'the output or a file'}: {cause}", 1)
    except (click.Abort, KeyboardInterrupt):
        import multiprocessing  # late, for the start of every command

        for process in multiprocessing.active_children():  # a pool would wait for them when Python ends
            process.kill()
        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        # Stopped while it loads, `serve` has written nothing; once it serves, it answers Ctrl-C itself.
        _stop("stopped" if command == "serve" else "stopped at once; what was written before is kept", INTERRUPTED)
    except Exception as error:  # whatever it is, it should be reported
        traceback.print_exc()
        print(f"imparfait: an error of its own, {type(error).__name__}; {REPORT}", file=sys.stderr)
        sys.exit(1)


def _stop(sentence: str, code: int) -> NoReturn:
    if "-v" in sys.argv or "--verbose" in sys.argv:
        traceback.print_exc()
    if code == MISTAKE and (variables := variables_set(sys.argv[1:])):
        sentence += f"; the environment sets {', '.join(variables)}"
    print(f"imparfait: {_plain(sentence)}", file=sys.stderr)
    _end(code)


def _end(code: int) -> NoReturn:
    """Exit; after Ctrl-C a further one changes nothing: at its end Python takes its own handler away."""
    if code > SIGNALLED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _plain(sentence: str) -> str:
    """A sentence with names of files, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in sentence)
