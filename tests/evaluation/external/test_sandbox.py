"""The sandbox: whatever an external model does, its caller gets an array or a one-sentence error, and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import sandbox_attacks

from imparfait.core.errors import UserError
from imparfait.evaluation.external.sandbox.client import OutOfMemoryError, SandboxLimits, SandboxServer, sandbox_for

IMAGES = np.arange(8, dtype=np.float32).reshape(2, 4)
TIGHT = SandboxLimits(memory_bytes=256 << 20, seconds=0.5, cpu_seconds=30)
NONSENSE = (
    "nonsense", "long_reply", "deep_reply", "unknown_field", "empty_reply", "outputs_at_once", "too_few", "too_many",
    "complex_dtype", "object_dtype",
)  # fmt: skip
AMPLE = SandboxLimits(memory_bytes=256 << 20, seconds=30, cpu_seconds=30)  # for attacks that end by themselves
FILES = ("chmod", "chown", "setxattr", "utime", "truncate")
"""Native calls that change a file or what is known of it."""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="restrictions of the Linux kernel")


@pytest.fixture(scope="module")
def sandbox() -> SandboxServer:
    return sandbox_for("helpers.sandbox_attacks")


@pytest.fixture
def error_of(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """The error message for an attack, after the file's name. The attack must not create a canary beside the file."""
    canary, file = tmp_path / "canary", tmp_path / "model.bin"

    def attack(name: str, argument: object = None, limits: SandboxLimits = AMPLE) -> str:
        file.write_text(f"{name} {argument or canary}")
        with pytest.raises(UserError) as error, sandbox.open(file, limits) as function:
            function(IMAGES)
        message = str(error.value)
        assert message.startswith(f"{file}: ")
        assert message.isprintable()
        assert len(message) < 600
        return message.removeprefix(f"{file}: ")

    yield attack
    assert not canary.exists()


def test_a_function_in_the_sandbox_returns_what_it_would_return_outside(sandbox: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("good words")
    with sandbox.open(file, threads=2) as function, sandbox.open(file) as another:
        assert function.declared == {"argument": "words", "threads": 2}
        for rows in (1, 2, 700):
            images = np.random.default_rng(rows).random((rows, 5, 5), np.float32)
            assert np.array_equal(function(images), images.reshape(rows, -1)[:, :3] * 2)
            assert np.array_equal(another(images), function(images))
    with pytest.raises(UserError, match="is closed"):
        function(IMAGES)


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("segfault", "crashes its process (SIGSEGV) while being loaded; export it again"),
        ("abort", "crashes its process (SIGABRT) while being loaded; export it again"),
        ("exit", "ends its process (code 3) while being loaded"),
        ("exit_politely", "ends its process (code 0) while being loaded"),
        ("sys_exit", "fails while being loaded: SystemExit: 4"),
        ("hang", "was stopped after 0.5 s of being loaded; give a smaller model"),
        ("spin", "was stopped after 0.5 s of being loaded"),
        ("eat", "needs more than 0.25 GiB of memory while being loaded"),
        ("eat_at_once", "needs more than 0.25 GiB of memory while being loaded"),
        ("raise", "fails while being loaded: ValueError: [31mred and long xxx"),
        ("later_segfault", "crashes its process (SIGSEGV) while predicting 2 images"),
        ("later_hang", "was stopped after 0.5 s of predicting 2 images"),
        ("later_eat", "needs more than 0.25 GiB of memory while predicting 2 images"),
        ("later_raise", "fails while predicting 2 images: ValueError: matmul"),
        ("half", "was stopped after 0.5 s of predicting 2 images"),
    ],
)
def test_crashes_hangs_and_bombs_are_user_errors(error_of: Callable[..., str], attack: str, message: str) -> None:
    limits = TIGHT if "stopped after" in message else AMPLE
    assert error_of(attack, limits=limits).startswith(message)


@pytest.mark.parametrize("attack", NONSENSE)
def test_an_unrequested_reply_is_rejected(error_of: Callable[..., str], attack: str) -> None:
    assert error_of(attack).startswith("sends nonsense while ")


BLOCKED = {
    "program": "start a program",
    "system": "start a program",
    "exec": "start a program",
    "spawn": "start a program",
    "fork": "start a program",
    "write": "change files",
    "make_folder": "change files",
    "pickle": "run code from the file",
    "marshal": "run code from the file",
    "native_library": "load native code",
    "socket_later": "use the network",
}


@pytest.mark.parametrize(("attack", "action"), BLOCKED.items())
def test_blocked_actions_are_reported(error_of: Callable[..., str], attack: str, action: str) -> None:
    assert error_of(attack) == f"was stopped when it tried to {action}; do not trust it"


def test_without_the_kernel_the_audit_hook_still_blocks_them(tmp_path: Path) -> None:
    canary, file = tmp_path / "canary", tmp_path / "model.bin"
    for attack, action in BLOCKED.items():
        file.write_text(f"{attack} {canary}")
        with (
            pytest.raises(UserError, match=action),
            sandbox_for("helpers.sandbox_attacks_without_kernel").open(file) as function,
        ):
            function(IMAGES)
    assert not canary.exists()


def test_the_network_and_other_processes_are_out_of_reach(error_of: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        for attack in ("socket", "swallowed_socket"):
            assert error_of(attack, port) == "was stopped when it tried to use the network; do not trust it"
        with pytest.raises(BlockingIOError):
            server.accept()
    assert error_of("kill", os.getpid()) == "was stopped when it tried to signal a process; do not trust it"


def test_other_files_can_be_neither_read_nor_removed(error_of: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "another").write_text("kept")
    assert "PermissionError: a model may not open other files" in error_of("passwords")
    assert error_of("remove", tmp_path / "another") == "was stopped when it tried to change files; do not trust it"
    assert (tmp_path / "another").read_text() == "kept"


@LINUX
def test_the_kernel_refuses_native_calls_that_the_hook_cannot_see(error_of: Callable[..., str], tmp_path: Path) -> None:
    another = tmp_path / "another"
    another.write_text("kept")
    another.chmod(0o640)
    before = another.stat()
    arguments = {"native_read": "/etc/passwd"}
    arguments |= dict.fromkeys(
        ("native_kill", "native_signal_to_thread", "native_limit", "native_priority"), os.getpid()
    )
    arguments |= {"native_affinity": os.getpid()}
    arguments |= {f"native_{name}": another for name in (*FILES, "remove")}
    attacks = [
        name for name in sandbox_attacks.WHILE_LOADING if name.startswith("native_") and name != "native_library"
    ]
    assert len(attacks) == 22
    for attack in attacks:
        assert error_of(attack, arguments.get(attack)).endswith("RuntimeError: native code was refused"), attack
    assert another.read_text() == "kept"
    after = another.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


@LINUX
def test_a_native_call_about_its_own_process_is_allowed(sandbox: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    for attack in sandbox_attacks.OF_ITS_OWN_PROCESS:
        file.write_text(attack)
        with sandbox.open(file) as function:
            assert function(IMAGES).shape == (2, 3)


def test_what_python_needs_is_still_imported(sandbox: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("import tabnanny")
    with sandbox.open(file) as function:
        assert function(IMAGES).shape == (2, 3)


def test_cpu_time_is_limited_too(error_of: Callable[..., str]) -> None:
    assert error_of("spin", limits=SandboxLimits(seconds=30, cpu_seconds=1)).startswith(
        "was stopped after 1 s of CPU time"
    )


def test_after_an_exception_the_model_can_be_called_again(sandbox: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("later_raise_once")
    with sandbox.open(file) as function:
        with pytest.raises(UserError, match="fails while predicting 1 images: ValueError: once"):
            function(IMAGES[:1])
        assert function(IMAGES).shape == (2, 3)


def test_a_batch_larger_than_the_memory_is_refused_and_a_smaller_one_is_predicted(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    file = tmp_path / "model.bin"
    file.write_text("good")
    with sandbox.open(file, SandboxLimits(memory_bytes=64 << 20, seconds=30, cpu_seconds=30)) as function:
        for _ in range(2):  # first and later batches alike
            with pytest.raises(OutOfMemoryError, match="GiB of memory while predicting 25"):
                function(np.zeros((25, 1 << 20), np.float32))
            assert function(IMAGES).shape == (2, 3)


def test_a_server_that_was_killed_is_started_again(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("good")
    sandbox = SandboxServer("helpers.sandbox_attacks")
    try:
        with sandbox.open(file) as function:
            sandbox._process.kill()
            sandbox._process.wait()
            time.sleep(0.5)
            with pytest.raises(UserError):  # children end with their server
                function(IMAGES)
        with pytest.raises(UserError, match="has ended; try again"), sandbox.open(file):
            pass
        assert not sandbox.is_open
    finally:
        sandbox.close()
    assert sandbox_for("helpers.sandbox_attacks").is_open


def test_a_loader_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(UserError, match="no_such_loader cannot be started: ModuleNotFoundError"):
        SandboxServer("no_such_loader")


@LINUX
def test_when_the_program_is_killed_its_sandbox_ends_too(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("later_hang")
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import numpy as np
from imparfait.evaluation.external.sandbox.client import sandbox_for
sandbox = sandbox_for("helpers.sandbox_attacks")
with sandbox.open({str(file)!r}) as function:
    print(sandbox._process.pid, flush=True)
    function(np.zeros((1, 1), np.float32))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as program_process:
        assert program_process.stdout
        server = int(program_process.stdout.readline())
        processes = [server, *children_of(server)]
        assert len(processes) == 2
        program_process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(is_running(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [process for process in processes if is_running(process)]


def state_of(process: int | str) -> tuple[str, int]:
    """The state (R, S, Z, …) and the parent's id."""
    state, parent, *_ = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return state, int(parent)


def is_running(process: int) -> bool:
    try:
        return state_of(process)[0] not in "ZX"
    except OSError:
        return False


def children_of(parent: int) -> list[int]:
    children = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and state_of(entry.name)[1] == parent:
                children.append(int(entry.name))
        except OSError:  # ended in the meantime
            continue
    return children
