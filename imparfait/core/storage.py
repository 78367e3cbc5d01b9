"""Atomic, verified storage: files and folders that are written whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from imparfait.core.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: two processes at the same run are not kept apart there
    fcntl = None  # type: ignore[assignment]

MAX_MODEL_BYTES = 1 << 30  # of a file with weights
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
PARTIAL, ASIDE = ".partial", "-before"  # ends of names: of folders under way, and of what they replace
VERSIONS_KEPT = 2  # the newest, and the one before it in case the newest is corrupted


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that is moved to `path` when the block ends; if the block fails, it is removed.

    Its files are flushed to disk before the move. A folder already at `path` is replaced. What killed processes left
    beside it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _change_in(path.parent):
        _remove_partial(path.parent)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=PARTIAL, dir=path.parent))
        in_use = ExitStack()
        in_use.enter_context(folder_lock(temporary))
    try:
        yield temporary
        mask = _umask()
        temporary.chmod(0o777 & ~mask)  # tempfile and safetensors make what they write private
        for file in sorted(temporary.rglob("*")):
            file.chmod((0o777 if file.is_dir() else 0o666) & ~mask)
            _sync(file)
        _sync(temporary)
        aside = temporary.with_name(f"{temporary.name}{ASIDE}")
        with _change_in(path.parent):
            if path.exists():
                path.rename(aside)  # not removed yet: a crash between these two lines loses nothing
            temporary.rename(path)
        _sync(path.parent)
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        in_use.close()


def _change_in(parent: Path) -> AbstractContextManager[None]:
    """The lock for a change in `parent`; none in a partial folder, whose lock this process has already."""
    return contextlib.nullcontext() if parent.name.endswith(PARTIAL) else folder_lock(parent)


def _remove_partial(parent: Path) -> None:
    """Remove the partial folders in `parent` of processes that were killed; what they had set aside is put back."""
    for aside in parent.glob(f".*{PARTIAL}{ASIDE}"):
        original = parent / aside.name[1 : -len(f"-12345678{PARTIAL}{ASIDE}")]
        if original.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(original)
    for folder in parent.glob(f".*{PARTIAL}"):
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            lock(handle, folder, "writing")
            shutil.rmtree(folder, ignore_errors=True)
        except UserError:  # that process is alive
            pass
        finally:
            os.close(handle)


def save_version(folder: Path, number: int, content: bytes, suffix: str) -> Path:
    """Write `content` as version `number` into `folder`; a crash at any moment leaves the earlier versions intact.

    The file name carries a sha256, so that a corrupted file is recognised. The two newest versions are kept.
    """
    target = folder / f"{number:09d}-{_mark(content)}{suffix}"
    atomic_write(target, content)
    for old in [*_versions(folder, suffix)[:-VERSIONS_KEPT], *folder.glob(".*.tmp")]:
        old.unlink()
    return target


def atomic_write(path: Path, content: bytes) -> None:
    """Write `content` to `path`; after a crash at any moment the file holds the old content or all of the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if error.errno in DISK_FULL and not error.filename:
            raise OSError(error.errno, f"{error.strerror} ({len(content):,} bytes are needed)", str(path)) from error
        raise
    _sync(path.parent)


def load_version(folder: Path, suffix: str) -> tuple[bytes | None, list[Path]]:
    """The content of the newest intact version in `folder` (None without versions), and the corrupted files skipped.

    Corrupted files are renamed to *.broken. Raises UserError when every version is corrupted.
    """
    broken: list[Path] = []
    for path in reversed(_versions(folder, suffix)):
        content = path.read_bytes()
        if path.name.removesuffix(suffix).endswith(f"-{_mark(content)}"):
            for other in broken:
                other.replace(other.with_name(f"{other.name}.broken"))
            return content, broken
        broken.append(path)
    if broken:
        raise UserError(
            f"{broken[0]}: corrupted (its sha256 is not the one in its name), and no earlier version is intact",
            hint=f"to start again from the beginning, remove {folder}",
        )
    return None, []


def put(folder: Path, name: str, content: bytes, suffix: str) -> Path:
    """Store `content` in `folder` under `name`; the file name carries a sha256."""
    target = folder / f"{name}-{_mark(content)}{suffix}"
    atomic_write(target, content)
    return target


def get(folder: Path, name: str, suffix: str) -> bytes | None:
    """The content stored in `folder` under `name`; None if there is none or it is corrupted."""
    for path in folder.glob(f"{name}-*{suffix}"):
        content = path.read_bytes()
        if path.name == f"{name}-{_mark(content)}{suffix}":
            return content
    return None


def delete(folder: Path, name: str, suffix: str) -> None:
    """Remove what is stored in `folder` under `name`."""
    for path in folder.glob(f"{name}-*{suffix}"):
        path.unlink()


@contextmanager
def exclusive_lock(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of `folder` for the block; the system releases it when the process ends, however it ends.

    Raises UserError while another process holds it; `doing` says what that process does, such as "training".
    """
    handle = os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        lock(handle, folder, doing)
        yield
    finally:
        os.close(handle)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder` itself for the moments of a change; waits while another process holds it."""
    if not fcntl:
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def lock(handle: int, path: Path, doing: str) -> None:
    """Lock an open file until it is closed; raises UserError, which names `path`, while another process holds it."""
    if fcntl:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{path}: another process is {doing} there", hint="wait for it or stop it") from error


def _versions(folder: Path, suffix: str) -> list[Path]:
    """The oldest first."""
    return sorted(path for path in folder.glob(f"[0-9]*{suffix}"))


def _mark(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder to flush it
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def fingerprint(*parts: BaseModel | str) -> str:
    """sha256 over settings and other fingerprints: equal if and only if all `parts` are equal."""
    texts = [part.model_dump_json() if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def open_regular(file: Path, expected: str, hint: str = "") -> int:
    """A handle of a regular file, opened to read; raises UserError for a pipe, a folder or an unreadable file."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would block for ever
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}", expected=expected, hint=hint) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{file}: is not a regular file", expected=expected, hint=hint)
    return handle


def open_to_append(path: Path) -> IO[bytes]:
    """A file of results to add to; raises UserError for a pipe, a device or a folder."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is not a regular file", expected="a file for the results", hint="name another file")
    try:
        return path.open("a+b")
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"{path}: {error.strerror}", expected="a file in a folder that can be written to") from error


def read_regular(file: Path, most: int, expected: str = "the one that a training wrote", hint: str = "") -> bytes:
    """The content of a regular file of at most `most` bytes; raises UserError otherwise (pipe, folder, too large)."""
    with os.fdopen(open_regular(file, expected, hint), "rb") as content:
        size = os.fstat(content.fileno()).st_size
        if size > most:
            raise UserError(f"{file}: has {size:,} bytes", expected=f"at most {most:,}")
        return content.read(most)


def printable(text: str, most: int = 200) -> str:
    """Untrusted text made safe to print in a sentence: no control characters, at most `most` characters."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)[:most]


def user_cache(name: str) -> Path:
    """The folder `name` for what can be made again, in the user's cache folder; made where it is missing.

    Source: the XDG base directory specification.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "imparfait" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
