"""Tables of image files: a path and a label per row, perhaps a split and a group."""

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.data.dataset import Split
from imparfait.data.directory import Directory, Member, list_directory
from imparfait.data.group_names import check_group
from imparfait.data.image_files import MAX_NAMED, ImageFiles, ImageSource
from imparfait.data.image_folder import SPLITS, images_in, split_named
from imparfait.data.table_files import Encoded, Table, read_table

COLUMNS = {
    "image": (
        "imagepath", "path", "filename", "file", "filepath", "image", "img", "imgpath", "imagefile", "imagename",
        "imageid", "filepaths", "images", "idcode",
    ),
    "label": ("label", "labels", "class", "classname", "target", "category", "labelname", "diagnosis", "y"),
    "split": ("split", "set", "subset", "partition"),
    "group": ("group", "groups", "groupid"),
}  # fmt: skip
"""Names of columns, without spaces, hyphens and underscores, in any case; the first that is there is taken."""
EXPECTED = "columns image_path and label, and perhaps split (train, validation, test) and group"


def columns_of(header: Sequence[str], group: str | None = None) -> dict[str, str]:
    """Which columns of a table with these names are the image, the label, the split and the group.

    A column of groups is one called so, or where `group` is given, only the one that it names.
    """
    by_key = {re.sub(r"[\s_-]", "", name).casefold(): name for name in reversed(header)}
    found = {kind: [by_key[name] for name in names if name in by_key] for kind, names in COLUMNS.items()}
    columns = {kind: names[0] for kind, names in found.items() if names}
    if group is not None:
        columns.pop("group", None)
        columns |= {"group": group} if group in header else {}
    return columns


def has_images(path: Path, header: Sequence[str], directory: Directory) -> bool:
    """Whether the image of a table's first row is in `directory`."""
    column = columns_of(header)["image"]
    first = read_table(path, [column], rows=1).columns[column]
    return len(first) > 0 and _find(first[0], directory, _in_archive(directory)) is not None


def read_image_table(
    path: Path, header: Sequence[str], directory: Directory, group: str | None = None, split: Split | None = None
) -> dict[Split, ImageFiles]:
    """The splits of a table at `path`, whose images are in `directory`; only `split` where it names none.

    Without a column of splits and a `split`, paths that all begin with a split's name tell. Groups are those of a
    column, by default of one called group; a `group` that is no column is looked for in the paths later. Raises
    UserError, in one sentence for all rows, where a label, a split or a file is missing.
    """
    columns = columns_of(header, group)
    shown = str(Path(directory.path, path.name))
    if not {"image", "label"} <= set(columns):
        named = ", ".join(header[:8]) + (" …" if len(header) > 8 else "")
        raise UserError(f"{shown}: a table with columns {named or 'of no name'}", expected=EXPECTED)
    if group is not None:
        check_group(group, header)
    table = read_table(path, list(dict.fromkeys(columns.values())))
    cells, labels = (table.columns[columns[kind]] for kind in ("image", "label"))
    _check_rows(shown, columns["label"], [not label for label in labels], "no label")
    _check_rows(shown, columns["image"], [not cell for cell in cells], "no image")
    sources = _find_images(shown, cells, directory)
    splits = _splits_of(shown, table, columns, cells, split)
    groups = table.columns[columns["group"]] if "group" in columns else None
    if groups is not None and not any(groups) and group is None:
        groups = None
    if groups is not None:
        _check_rows(shown, columns["group"], [not group for group in groups], "no group")
    found: dict[Split, ImageFiles] = {}
    for name in SPLITS:
        rows = [row for row, own in enumerate(splits) if own == name]
        if rows:
            own = [groups[row] for row in rows] if groups is not None else None
            found[name] = ImageFiles(shown, [sources[row] for row in rows], [labels[row] for row in rows], own)
    return found


def _splits_of(
    shown: str, table: Table, columns: dict[str, str], cells: Sequence[object], split: Split | None
) -> list[Split]:
    if "split" in columns:
        values = table.columns[columns["split"]]
        found = [split_named(value) for value in values]
        unknown = next((value for value, own in zip(values, found, strict=True) if own is None), "")
        what = f"{unknown!r} as split" if unknown else "no split"
        _check_rows(shown, columns["split"], [own is None for own in found], what)
        return [own for own in found if own]
    if split:
        return [split] * len(cells)
    first = [str(cell).replace("\\", "/").removeprefix("./").partition("/")[0] for cell in cells]
    by_path = [split_named(name) for name in first]
    known = [own for own in by_path if own]
    return known if len(known) == len(by_path) and "train" in known else ["train"] * len(by_path)


def _find_images(shown: str, cells: Sequence[object], directory: Directory) -> list[ImageSource]:
    """The image of each row: by its path, relative to the table or absolute; else by its name, if all have one."""
    in_archive = _in_archive(directory)
    found = [_find(cell, directory, in_archive) for cell in cells]
    missing = [str(cell) for cell, source in zip(cells, found, strict=True) if source is None]
    if len(missing) == len(cells):
        by_name = _by_name(directory if in_archive else list_directory(Path(directory.path)))
        named = [by_name.get(os.path.basename(str(cell))) for cell in cells]  # noqa: PTH119
        if all(named):
            return [source for source in named if source]
    if missing:
        more = f" … and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise UserError(
            f"{shown}: {len(missing)} of {len(cells)} images do not exist: {', '.join(missing[:MAX_NAMED])}{more}",
            expected="paths relative to the table" + ("" if in_archive else ", or absolute ones"),
        )
    return [source for source in found if source is not None]


def _in_archive(directory: Directory) -> bool:
    return any(isinstance(source, Member) for _, source in islice(directory.all_files(), 1))


def _find(cell: object, directory: Directory, in_archive: bool) -> ImageSource | None:
    if isinstance(cell, Encoded):
        return cell
    path = str(cell).replace("\\", "/")
    if not in_archive:
        whole = os.path.join(directory.path, path)  # noqa: PTH118 - 100,000 Paths take a second
        return whole if os.path.isfile(whole) else None  # noqa: PTH113
    *folders, name = (part for part in path.split("/") if part not in ("", "."))
    here: Directory | None = directory
    for folder in folders:
        here = here.folders.get(folder) if here else None
    return here.files.get(name) if here else None


def _by_name(directory: Directory) -> dict[str, ImageSource | None]:
    """The images of a directory by their names, with and without suffix; None where two have one name."""
    found: dict[str, ImageSource | None] = {}
    for source in images_in(directory):
        name = os.path.basename(str(source))  # noqa: PTH119
        for key in {name, os.path.splitext(name)[0]}:  # noqa: PTH122
            found[key] = None if key in found else source
    return found


def _check_rows(shown: str, column: str, wrong: Sequence[bool], what: str) -> None:
    """Raises UserError where a row has no usable value in a column, and says in which rows."""
    rows = [row for row, is_wrong in enumerate(wrong, 2) if is_wrong]  # the first row has the names
    if rows:
        listed = ", ".join(map(str, rows[:MAX_NAMED])) + (" …" if len(rows) > MAX_NAMED else "")
        raise UserError(
            f"{shown}: {what} in column {column!r} of {len(rows)} rows (row {listed})",
            expected=EXPECTED if column != "split" else "train, validation or test",
        )
