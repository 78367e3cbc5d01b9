"""What can be refused before anything heavy is imported or read: models, and places to write to."""

from collections.abc import Iterable
from pathlib import Path

from imparfait.cli.names import NETWORKS, OWN_NETWORK, check_name
from imparfait.core.errors import UserError
from imparfait.core.storage import check_writable, check_writable_folder


def check_models(paths: Iterable[Path]) -> None:
    """Raises UserError for a folder that is no run, and for a file that is no model.

    Functions of Python files and addresses are not looked at.
    """
    from imparfait.evaluation.external.load import format_of
    from imparfait.models.metadata import read_config

    for path in paths:
        if OWN_NETWORK in str(path):
            file = Path(str(path).rpartition(":")[0])
            if not file.is_file():
                raise UserError(f"{path}: there is no file {file}", expected="my_model.py:predict")
        elif path.is_dir() and not (path / "saved_model.pb").exists():
            read_config(path)
        else:
            format_of(path)


def check_out(folder: Path, *files: Path | None) -> None:
    """Raises UserError for a folder of results that could not be made or written to, and for such files."""
    check_writable_folder(folder)
    for file in files:
        if file:
            check_writable(file, makes_folder=True)


def check_candidates(names: Iterable[str]) -> None:
    """Raises UserError for the name of a recipe or a network that is none; files are looked at later."""
    from imparfait.training.recipes import RECIPES, refuse_renamed

    for name in names:
        if not (name.endswith(".toml") or OWN_NETWORK in name or Path(name).is_dir()):
            refuse_renamed(name)
            check_name("recipe or model", name, (*RECIPES, *NETWORKS))
