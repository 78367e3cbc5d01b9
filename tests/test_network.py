"""Nothing is sent or kept unasked: the commands in an empty network namespace, with a home folder of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.model_files import onnx_model
from helpers.photos import a_seven
from PIL import Image

import imparfait

ISOLATED = Path(__file__).parent / "helpers" / "isolated.py"
NAMESPACE = ["unshare", "--map-root-user", "--net"]
IMPARFAIT = [sys.executable, "-m", "imparfait"]
NAMED = (".config/matplotlib", ".cache/matplotlib", ".cache/imparfait")
"""Folders in the home that docs/security.md names."""


@dataclass(frozen=True)
class Seen:
    """What a command did: its exit code and output, the packets it tried to send, and the files it left."""

    code: int
    output: str
    tried: int
    files: list[str]


def isolated(words: list[str], folder: Path, **environment: str) -> Seen:
    """Run the words in `folder` with an empty home; files in the folders that we name are left out."""
    home = folder / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    kept |= {"HOME": str(home), "PYTHONPATH": str(Path(imparfait.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    before = set(folder.rglob("*"))
    done = subprocess.run(
        [*NAMESPACE, sys.executable, str(ISOLATED), *words],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    left = sorted(str(path.relative_to(folder)) for path in set(folder.rglob("*")) - before if path.is_file())
    unnamed = [name for name in left if not name.startswith(tuple(f"home/{known}/" for known in NAMED))]
    return Seen(seen["code"], seen["output"], sum(seen["tried"].values()), unnamed)


@pytest.fixture(scope="module", autouse=True)
def namespace() -> None:
    if sys.platform != "linux" or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces are not allowed here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(a_seven()).save(tmp_path / "seven.png")
    write_idx(tmp_path / "bars", draw_bars(60), draw_bars(30, first_source=60))
    onnx.save(onnx_model(), tmp_path / "bars.onnx")
    return tmp_path


COMMANDS = {
    "predict": ["predict", "seven.png"],
    "read": ["read", "seven.png"],
    "serve": ["serve", "--port", "0"],
    "evaluate": ["evaluate", "bars.onnx", "--data", "bars", "--out", "runs"],
    "train": ["train", "--data", "bars", "--recipe", "quick", "--epochs", "1", "--out", "runs"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_sends_nothing_and_leaves_no_file_that_is_not_named(words: list[str], folder: Path) -> None:
    seen = isolated([*IMPARFAIT, *words], folder)
    assert seen.code == 0, seen.output
    assert seen.tried == 0
    assert [name for name in seen.files if not name.startswith("runs/")] == []


def test_python_sends_nothing_where_another_import_came_first(folder: Path) -> None:
    program = "import imparfait, onnxruntime; print(imparfait.predict('seven.png')[0].label)"
    seen = isolated([sys.executable, "-c", program], folder)
    assert (seen.code, seen.output, seen.tried, seen.files) == (0, "7\n", 0, [])


def test_a_look_up_is_seen(folder: Path) -> None:
    program = "import socket, contextlib\nwith contextlib.suppress(OSError): socket.getaddrinfo('example.com', 443)"
    assert isolated([sys.executable, "-c", program], folder).tried > 0


def test_who_wants_telemetry_has_it(folder: Path) -> None:
    program = "import os, imparfait; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['RAY_USAGE_STATS_ENABLED'])"
    assert isolated([sys.executable, "-c", program], folder, ORT_DISABLE_TELEMETRY="0").output == "0 0\n"
