"""Behind the fence anything may happen: here it is an array or one sentence, and nothing else has changed."""

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
from imparfait.evaluation.external.sandbox.client import Limits, SandboxServer, sandbox_for

PICTURES = np.arange(8, dtype=np.float32).reshape(2, 4)
TIGHT = Limits(memory=256 << 20, seconds=1, processor=30)
NONSENSE = (
    "nonsense", "long_words", "deep_words", "other_words", "no_words", "answer_at_once", "too_few", "too_many",
    "infinite_type", "object",
)  # fmt: skip
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what Linux's kernel refuses")


@pytest.fixture(scope="module")
def fence() -> SandboxServer:
    return sandbox_for("helpers.sandbox_attacks")


@pytest.fixture
def said(fence: SandboxServer, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """What is said here when a file does something there. A canary in the same folder must not be written or lost."""
    canary, file = tmp_path / "canary", tmp_path / "model.bin"

    def attack(name: str, argument: object = None, limits: Limits = TIGHT) -> str:
        file.write_text(f"{name} {argument or canary}")
        with pytest.raises(UserError) as error, fence.open(file, limits) as function:
            function(PICTURES)
        sentence = str(error.value)
        assert sentence.startswith(f"{file}: ")
        assert sentence.isprintable()
        assert len(sentence) < 600
        return sentence.removeprefix(f"{file}: ")

    yield attack
    assert not canary.exists()


def test_a_function_behind_the_fence_answers_as_it_would_here(fence: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("good words")
    with fence.open(file, threads=2) as function, fence.open(file) as another:
        assert function.told == {"says": "words", "threads": 2}
        for rows in (1, 2, 700):
            images = np.random.default_rng(rows).random((rows, 5, 5), np.float32)
            assert np.array_equal(function(images), images.reshape(rows, -1)[:, :3] * 2)
            assert np.array_equal(another(images), function(images))
    with pytest.raises(UserError, match="is closed"):
        function(PICTURES)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("segfault", "crashes its process (SIGSEGV) while being read; export it anew"),
        ("abort", "crashes its process (SIGABRT) while being read; export it anew"),
        ("exit", "ends its process (code 3) while being read"),
        ("exit_politely", "ends its process (code 0) while being read"),
        ("sys_exit", "fails while being read: SystemExit: 4"),
        ("hang", "was stopped after 1 s of being read; give a smaller one"),
        ("spin", "was stopped after 1 s of being read"),
        ("eat", "wants more than 0.25 GiB of memory while being read"),
        ("eat_at_once", "wants more than 0.25 GiB of memory while being read"),
        ("raise", "fails while being read: ValueError: [31mred and long xxx"),
        ("later_segfault", "crashes its process (SIGSEGV) while answering 2 images"),
        ("later_hang", "was stopped after 1 s of answering 2 images"),
        ("later_eat", "wants more than 0.25 GiB of memory while answering 2 images"),
        ("later_raise", "fails while answering 2 images: ValueError: matmul"),
        ("half", "was stopped after 1 s of answering 2 images"),
    ],
)
def test_crashes_hangs_and_bombs_are_one_sentence(said: Callable[..., str], attack: str, words: str) -> None:
    assert said(attack).startswith(words)


@pytest.mark.parametrize(
    "attack",
    NONSENSE,
)
def test_nothing_is_believed_that_was_not_asked_for(said: Callable[..., str], attack: str) -> None:
    assert said(attack).startswith("says nonsense while ")


ATTEMPTS = {
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


@pytest.mark.parametrize(("attack", "words"), ATTEMPTS.items())
def test_attempts_are_refused_and_told(said: Callable[..., str], attack: str, words: str) -> None:
    assert said(attack) == f"was stopped when it tried to {words}; do not trust it"


def test_without_help_of_the_kernel_the_hook_still_refuses_them(tmp_path: Path) -> None:
    canary, file = tmp_path / "canary", tmp_path / "model.bin"
    for attack, words in ATTEMPTS.items():
        file.write_text(f"{attack} {canary}")
        with (
            pytest.raises(UserError, match=words),
            sandbox_for("helpers.sandbox_attacks_without_kernel").open(file, TIGHT) as function,
        ):
            function(PICTURES)
    assert not canary.exists()


def test_the_network_and_other_processes_are_out_of_reach(said: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        for attack in ("socket", "swallowed_socket"):
            assert said(attack, port) == "was stopped when it tried to use the network; do not trust it"
        with pytest.raises(BlockingIOError):
            server.accept()
    assert said("kill", os.getpid()) == "was stopped when it tried to signal a process; do not trust it"


def test_files_other_than_the_model_can_be_neither_read_nor_removed(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "another").write_text("kept")
    assert "PermissionError: a model may not open other files" in said("passwords")
    assert said("remove", tmp_path / "another") == "was stopped when it tried to change files; do not trust it"
    assert (tmp_path / "another").read_text() == "kept"


@LINUX
def test_the_kernel_refuses_native_code_what_the_hook_cannot_see(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "another").write_text("kept")
    arguments = {"native_read": "/etc/passwd", "native_remove": tmp_path / "another", "native_kill": os.getpid()}
    attacks = [name for name in sandbox_attacks.READING if name.startswith("native_") and name != "native_library"]
    assert len(attacks) == 7
    for attack in attacks:
        assert said(attack, arguments.get(attack)).endswith("RuntimeError: native code was refused"), attack
    assert (tmp_path / "another").exists()


def test_what_python_needs_is_still_imported(fence: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("import tabnanny")
    with fence.open(file) as function:
        assert function(PICTURES).shape == (2, 3)


def test_the_processor_is_limited_too(said: Callable[..., str]) -> None:
    assert said("spin", limits=Limits(seconds=30, processor=1)).startswith("was stopped after 1 s of the processor")


def test_after_an_exception_the_next_question_is_answered(fence: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("later_raise_once")
    with fence.open(file) as function:
        with pytest.raises(UserError, match="fails while answering 1 images: ValueError: once"):
            function(PICTURES[:1])
        assert function(PICTURES).shape == (2, 3)


def test_a_server_that_was_killed_is_started_anew(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("good")
    fence = SandboxServer("helpers.sandbox_attacks")
    try:
        with fence.open(file) as function:
            fence._process.kill()
            fence._process.wait()
            time.sleep(0.5)
            with pytest.raises(UserError):  # children end with their server
                function(PICTURES)
        with pytest.raises(UserError, match="has ended; try again"), fence.open(file):
            pass
        assert not fence.is_open
    finally:
        fence.close()
    assert sandbox_for("helpers.sandbox_attacks").is_open


def test_a_reader_that_cannot_be_imported_is_told() -> None:
    with pytest.raises(UserError, match="no_such_reader cannot be started: ModuleNotFoundError"):
        SandboxServer("no_such_reader")


@LINUX
def test_when_this_program_is_killed_nothing_of_it_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_text("later_hang")
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import numpy as np
from imparfait.evaluation.external.sandbox.client import fence_for
fence = fence_for("helpers.sandbox_attacks")
with fence.open({str(file)!r}) as function:
    print(fence._process.pid, flush=True)
    function(np.zeros((1, 1), np.float32))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as us:
        assert us.stdout
        server = int(us.stdout.readline())
        ours = [server, *children_of(server)]
        assert len(ours) == 2
        us.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while any(is_running(process) for process in ours) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [process for process in ours if is_running(process)]


def state_of(process: int | str) -> tuple[str, int]:
    """R, S, Z, …, and the parent."""
    state, parent, *_ = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return state, int(parent)


def is_running(process: int) -> bool:
    try:
        return state_of(process)[0] not in "ZX"
    except OSError:
        return False


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and state_of(entry.name)[1] == parent:
                found.append(int(entry.name))
        except OSError:  # ended meanwhile
            continue
    return found
