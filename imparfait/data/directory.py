"""Folders and zip archives as directories of image and data files, without hidden and system files."""

# An archive is never unpacked: images are read from it one by one, and only by names that its own list gives, so no
# name in it is ever a path on this machine. Files that other readers need on disk go to a temporary folder, under
# their last name, and are removed when they have been read.

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from imparfait.core.errors import UserError
from imparfait.data.images.limits import Limits

SYSTEM_NAMES = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "@eadir", "$recycle.bin")
)
"""Files and folders that operating systems and storage devices leave; names with a leading dot are hidden too."""
MAX_FILES = 5_000_000  # in a folder or archive; such a listing takes about 1 GB
MAX_DEPTH = 50  # folders in folders
MAX_UNPACKED_BYTES = 8 << 30  # of the data files of an archive that are read at a time, on disk
BLOCK_BYTES = 1 << 20


class Member(NamedTuple):
    """An image file in a zip archive."""

    archive: "Archive"
    name: str

    def __str__(self) -> str:
        return f"{self.archive.path}/{self.name}"

    def content(self) -> bytes:
        """Its bytes; raises UserError where it is larger than an image file may be or cannot be unpacked."""
        return self.archive.read(self.name, Limits().bytes)


FileSource = str | Member
"""An image file: its path, or its place in an archive."""


@dataclass
class Directory:
    """A folder, or a folder in an archive: its files and folders by their names."""

    path: str
    """As errors show it."""
    files: dict[str, FileSource] = field(default_factory=dict)
    folders: dict[str, "Directory"] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return Path(self.path).name

    def all_files(self) -> Iterator[tuple[str, FileSource]]:
        """The name and the source of each file, those in its folders included."""
        yield from self.files.items()
        for folder in self.folders.values():
            yield from folder.all_files()


class Archive:
    """A zip archive, of which members are read by their names."""

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():  # reading a pipe would wait for ever
            raise UserError(f"{path}: is no regular file; expected a zip archive")
        with _zip_errors(str(path)):
            self._zip = zipfile.ZipFile(path)
        self._infos = {info.filename.replace("\\", "/"): info for info in self._zip.infolist()}

    @property
    def names(self) -> Collection[str]:
        """The names of its members, with / between folders and after them."""
        return self._infos.keys()

    def read(self, name: str, limit: int) -> bytes:
        """The content of a member, of `limit` bytes at most."""
        info = self._checked(name, limit)
        with _zip_errors(f"{self.path}/{name}"), self._zip.open(info) as file:
            return file.read(info.file_size)

    def unpack(self, name: str, to: Path, limit: int) -> int:
        """Write a member of `limit` bytes at most to a file; returns how many bytes it has."""
        info = self._checked(name, limit)
        with _zip_errors(f"{self.path}/{name}"), self._zip.open(info) as file, to.open("xb") as out:
            shutil.copyfileobj(file, out, BLOCK_BYTES)  # zipfile stops at the size in the archive's list
        return info.file_size

    def _checked(self, name: str, limit: int) -> zipfile.ZipInfo:
        info = self._infos[name]
        if info.file_size > limit:
            raise UserError(f"{self.path}/{name}: has {info.file_size:,} bytes; expected at most {limit:,}")
        return info


def list_directory(path: Path) -> Directory:
    """The files of a folder, or of a zip archive, at every depth.

    Symbolic links are followed, but not to a folder that they are in. Raises UserError where there are too many files,
    or the archive is broken.
    """
    return _list_folder(path) if path.is_dir() else _list_archive(path)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden or belongs to the system."""
    return name.startswith(".") or name.casefold() in SYSTEM_NAMES


def _list_folder(path: Path) -> Directory:
    count = 0

    def listed(folder: str, inside: frozenset[tuple[int, int]]) -> Directory:
        nonlocal count
        found = Directory(folder)
        with os.scandir(folder) as entries:
            in_order = sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
        count += len(in_order)
        if count > MAX_FILES:
            raise UserError(f"{path}: more than {MAX_FILES:,} files", hint="name the folder of the data set itself")
        for entry in in_order:
            if not _leads_to_folder(entry):
                found.files[entry.name] = entry.path
                continue
            status = os.stat(entry.path)  # noqa: PTH116 - of what a link leads to
            key = (status.st_dev, status.st_ino)
            if key not in inside and len(inside) < MAX_DEPTH:
                found.folders[entry.name] = listed(entry.path, inside | {key})
        return found

    status = path.stat()
    return listed(str(path), frozenset({(status.st_dev, status.st_ino)}))


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: named where it is read, if it is an image
        return False


def _list_archive(path: Path) -> Directory:
    archive = Archive(path)
    root = Directory(str(path))
    if len(archive.names) > MAX_FILES:
        raise UserError(f"{path}: more than {MAX_FILES:,} files", hint="unpack it, and name the data set's folder")
    for name in sorted(archive.names):
        *folders, last = name.split("/")
        parts = [part for part in folders if part]
        if any(map(is_hidden, (*parts, last))) or len(parts) > MAX_DEPTH:  # also .., which is of no data set
            continue
        here = root
        for part in parts:
            here = here.folders.setdefault(part, Directory(f"{here.path}/{part}"))
        if last:
            here.files[last] = Member(archive, name)
    return root


@contextmanager
def on_disk(directory: Directory, names: Collection[str]) -> Iterator[Path]:
    """A folder on disk that has these files of a directory: the folder itself, or a temporary one for an archive's."""
    members = {name: source for name in names if isinstance(source := directory.files[name], Member)}
    if not members:
        for name in names:
            if not Path(directory.path, name).is_file():  # reading a pipe would wait for ever
                raise UserError(f"{directory.path}/{name}: is no regular file")
        yield Path(directory.path)
        return
    with tempfile.TemporaryDirectory(prefix="imparfait-") as temporary:
        left = min(MAX_UNPACKED_BYTES, shutil.disk_usage(temporary).free)
        for name, member in members.items():
            left -= member.archive.unpack(member.name, Path(temporary, name), left)
        try:
            yield Path(temporary)
        except UserError as error:
            received = error.received.replace(temporary, directory.path)
            raise UserError(received, expected=error.expected, hint=error.hint) from error


@contextmanager
def _zip_errors(name: str) -> Iterator[None]:
    """Turn any error of an archive into a UserError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UserError(f"{name}: cannot be unpacked: {error}") from error
