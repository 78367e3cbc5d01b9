"""Data sets in tables: one for all splits, one per split, or one in each split's folder."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from imparfait.core.errors import UserError
from imparfait.core.types import Watch
from imparfait.data import table_files
from imparfait.data.arrays import Arrays, from_arrays
from imparfait.data.dataset import Split
from imparfait.data.directory import Directory, on_disk
from imparfait.data.image_dataset import from_images
from imparfait.data.image_files import ImageFiles, Wanted
from imparfait.data.image_folder import split_named
from imparfait.data.image_table import columns_of, has_images, read_image_table
from imparfait.data.pixel_table import has_labels, is_pixel_table, read_pixel_table
from imparfait.data.split_dataset import Dataset

SHARD = re.compile(r"-\d+-of-\d+$")  # of a Parquet file, as Hugging Face names them


class TableFile(NamedTuple):
    """A table in a directory: its name and the names of its columns."""

    name: str
    header: list[str]

    @property
    def split(self) -> Split | None:
        """The split that its name tells, as of train.csv or mnist_test.csv."""
        found = {split for word in re.findall("[a-z]+", Path(self.name).stem.lower()) if (split := split_named(word))}
        return found.pop() if len(found) == 1 else None


def from_pixel_tables(directory: Directory, tables: Mapping[Split, TableFile], name: str, wanted: Wanted) -> Dataset:
    """The data set in tables with an image per row."""

    def read(split: Split) -> Arrays:
        with on_disk(directory, [tables[split].name]) as folder:
            return read_pixel_table(folder / tables[split].name, tables[split].header)

    return from_arrays(directory.path, name, read, list(tables), wanted)


def from_tables(
    directory: Directory, tables: Sequence[TableFile], name: str, wanted: Wanted, watch: Watch, sure: bool = True
) -> Dataset | None:
    """The data set in the tables of a directory; None where they are about something else.

    To be `sure` is to find the image of the first row.
    """
    pixels = [table for table in tables if is_pixel_table(table.header)]
    if labelled := [table for table in pixels if has_labels(table.header)]:
        found = from_pixel_tables(directory, _by_split(directory, labelled), name, wanted)
        unused = ", ".join(table.name for table in pixels if table not in labelled)
        return replace(found, remark=f"{found.remark}; {unused}: no labels, not used") if unused else found
    images = [table for table in tables if {"image", "label"} <= set(columns_of(table.header))]
    with on_disk(directory, [table.name for table in images]) as folder:
        images = [table for table in images if not sure or has_images(folder / table.name, table.header, directory)]
        if not images:
            return None
        if len(images) == 1:
            splits = read_image_table(folder / images[0].name, images[0].header, directory, wanted.group)
            return from_images(f"{directory.path}/{images[0].name}", name, splits, wanted, watch)
        parts = [
            (split, files)
            for table in images
            for split, files in read_image_table(
                folder / table.name, table.header, directory, wanted.group, table.split
            ).items()
        ]
    if not all(SHARD.search(Path(table.name).stem) for table in images):
        _by_split(directory, images)  # raises where two tables are of one split
    splits = {split: _joined([files for own, files in parts if own == split]) for split in dict.fromkeys(dict(parts))}
    return from_images(directory.path, name, splits, wanted, watch)


def split_tables(directory: Directory, group: str | None = None) -> dict[Split, ImageFiles]:
    """The splits whose folders have a table of their images each, as Hugging Face's image folders."""
    found: dict[Split, ImageFiles] = {}
    for folder in directory.folders.values():
        split = split_named(folder.name)
        tables = [each for each in tables_in(folder)[0] if {"image", "label"} <= set(columns_of(each.header))]
        if split and len(tables) == 1:
            with on_disk(folder, [tables[0].name]) as path:
                rows = read_image_table(path / tables[0].name, tables[0].header, folder, group, split)
            found |= rows
    return found


def tables_in(directory: Directory) -> tuple[list[TableFile], list[UserError]]:
    """The tables of a directory, and the errors of those that cannot be read."""
    found: list[TableFile] = []
    errors: list[UserError] = []
    for name in sorted(file for file in directory.files if Path(file).suffix.lower() in table_files.SUFFIXES):
        try:
            with on_disk(directory, [name]) as folder:
                found.append(TableFile(name, table_files.header_of(folder / name)))
        except UserError as error:  # it may be about something else
            errors.append(error)
    return found, errors


def _by_split(directory: Directory, tables: Sequence[TableFile]) -> dict[Split, TableFile]:
    """Tables by the splits that their names tell; one alone is that of the training images."""
    if len(tables) == 1:
        return {"train": tables[0]}
    found = {table.split: table for table in tables}
    if None in found or len(found) < len(tables):
        names = ", ".join(table.name for table in tables)
        raise UserError(
            f"{directory.path}: several tables, {names}",
            expected="one of each of train, validation and test",
            hint=f"or name one: {directory.path}/{tables[0].name}",
        )
    return {split: table for split, table in found.items() if split}


def _joined(parts: Sequence[ImageFiles]) -> ImageFiles:
    first, *others = parts
    return replace(first.joined(*others), path=first.path)
