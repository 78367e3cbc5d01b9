"""Mistakes on the command line, made in a folder with one of each kind of file, and what comes of each.

The mistakes of a table are made in one fresh process, one after the other, so that it can be seen which of them is the
first to import PyTorch.
"""

import contextlib
import io
import json
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from helpers.bars import draw_bars, write_idx
from helpers.photos import a_seven


@dataclass(frozen=True)
class Mistake:
    """A command line, what is said of it, and what it is told to write instead."""

    command: str
    said: str
    following: str


@dataclass(frozen=True)
class Outcome:
    """What came of a mistake."""

    code: object
    out: str
    err: str
    written: list[str]
    torch: bool
    """Whether PyTorch was imported by then."""


def read_table(text: str) -> list[Mistake]:
    """The mistakes of a table: a line for each, its three parts separated by bars."""
    return [Mistake(*map(str.strip, line.split(" | "))) for line in text.strip().splitlines()]


def make_files(home: Path) -> None:
    """One of each kind of file and folder that a mistake is made with."""
    bars = draw_bars(60)
    for folder, of_class in (("bars", True), ("pics", False), ("emptyclass", True)):
        for row, (pixels, label) in enumerate(zip(bars.pixels, bars.labels, strict=True)):
            path = home / folder / (bars.classes[label] if of_class else ".") / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0]).save(path)
    (home / "emptyclass" / "none").mkdir()
    (home / "empty").mkdir()
    write_idx(home / "trainonly", draw_bars(30), None)
    Image.fromarray(a_seven()).save(home / "seven.png")
    for run in ("quick-s0-1a2b3c", "default-s0-aabbcc"):
        (home / "runs" / run).mkdir(parents=True)
        (home / "runs" / run / "config.json").write_text("{}")
    with zipfile.ZipFile(home / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weight": 1}))
    (home / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (home / "form.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    texts = {
        "text.png": "hello\n", "notes.txt": "hello\n", "text.onnx": "hello\n", "access.log": "hello\n",
        "bad.toml": "epochs = = 3\n", "odd.toml": "epoch = 3\n", "good.toml": "epochs = 3\n", "bad.json": "{",
        "steps.toml": "batch_size = {low = 1, high = 4, step = 0}\n",
        "a.csv": "file,label\na.png,1\n", "bars.csv": "image_path,label\nbars/flat/0.png,flat\n",
        "my_model.py": "def predict(images):\n    return images\n",
    }  # fmt: skip
    for name, text in texts.items():
        (home / name).write_text(text)


def provoke(mistakes: list[Mistake], home: Path) -> dict[str, Outcome]:
    """What comes of each mistake, by its command line."""
    make_files(home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMPARFAIT_")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "helpers.mistakes"], cwd=home, env=environment, text=True, capture_output=True,
        input=json.dumps([mistake.command for mistake in mistakes]), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {command: Outcome(**outcome) for command, outcome in json.loads(done.stdout).items()}


def _make(command: str) -> Outcome:
    from imparfait.cli.main import main

    before, out, err = _files(), io.StringIO(), io.StringIO()
    sys.argv = ["imparfait", *shlex.split(command)]
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    written = [str(path) for path, content in _files().items() if before.get(path) != content]
    return Outcome(code, out.getvalue(), err.getvalue(), written, "torch" in sys.modules)


def _files() -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


if __name__ == "__main__":
    print(json.dumps({command: asdict(_make(command)) for command in json.load(sys.stdin)}))
