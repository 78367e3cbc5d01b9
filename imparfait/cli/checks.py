"""What can be refused before anything heavy is imported or read: models, and places to write to."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from imparfait.cli.names import NETWORKS, OWN_NETWORK, check_name
from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.writable import check_writable, check_writable_folder


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


def check_addresses(urls: Iterable[str]) -> None:
    """Raises UserError for what is no address of HTTP."""
    from imparfait.evaluation.external.remote import is_url

    for url in urls:
        if not is_url(url):
            raise UserError(
                f"--url {url}: no address",
                expected="http://… or https://…",
                hint="such as http://127.0.0.1:8000/v1/predict",
            )


def check_baseline(file: Path) -> None:
    """Raises UserError where there is no baseline to compare with."""
    if not file.is_file():
        hint = f"write one first: imparfait gate … --save {file}"
        raise UserError(f"{file}: there is no such file", expected="a baseline", hint=hint)


def check_runs(*models: Path | None) -> None:
    """Raises UserError where one is no run folder and no pretrained model; None is none."""
    from imparfait.models.metadata import read_config
    from imparfait.models.pretrained import find_model

    for model in filter(None, models):
        read_config(find_model(model))


def check_out(folder: Path, *files: Path | None) -> None:
    """Raises UserError for a folder of results that could not be made or written to, and for such files."""
    check_writable_folder(folder)
    for file in files:
        if file:
            check_writable(file, makes_folder=True)


def check_candidates(names: Sequence[str], least: int = 2) -> None:
    """Raises UserError for too few names, and for one of no recipe and no network; files are looked at later."""
    from imparfait.training.recipes import RECIPES, refuse_renamed
    from imparfait.training.settings import read_toml

    if len(names) < least:
        raise UserError(
            f"compare was given {counted(len(names), 'candidate')}",
            expected="two or more",
            hint="write, for example: imparfait compare cnn petit",
        )
    for name in names:
        if name.endswith(".toml"):
            read_toml(Path(name))
        elif not (OWN_NETWORK in name or Path(name).is_dir()):
            refuse_renamed(name)
            check_name("recipe or model", name, (*RECIPES, *NETWORKS))
