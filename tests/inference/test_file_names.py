"""No name of a file loses an answer: in text, JSON, CSV, a results file that is resumed, and a drawing."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.photos import a_seven
from PIL import Image

from imparfait.core.names import as_cell

NAMES = {
    "not UTF-8": "caf\udce9", "carriage return": "a\rb", "line break": "a\nb", "escape": "\x1b[2J", "tab": "a\tb",
    "bell": "a\x07b", "formula": "=cmd()", "mathematics": r"$\foo$", "right-to-left": "שלום", "override": "\u202eabc",
    "comma": 'a,"b', "line separator": "a\u2028b", "long": "x" * 240, "markup": "[red]<b>", "option": "-h",
}  # fmt: skip


def imparfait(*words: str | Path, cwd: Path) -> bytes:
    """What the command prints, with a strict UTF-8 terminal; without an error."""
    done = subprocess.run(
        [sys.executable, "-m", "imparfait", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict", "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    for stream in (done.stdout, done.stderr):
        assert not set(stream) & {*range(32)} - {10}, "a control character but for line breaks"
        assert "\u202e" not in stream.decode()
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    (folder / "images").mkdir()
    for name in NAMES.values():
        Image.fromarray(a_seven()).save(folder / "images" / f"{name}.png", "PNG")
    return folder


def paths() -> list[str]:
    return sorted(f"images/{name}.png" for name in NAMES.values())


def test_text_and_drawing_have_a_line_for_each_name(folder: Path) -> None:
    lines = imparfait("predict", "images", "--show", cwd=folder).decode().splitlines()
    assert sum("images/" in line for line in lines) == len(NAMES)
    assert (folder / "imparfait-seen.png").exists()


def test_json_holds_each_name_exactly(folder: Path) -> None:
    lines = imparfait("predict", "images", "--json", cwd=folder).decode().split("\n")[:-1]
    assert [json.loads(line)["file"] for line in lines] == paths()


def test_csv_has_one_line_for_each_name(folder: Path) -> None:
    printed = imparfait("predict", "images", "--csv", cwd=folder).decode()
    assert printed.count("\n") == len(NAMES) + 1
    assert [row["file"] for row in csv.DictReader(printed.split("\n"))] == list(map(as_cell, paths()))


def test_a_results_file_is_resumed(folder: Path) -> None:
    whole = folder / "results.jsonl"
    imparfait("predict", "images", "--out", "results.jsonl", cwd=folder)
    content = whole.read_bytes()
    assert [json.loads(line)["file"] for line in content.split(b"\n")[:-1]] == paths()
    whole.write_bytes(content[: len(content) // 2])
    imparfait("predict", "images", "--out", "results.jsonl", cwd=folder)
    assert whole.read_bytes() == content


def test_read_names_each_page(folder: Path) -> None:
    printed = imparfait("read", *(f"images/{name}.png" for name in NAMES.values()), cwd=folder).decode()
    assert sum(line.startswith("images/") for line in printed.split("\n")) == len(NAMES)
    lines = imparfait("read", *paths(), "--json", cwd=folder).decode().split("\n")[:-1]
    assert [json.loads(line)["file"] for line in lines] == paths()


def test_an_error_about_a_file_names_it_without_control_characters(folder: Path) -> None:
    broken = [f"broken {name}.png" for name in ("caf\udce9", "a\rb", "a\nb", "\x1b[2J", "\u202eabc")]
    for name in broken:
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\nno image")
    for words in (
        ["predict", *broken],
        ["predict", broken[0]],
        ["predict", broken[1]],
        ["read", broken[3]],
        ["train", "--data", broken[2]],
    ):
        done = subprocess.run([sys.executable, "-m", "imparfait", *words], cwd=folder, capture_output=True)
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr
        for stream in (done.stdout, done.stderr):
            assert not set(stream) & {*range(32)} - {10}
            assert "\u202e" not in stream.decode()
