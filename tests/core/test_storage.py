"""Files and folders are complete or absent, wherever a process crash or a power cut interrupts a save."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.disk import Crash, Disk, crash

from imparfait.core import storage
from imparfait.core.errors import UserError
from imparfait.core.storage import (
    atomic_directory,
    atomic_write,
    exclusive_lock,
    load_version,
    open_to_append,
    save_version,
)

SUFFIX = ".bin"
OLD, NEW = b"old" * 40_000, b"new" * 40_000


def saves_that_end_at_every_step(save: Callable[[], None], restore: Callable[[], None], when: str) -> Iterator[Disk]:
    """Runs `save` repeatedly, crashing it at its first, second, … system call, until it completes."""
    for at in range(1, 100):
        restore()
        try:
            with crash(at, when) as disk:
                save()
        except Crash:
            yield disk
        else:
            if disk.calls < at:
                return
    raise AssertionError("a save of 100 steps")


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("when", ["before", "after", "half"])
def test_a_save_that_ends_at_any_step_leaves_a_complete_version(tmp_path: Path, when: str, power_cut: bool) -> None:
    def restore() -> None:
        for path in tmp_path.iterdir():
            path.unlink()
        for number in (1, 2):
            save_version(tmp_path, number, OLD, SUFFIX)

    ended = 0
    for disk in saves_that_end_at_every_step(lambda: save_version(tmp_path, 3, NEW, SUFFIX), restore, when):
        ended += 1
        if power_cut:
            disk.cut_power()
        content, broken = load_version(tmp_path, SUFFIX)
        assert content in (OLD, NEW)
        assert broken == []  # nothing half-written ever has the name of a version
        save_version(tmp_path, 4, NEW, SUFFIX)
        assert load_version(tmp_path, SUFFIX) == (NEW, [])
        assert len(list(tmp_path.iterdir())) == storage.VERSIONS_KEPT
    assert ended >= (1 if when == "half" else 9)


def test_the_crash_test_detects_a_save_that_is_not_atomic(tmp_path: Path) -> None:
    """A version written in place is torn: its sha256 shows it, and the version before it is still there."""
    save_version(tmp_path, 1, OLD, SUFFIX)

    def straight() -> None:
        handle = os.open(tmp_path / f"000000002-{storage._mark(NEW)}{SUFFIX}", os.O_WRONLY | os.O_CREAT)
        os.write(handle, NEW)
        os.close(handle)

    with pytest.raises(Crash), crash(2, "half"):
        straight()
    content, broken = load_version(tmp_path, SUFFIX)
    assert content == OLD
    assert len(broken) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_a_failed_write_keeps_the_earlier_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    save_version(tmp_path, 1, OLD, SUFFIX)

    def refuse(*words: Any, **more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as disk:
        disk.setattr(os, step, refuse)
        with pytest.raises(OSError, match=os.strerror(number)):
            save_version(tmp_path, 2, NEW, SUFFIX)
    assert load_version(tmp_path, SUFFIX) == (OLD, [])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("change", ["torn", "flipped", "emptied", "longer"])
def test_a_corrupted_version_is_skipped_and_named(tmp_path: Path, change: str) -> None:
    save_version(tmp_path, 1, OLD, SUFFIX)
    newest = save_version(tmp_path, 2, NEW, SUFFIX)
    flipped = bytearray(NEW)
    flipped[1000] ^= 1
    newest.write_bytes({"torn": NEW[:-1], "flipped": bytes(flipped), "emptied": b"", "longer": NEW + b"x"}[change])
    assert load_version(tmp_path, SUFFIX) == (OLD, [newest])
    assert load_version(tmp_path, SUFFIX) == (OLD, [])  # it was moved away
    next(tmp_path.glob(f"*{SUFFIX}")).write_bytes(b"")
    with pytest.raises(UserError, match=r"corrupted .* and no earlier version is intact; to start again"):
        load_version(tmp_path, SUFFIX)


def test_the_two_newest_versions_are_kept(tmp_path: Path) -> None:
    assert load_version(tmp_path, SUFFIX) == (None, [])
    for number in (3, 20, 100):
        save_version(tmp_path, number, b"%d" % number, SUFFIX)
    assert load_version(tmp_path, SUFFIX) == (b"100", [])
    assert [path.name[:9] for path in sorted(tmp_path.iterdir())] == ["000000020", "000000100"]


def test_a_folder_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path, "training"),
        pytest.raises(UserError, match="another process is training there"),
        exclusive_lock(tmp_path, "training"),
    ):
        pass
    with exclusive_lock(tmp_path, "training"):
        pass


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "a"
    with atomic_directory(target) as unfinished:
        (unfinished / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_folders_are_written_within_a_folder_that_is_being_written(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "study") as study:
        for name in ("first", "second"):
            with atomic_directory(study / name) as unfinished:
                (unfinished / "file").write_text(name)
        with atomic_directory(study / "deep" / "third") as unfinished:
            (unfinished / "file").write_text("third")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("file"))
    assert files == ["study/deep/third/file", "study/first/file", "study/second/file"]
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_no_files(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a"

    def fail() -> None:
        with atomic_directory(target) as unfinished:
            (unfinished / "file").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_older_folder_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "a"
    for content in ("first", "second"):
        with atomic_directory(target) as unfinished:
            (unfinished / "file").write_text(content)
    with pytest.raises(ValueError, match="broken"), atomic_directory(target):
        raise ValueError("broken")
    assert (target / "file").read_text() == "second"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills child processes")
def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with atomic_directory(tmp_path / "killed"):
            os._exit(9)
    os.waitpid(child, 0)
    assert len(list(tmp_path.glob(".killed-*"))) == 1
    with atomic_directory(tmp_path / "alive"), atomic_directory(tmp_path / "next"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"alive", "next"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills child processes")
def test_a_folder_that_was_set_aside_when_the_process_was_killed_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a"
    with atomic_directory(target) as folder:
        (folder / "file").write_text("first")
    child = os.fork()
    if child == 0:
        rename = Path.rename

        def only_aside(path: Path, to: Path) -> Path:
            return rename(path, to) if path == target else os._exit(9)

        monkeypatch.setattr(Path, "rename", only_aside)
        with atomic_directory(target) as folder:
            (folder / "file").write_text("second")
    os.waitpid(child, 0)
    assert not target.exists()
    with atomic_directory(tmp_path / "b"):
        pass
    assert (target / "file").read_text() == "first"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a device"])
def test_results_are_not_added_to_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    {"pipe": os.mkfifo, "folder": Path.mkdir, "link to a device": lambda path: path.symlink_to("/dev/zero")}[kind](path)
    with pytest.raises(UserError, match="is not a regular file"):
        open_to_append(path)


def test_a_full_disk_names_the_file_and_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"No space left on device \(7 bytes are needed\)") as error:
        atomic_write(tmp_path / "file", b"content")
    assert error.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
