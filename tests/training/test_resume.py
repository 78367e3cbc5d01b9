"""Real trainings are killed, stopped or hit a full disk; the same command continues them."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bars import draw_bars, write_idx
from helpers.commands import SMALL

from imparfait.cli.main import main
from imparfait.training import loop

# Saves after every step, draws no figures. A shell's background jobs ignore Ctrl-C and children inherit that, a
# terminal's do not.
OFTEN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from imparfait.cli.main import main
from imparfait.training import loop
loop.CHECKPOINT_SECONDS = loop.CHECKPOINT_SHARE = 0
from matplotlib.figure import Figure
from PIL import Image
Figure.savefig = lambda figure, file, **options: Image.new("L", (1, 1)).save(file, "PNG")
"""
# Ends itself, as the system would, in the middle of writing the checkpoint of step 30 or later.
KILLED_IN_A_SAVE = """
write = os.write
def half(handle, content):
    path = os.readlink(f"/proc/self/fd/{handle}")
    if path.endswith(".tmp") and int(os.path.basename(path)[1:10]) >= 30:
        write(handle, content[:len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(handle, content)
os.write = half
"""
# … or after the checkpoint is written and before it is renamed.
KILLED_BEFORE_THE_NAME = """
replace = os.replace
def unnamed(old, new):
    if str(old).endswith(".tmp") and int(os.path.basename(old)[1:10]) >= 60:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(old, new)
os.replace = unnamed
"""
# … or after the run folder appeared and before the working folder is removed.
KILLED_AT_THE_END = """
import shutil
rmtree = shutil.rmtree
def kill(path, **more):
    if str(path).endswith(".unfinished"):
        os.kill(os.getpid(), signal.SIGKILL)
    return rmtree(path, **more)
shutil.rmtree = kill
"""
TRAINING = ["train", "--epochs", "12", "--batch-size", "10", "--learning-rate", "0.003", *SMALL]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("home") / "bars", draw_bars(120), None)


def start(out: Path, folder: Path, program: str = "") -> subprocess.Popen[str]:
    words = [sys.executable, "-c", OFTEN + program + "main()", *TRAINING, "--data", folder, "--out", out]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what was printed to stderr."""
    _, stderr = child.communicate(timeout=120)
    return child.returncode, stderr


def saved_steps(out: Path) -> int:
    return max((int(path.name[:9]) for path in out.glob("*.unfinished/[0-9]*.safetensors")), default=0)


def wait_until(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert child.poll() is None, child.communicate()
        time.sleep(0.005)


def sha256(out: Path) -> str:
    (weights,) = out.glob("*/model.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> str:
    out = folder.parent / "undisturbed"
    code, said = ended(start(out, folder))
    assert code == 0, said
    assert "12 of 12" in said
    return sha256(out)


def test_a_run_killed_five_times_ends_with_the_same_bits(tmp_path: Path, folder: Path, undisturbed: str) -> None:
    for after in (10, 45, 90):  # in the middle of an epoch
        if after == 45:
            assert ended(start(tmp_path, folder, KILLED_IN_A_SAVE))[0] == -signal.SIGKILL
            assert list(tmp_path.glob("*.unfinished/.*.tmp"))
            assert ended(start(tmp_path, folder, KILLED_BEFORE_THE_NAME))[0] == -signal.SIGKILL
        child = start(tmp_path, folder)
        wait_until(lambda after=after: saved_steps(tmp_path) >= after, child)  # type: ignore[misc]
        child.kill()
        ended(child)
        assert 0 < saved_steps(tmp_path) < 120
    code, said = ended(start(tmp_path, folder))
    assert code == 0, said
    assert "continuing from step" in said
    assert sha256(tmp_path) == undisturbed
    assert [path.name.startswith("default-s0-") for path in tmp_path.iterdir()] == [True]  # nothing else is left


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["SIGTERM", "Ctrl-C", "a closed terminal"],
)
def test_a_stopped_run_is_saved_and_prints_how_to_continue(
    tmp_path: Path, folder: Path, undisturbed: str, sent: signal.Signals, code: int
) -> None:
    child = start(tmp_path, folder, "loop.CHECKPOINT_SHARE = 1e12\n")  # after the first step only for the signal
    wait_until(lambda: saved_steps(tmp_path) == 1, child)
    time.sleep(0.2)
    child.send_signal(sent)
    ended_with, said = ended(child)
    assert ended_with == code
    last = said.strip().splitlines()[-1]
    steps = saved_steps(tmp_path)
    assert 1 < steps < 120
    assert f"stopped after step {steps} of 120, all saved; the same command continues from there" in last
    code, said = ended(start(tmp_path, folder))
    assert code == 0, said
    assert f"continuing from step {steps} of 120" in said
    assert sha256(tmp_path) == undisturbed


def test_two_processes_do_not_train_the_same_run(tmp_path: Path, folder: Path) -> None:
    first = start(tmp_path, folder)
    wait_until(lambda: saved_steps(tmp_path) > 0, first)
    first.send_signal(signal.SIGSTOP)
    code, said = ended(start(tmp_path, folder))
    first.kill()
    ended(first)
    assert code == 2
    assert "another process is training there" in said


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """The exit code of `main` in this process, and the last line on stderr."""
    monkeypatch.setattr(sys, "argv", ["imparfait", *map(str, words)])
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0)
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return code, said.strip().splitlines()[-1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO], ids=errno.errorcode.get)
def test_a_full_disk_is_a_user_error_and_the_last_good_checkpoint_is_used(
    tmp_path: Path, folder: Path, undisturbed: str, number: int,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with monkeypatch.context() as disk:
        fsync, calls = os.fsync, []

        def refuse_later(handle: int) -> None:
            calls.append(handle)
            if len(calls) > 25:
                raise OSError(number, os.strerror(number))
            fsync(handle)

        disk.setattr(os, "fsync", refuse_later)
        code, said = call(disk, capsys, *TRAINING, "--data", folder, "--out", tmp_path)
    assert code == 1
    assert os.strerror(number) in said
    assert "earlier checkpoints are intact" in said
    assert ("MB; free some space" in said) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert call(monkeypatch, capsys, *TRAINING, "--data", folder, "--out", tmp_path)[0] == 0
    assert sha256(tmp_path) == undisturbed


def test_an_unwritable_folder_is_rejected_before_training(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "runs"
    code, said = call(monkeypatch, capsys, *TRAINING, "--data", folder, "--out", out)
    assert code == 2
    assert str(tmp_path / "file") in said


def test_a_corrupted_checkpoint_is_reported_and_the_one_before_it_is_used(
    tmp_path: Path, folder: Path, undisturbed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = start(tmp_path, folder)
    wait_until(lambda: saved_steps(tmp_path) > 20, child)
    child.kill()
    ended(child)
    *_, newest = sorted(tmp_path.glob("*.unfinished/[0-9]*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-5])
    code, said = ended(start(tmp_path, folder))
    assert code == 0
    assert f"{newest}: corrupted; continuing from the checkpoint before it" in said
    assert sha256(tmp_path) == undisturbed


def test_when_all_checkpoints_are_corrupted_nothing_is_overwritten(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = start(tmp_path, folder)
    wait_until(lambda: saved_steps(tmp_path) > 20, child)
    child.kill()
    ended(child)
    checkpoints = sorted(tmp_path.glob("*.unfinished/[0-9]*.safetensors"))
    for path in checkpoints:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    for _ in range(2):  # the second time too
        code, said = call(monkeypatch, capsys, *TRAINING, "--data", folder, "--out", tmp_path)
        assert code == 2
        assert f"to start again from the beginning, remove {checkpoints[0].parent}" in said
    assert all(path.exists() for path in checkpoints)


def test_the_same_command_on_a_finished_run_prints_its_result_and_how_to_start_another(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TRAINING, "--data", str(folder), "--out", str(tmp_path)]
    call(monkeypatch, capsys, *words)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, said = call(monkeypatch, capsys, *words)
    assert code == 0
    assert said.startswith("next: imparfait train --recipe default --data")
    assert "--epochs 12" in said
    assert "--seed 1   (another run" in said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert json.loads(next(tmp_path.glob("*/settings.json")).read_text())["settings"]["epochs"] == 12


def test_what_a_kill_in_the_last_moment_leaves_is_removed_by_the_next_command(
    tmp_path: Path, folder: Path, undisturbed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(start(tmp_path, folder, KILLED_AT_THE_END))[0] == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2  # the finished run, and its working folder
    code, said = call(monkeypatch, capsys, *TRAINING, "--data", folder, "--out", tmp_path)
    assert code == 0
    assert said.startswith("next: imparfait train")
    assert [path.name.startswith("default-s0-") for path in tmp_path.iterdir()] == [True]
    assert sha256(tmp_path) == undisturbed
