"""The formats of data sets: which one a file, a folder or an archive has, and its reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.core.types import Watch
from imparfait.data import npz, table_files
from imparfait.data.arrays import Arrays, from_arrays
from imparfait.data.dataset import Split
from imparfait.data.directory import Directory, list_directory, on_disk
from imparfait.data.group_names import NO_GROUPS
from imparfait.data.idx import PARTS, TRANSPOSED, find_sets, read_idx, read_mapping
from imparfait.data.image_dataset import from_images, grouped
from imparfait.data.image_files import MAX_NAMED, ImageFiles, Wanted
from imparfait.data.image_folder import MAX_WRAPPERS, SPLITS, find_class_folders, images_in, split_named
from imparfait.data.image_table import read_image_table
from imparfait.data.pixel_table import is_pixel_table
from imparfait.data.split_dataset import Dataset
from imparfait.data.table_dataset import TableFile, from_pixel_tables, from_tables, split_tables, tables_in


def read_path(path: Path, wanted: Wanted, watch: Watch) -> Dataset | None:
    """The data set in a file, a folder or an archive; None where it has none of the formats."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_directory(list_directory(path), path.resolve().name, wanted, watch)
    if suffix == ".zip":
        return _read_directory(list_directory(path), path.stem, wanted, watch)
    alone = Directory(str(path.parent), {path.name: str(path)})
    if suffix == ".npz":
        return _from_npz(alone, path.name, path.stem, wanted)
    if suffix == ".mat":
        return _from_matlab(alone, {"train": path.name}, path.stem, wanted)
    if suffix in table_files.SUFFIXES:
        if not path.is_file():
            raise UserError(f"{path}: is no regular file", expected="a table")
        table = TableFile(path.name, table_files.header_of(path))
        if is_pixel_table(table.header):
            return from_pixel_tables(alone, {"train": table}, path.stem, wanted)
        return from_images(
            str(path), path.stem, read_image_table(path, table.header, alone, wanted.group), wanted, watch
        )
    return None


def read_files(path: Path, group: str | None = None) -> dict[Split, ImageFiles]:
    """The splits of a table of image files or of a folder of class folders, with groups; raises UserError for others.

    No image is read.
    """
    suffix = path.suffix.lower()
    splits: dict[Split, ImageFiles] = {}
    if path.is_file() and suffix in table_files.SUFFIXES:
        header = table_files.header_of(path)
        if not is_pixel_table(header):
            alone = Directory(str(path.parent), {path.name: str(path)})
            splits = read_image_table(path, header, alone, group)
    elif path.is_dir() or suffix == ".zip":
        directory = list_directory(path)
        splits = split_tables(directory, group) or find_class_folders(directory)
    if not splits:
        raise UserError(f"{path}: not a data set of image files", expected="class folders, or a table of image files")
    if group in (None, NO_GROUPS):
        return splits
    return {split: grouped(files, str(path), str(group)) for split, files in splits.items()}


def count_images(path: Path) -> int:
    """How many image files are in a folder or archive that has none of the formats."""
    listed = path.is_dir() or path.suffix.lower() == ".zip"
    return len(images_in(list_directory(path))) if listed else 0


def read_inside(path: Path, wanted: Wanted, watch: Watch) -> Dataset | None:
    """The data set at a path that is no file: a folder in an archive, or one of several sets of IDX files.

    Such a set is called by what its file names begin with, as emnist-digits. None where there is none.
    """
    archive = next((parent for parent in path.parents if parent.is_file() and _is(parent.name, ".zip")), None)
    if archive:
        here = list_directory(archive)
        for part in path.relative_to(archive).parent.parts:
            here = here.folders.get(part, Directory(str(path.parent)))
        if path.name in here.folders:
            return _read_directory(here.folders[path.name], path.name, wanted, watch)
    elif path.parent.is_dir():
        mapping = f"{path.name}-mapping.txt"
        listed = [file for file in path.parent.iterdir() if find_sets([file.name]) or file.name == mapping]
        files = {file.name: str(file) for file in listed if file.is_file()}
        here = Directory(str(path.parent), dict(files))
    else:
        return None
    sets = find_sets(here.files)
    return _from_idx(here, path.name, sets[path.name], path.name, wanted) if path.name in sets else None


def _read_directory(
    directory: Directory, name: str, wanted: Wanted, watch: Watch, wrappers: int = MAX_WRAPPERS
) -> Dataset | None:
    sets = find_sets(directory.files)
    if len(sets) > 1:
        raise UserError(
            f"{directory.path}: {len(sets)} data sets, {', '.join(sets)}",
            hint=f"name one: {directory.path}/{min(sets)}",
        )
    if sets:
        [(prefix, parts)] = sets.items()
        return _from_idx(directory, prefix, parts, name, wanted)
    if any(file.lower().endswith(".npy") for file in directory.files):
        return _from_npy(directory, name, wanted)
    matlab = {split: file for file in directory.files if (split := TableFile(file, []).split) and _is(file, ".mat")}
    if "train" in matlab:
        return _from_matlab(directory, matlab, name, wanted)
    tables, unreadable = tables_in(directory)
    if found := from_tables(directory, tables, name, wanted, watch):
        return found
    if folders := split_tables(directory, wanted.group) or find_class_folders(directory):
        several = len(folders) > 1 or len(set(folders.get("train", ImageFiles("", (), ())).labels)) > 1
        if several or not _is_wrapped(directory):
            return from_images(directory.path, name, folders, wanted, watch)
    archives = [file for file in directory.files if _is(file, ".npz")]
    if len(archives) == 1:
        return _from_npz(directory, archives[0], name, wanted)
    if found := from_tables(directory, tables, name, wanted, watch, sure=False):
        return found
    if wrappers and len(directory.folders) == 1:  # as archives add them
        [inner] = directory.folders.values()
        return _read_directory(inner, name, wanted, watch, wrappers - 1)
    if unreadable:
        raise unreadable[0]
    return None


def _is(name: str, suffix: str) -> bool:
    return name.lower().endswith(suffix)


def _is_wrapped(directory: Directory) -> bool:
    """Whether a directory has nothing but one folder with folders in it."""
    inner = list(directory.folders.values())
    return len(inner) == 1 and bool(inner[0].folders or inner[0].files) and not split_named(inner[0].name)


def _from_idx(directory: Directory, prefix: str, parts: Mapping[str, str], name: str, wanted: Wanted) -> Dataset:
    def read(split: Split) -> Arrays:
        for part in PARTS[split]:
            if part not in parts:
                raise UserError(f"{directory.path}: no file named {part}… in it; expected {', '.join(PARTS[split])}")
        files = [parts[part] for part in PARTS[split]]
        with on_disk(directory, files) as folder:
            images, labels = (read_idx(folder / file) for file in files)
        return (images.swapaxes(1, 2) if TRANSPOSED.match(prefix) and images.ndim > 2 else images), labels

    mapping, names = f"{prefix}-mapping.txt", None
    if mapping in directory.files:
        with on_disk(directory, [mapping]) as folder:
            names = read_mapping(folder / mapping)
    has: list[Split] = ["train", "test"] if all(part in parts for part in PARTS["test"]) else ["train"]
    return from_arrays(directory.path, name, read, has, wanted, names)


def _from_npy(directory: Directory, name: str, wanted: Wanted) -> Dataset:
    files = [file for file in directory.files if file.endswith(".npy")]
    return _from_named_arrays(directory, files, "", name, wanted)


def _from_npz(directory: Directory, file: str, name: str, wanted: Wanted) -> Dataset:
    return _from_named_arrays(directory, [file], file, name, wanted)


def _from_named_arrays(directory: Directory, files: Sequence[str], inner: str, name: str, wanted: Wanted) -> Dataset:
    """The data set in the .npz file `inner`, or where that is empty in .npy files."""
    shown = str(Path(directory.path, inner))
    with on_disk(directory, files) as folder:
        names = npz.names_in(folder / inner)
    pairs = {split: pair for split in SPLITS if (pair := npz.find_arrays(names, split))}
    if "train" not in pairs:
        more = f" … and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
        raise UserError(
            f"{shown}: no training images in it ({', '.join(sorted(names)[:MAX_NAMED]) or 'nothing'}{more})",
            expected="x_train and y_train, or train_images and train_labels",
        )

    def read(split: Split) -> Arrays:
        with on_disk(directory, files) as folder:
            images = npz.read_array(folder / inner, pairs[split][0])
            labels = npz.read_array(folder / inner, pairs[split][1], or_text=True)
        return images, labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels

    return from_arrays(shown, name, read, list(pairs), wanted)


def _from_matlab(directory: Directory, files: Mapping[Split, str], name: str, wanted: Wanted) -> Dataset:
    from imparfait.data.matlab import read_matlab

    def read(split: Split) -> Arrays:
        with on_disk(directory, [files[split]]) as folder:
            return read_matlab(folder / files[split])

    return from_arrays(directory.path, name, read, list(files), wanted)
