"""Ctrl-C, once and twice: the command ends, tells the truth, and leaves what the same command goes on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.photos import a_seven
from PIL import Image

from imparfait.inference.batch import MANY_FILES

FILES = MANY_FILES + 3000
WORDS = [sys.executable, "-m", "imparfait", "predict", "images", "--out", "results.jsonl", "--executor", "processes"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stop")
    (folder / "images").mkdir()
    Image.fromarray(a_seven()).save(folder / "seven.png")
    for number in range(FILES):
        os.link(folder / "seven.png", folder / "images" / f"{number:05d}.png")
    return folder


@pytest.mark.parametrize("pause", [None, 0.05, 0.5], ids=["once", "twice at once", "twice"])
def test_predict_in_several_processes_ends_on_ctrl_c(folder: Path, pause: float | None) -> None:
    results = folder / "results.jsonl"
    results.unlink(missing_ok=True)
    process = subprocess.Popen(WORDS, cwd=folder, stderr=subprocess.PIPE, text=True, process_group=0)
    while not results.exists() or not results.stat().st_size:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    if pause is not None:
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "nothing was written" not in said
    lines = results.read_bytes().split(b"\n")
    names = [json.loads(line)["file"] for line in lines[:-1]]
    assert names == [f"images/{number:05d}.png" for number in range(len(names))]
    assert is_gone(process.pid)


def is_gone(group: int) -> bool:
    """Whether no process of the group is left, after ten seconds at most."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
