"""The command `imparfait`: parses, and turns users' mistakes into one sentence."""

import sys

import click

from imparfait.cli.compare import compare
from imparfait.cli.corrupt import alter
from imparfait.cli.evaluate import evaluate
from imparfait.cli.export import export
from imparfait.cli.list import list_names
from imparfait.cli.predict import predict
from imparfait.cli.read import read
from imparfait.cli.search import search
from imparfait.cli.serve import serve
from imparfait.cli.signals import Stopped
from imparfait.cli.study import study
from imparfait.cli.train import train
from imparfait.core.errors import UserError

INTERRUPTED = 130  # what shells expect after Ctrl-C


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="imparfait", message="%(prog)s %(version)s")
def commands() -> None:
    """Train, choose and prove image classifiers that stay right when the image does not.

    A corruption is what others call a corruption or an augmentation. Start with: imparfait train --recipe quick
    """


commands.add_command(predict)
commands.add_command(read)
commands.add_command(train)
commands.add_command(evaluate)
commands.add_command(compare)
commands.add_command(search)
commands.add_command(study)
commands.add_command(export)
commands.add_command(alter)
commands.add_command(serve)
commands.add_command(list_names)


def main() -> None:
    """Run the command; exit 2 after a mistake of the user's, 1 when the disk or the system would not."""
    try:
        commands.main(prog_name="imparfait", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        _stop(str(error), 2)
    except Stopped as error:
        _stop(str(error), error.code)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("imparfait"):
            raise
        _stop(f"this needs {error.name}, which is not installed; write: pip install 'imparfait[train]'", 2)
    except OSError as error:
        _stop(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except (click.Abort, KeyboardInterrupt):
        _stop("stopped; nothing was written", INTERRUPTED)


def _stop(sentence: str, code: int) -> None:
    print(f"imparfait: {sentence}", file=sys.stderr)
    sys.exit(code)
