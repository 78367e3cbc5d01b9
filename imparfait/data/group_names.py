"""Groups of images by a column of a table, by the folder of each image, or by a part of its path."""

import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from imparfait.core.errors import UserError
from imparfait.data.directory import Member
from imparfait.data.image_files import ImageFiles, ImageSource, shown

PARENT: Final = "parent"
NO_GROUPS: Final = "none"
EXPECTED = r"a column of the table, parent, or a regular expression with one group, such as 'meter-(\d+)'"


def check_group(group: str, columns: Sequence[str] = ()) -> None:
    """Raises UserError for a `group` that is no name of a column and no way to find groups in paths."""
    if group not in (PARENT, NO_GROUPS, *columns):
        _pattern(group, columns)


def groups_by_path(files: ImageFiles, root: str, group: str) -> list[str]:
    """The group of each image file: the name of the folder that it is in, or what a pattern finds in its path.

    Paths are relative to `root`, with / between folders. The folder has to be one inside the class folder. Raises
    UserError, for all images at once, where there is no such folder or no match.
    """
    paths = [_path_of(source, root) for source in files.sources]
    if group == PARENT:
        found = [_folder(path, label) for path, label in zip(paths, files.labels, strict=True)]
        what, expected = "not in a folder inside their class folder", "<class>/<group>/<image>"
    else:
        pattern = _pattern(group)
        matches = [pattern.search(path) for path in paths]
        found = [match[1] if match else None for match in matches]
        what, expected = (
            "without a match in their path",
            "a match in the path of each image, relative to the data folder",
        )
    if missing := [path for path, name in zip(paths, found, strict=True) if not name]:
        raise UserError(
            f"--group {group}: {len(missing):,} of {len(files):,} images of {files.path} are {what}, "
            f"such as {missing[0]}",
            expected=expected,
        )
    return [name for name in found if name]


def _folder(path: str, label: str) -> str | None:
    *above, name = path.split("/")[:-1] or [""]
    return None if name == label and label not in above else name


def _path_of(source: ImageSource, root: str) -> str:
    if not isinstance(source, str | Member):
        raise UserError(f"{shown(source)}: has no path to find its group in", expected="a column of groups")
    return str(source).removeprefix(os.path.join(root, "")).replace(os.sep, "/")  # noqa: PTH118 - a Path takes longer


def _pattern(group: str, columns: Sequence[str] = ()) -> re.Pattern[str]:
    near = get_close_matches(group, columns, n=1)
    hint = f"did you mean {near[0]}?" if near else f"columns: {', '.join(columns[:8])}" if columns else ""
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UserError(f"--group {group}: {error}", expected=EXPECTED, hint=hint) from error
    if pattern.groups != 1:
        raise UserError(f"--group {group}", expected=EXPECTED, hint=hint)
    return pattern
