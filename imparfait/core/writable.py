"""Whether results could be written to a place, tried before the work that they come from."""

import tempfile
from pathlib import Path

from imparfait.core.errors import UserError


def check_writable(file: Path, *, makes_folder: bool = False) -> None:
    """Raise UserError, before the work, for a file that could not be written after it, its folder made or not."""
    folder = _existing(file.parent) if makes_folder else file.parent
    problem = ""
    if file.exists() and not file.is_file():
        problem = f"is {'a folder' if file.is_dir() else 'no regular file'}"
    elif not folder.is_dir():
        problem = f"there is no folder {folder}"
    elif refusal := _refusal(folder):
        problem = f"cannot write in {folder}: {refusal}"
    if problem:
        raise UserError(f"{file}: {problem}", expected="the path of a file to write")


def check_writable_folder(path: Path) -> None:
    """Raise UserError, before the work, for a folder of results that could not be made, or written to."""
    folder = _existing(path)
    refusal = _refusal(folder) if folder.is_dir() else f"{folder} is no folder"
    if refusal:
        done = "written to" if folder == path else f"made in {folder}"
        raise UserError(
            f"{path}: cannot be {done}: {refusal}", expected="a folder to write to", hint="write another folder"
        )


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _refusal(folder: Path) -> str:
    """Why no file can be made in a folder; empty if one can. Rights alone do not tell: a disk may be read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return "no right to write" if isinstance(error, PermissionError) else error.strerror or str(error)
