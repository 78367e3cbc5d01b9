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
from imparfait.core.storage import atomic_directory, exclusive_lock, load_version, save_version

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
