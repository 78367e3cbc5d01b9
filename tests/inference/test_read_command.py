"""The command that reads pages: what it prints and draws, and mistakes."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.forms import write_fields
from helpers.written_pages import png, run_read, sheet, write
from PIL import Image
from scipy import ndimage

from imparfait.cli.main import main
from imparfait.inference.image_workers.worker import Worker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page with a clear number, and one on which two digits are written over each other."""
    pages = tmp_path / "pages"
    pages.mkdir()
    page = sheet()
    write(page, "2093", (90, 60))
    (pages / "clear.png").write_bytes(png(page))
    write(page, "6", (90, 300))
    write(page, "9", (94, 304))
    (pages / "scrawl.jpg").write_bytes(png(ndimage.gaussian_filter(page, 1), "JPEG"))
    return pages


def test_the_command_prints_lines_and_marks_unsure_digits(folder: Path) -> None:
    result = run_read(folder)
    lines = result.stdout.splitlines()
    assert lines[:3] == [f"{folder / 'clear.png'}:", "2093", f"{folder / 'scrawl.jpg'}:"]
    assert lines[3].startswith("2093")
    assert "(" in lines[3]
    assert "sure" in result.stderr
    assert "--review" in result.stderr
    clear, scrawl = (json.loads(line) for line in run_read(folder, "--json").stdout.splitlines())
    assert (clear["text"], clear["confident"], clear["width"], clear["height"]) == ("2093", True, 560, 260)
    assert [digit["label"] for digit in clear["lines"][0]["fields"][0]["digits"]] == [*"2093"]
    assert scrawl["confident"] is False
    assert not all(field["confident"] for field in scrawl["lines"][0]["fields"])


def test_readings_are_drawn_and_unsure_digits_are_written_out(folder: Path, tmp_path: Path) -> None:
    drawn, review = tmp_path / "drawn", tmp_path / "review"
    result = run_read(folder, "--show", "--out", drawn, "--review", review)
    assert sorted(path.name for path in drawn.iterdir()) == ["clear-read.png", "scrawl-read.png"]
    assert np.asarray(Image.open(drawn / "clear-read.png")).std() > 10
    crops = [np.asarray(Image.open(path)) for path in review.glob("*-scrawl-line1-*.png")]
    assert crops
    assert all(crop.shape == (28, 28) and crop.max() > 200 for crop in crops)
    assert f"imparfait train --data {review} --init-from digits" in result.stderr
    run_read(folder / "clear.png", "--show")
    assert (folder / "clear-read.png").exists()
    assert len(run_read(folder).stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.png",), "there is no such file"),
        (("{}/clear.png", "--out", "drawn"), "write --show too"),
        (("{}/clear.png", "--model", "digit"), "no such model"),
    ],
)
def test_a_mistake_is_a_user_error(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run_read(*(argument.format(folder) for argument in arguments), code=2)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_broken_file_does_not_stop_the_others(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = run_read(folder, "--json", code=2)
    assert ["error" in json.loads(line) for line in result.stdout.splitlines()] == [True, False, False]
    assert "1 of 3 files could not be read" in str(result.exception)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("flags", [(), ("--table",), ("--fields", "fields.json")])
def test_a_signal_ends_the_command_after_a_page_and_it_says_where(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...],
    number: signal.Signals,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    write_fields(Path("fields.json"), {"name": "all", "left": 0, "top": 0, "width": 1, "height": 1})
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    real = Worker.run

    def signalled(*arguments: object) -> Iterator[object]:
        for page in real(*arguments):  # type: ignore[arg-type]
            signal.raise_signal(number)
            yield page

    monkeypatch.setattr(Worker, "run", signalled)
    monkeypatch.setattr(sys, "argv", ["imparfait", "read", *flags, "."])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 128 + number
    printed, said = capsys.readouterr()
    assert "broken.png: " in said
    assert said.endswith("imparfait: stopped at ./clear.png, file 2 of 3; the rest was not read\n")
    assert "scrawl" not in printed
