"""Digits on a page are found, and read in the order in which they are written."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from composed import PAPERS, composed
from PIL import Image

import imparfait
from imparfait import load_data, split
from imparfait.box import open_model
from imparfait.commands.main import commands
from imparfait.errors import UserError

DIGITS = split(load_data().train)[1]
CHOSEN = [int(np.flatnonzero(DIGITS.labels == digit)[7]) for digit in (2, 7, 4, 0, 6)]  # clearly written
MODEL = open_model("digits")


def a_line(paper: str, seed: int = 0) -> bytes:
    return composed(DIGITS.pixels[CHOSEN, 0], DIGITS.labels[CHOSEN], paper, np.random.default_rng(seed), touch=0).file()


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def test_most_numbers_are_read_on_every_kind_of_paper() -> None:
    right = {
        paper: sum(imparfait.read(a_line(paper, seed), MODEL).text == "27406" for seed in range(4)) for paper in PAPERS
    }
    assert sum(right.values()) >= 0.8 * 4 * len(PAPERS), right
    assert min(right.values()) >= 2, right


def test_boxes_are_in_the_picture_and_go_from_left_to_right() -> None:
    reading = imparfait.read(a_line("ruled"), MODEL)
    (line,) = reading.lines
    boxes = [digit.box for field in line.fields for digit in field.digits]
    height, width = reading.size
    assert boxes == sorted(boxes)
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in boxes)


def test_lines_are_told_from_top_to_bottom_and_a_wide_gap_makes_two_numbers() -> None:
    page = np.full((420, 560), 245, np.uint8)
    for row, columns in enumerate(((40, 120), (40, 330))):
        for place, column in enumerate(columns):
            digit = np.asarray(Image.fromarray(DIGITS.pixels[CHOSEN[2 * row + place], 0]).resize((84, 84)))
            part = page[60 + 180 * row : 144 + 180 * row, column : column + 84]
            part[:] = np.minimum(part, 255 - digit)
    assert imparfait.read(png(page), MODEL).text == "27\n4 0"


def test_a_page_without_digits_is_read_as_nothing() -> None:
    for page in (np.full((200, 300), 230, np.uint8), np.tile(np.arange(256, dtype=np.uint8), (200, 1))):
        reading = imparfait.read(png(page), MODEL)
        assert (reading.lines, reading.text, reading.sure) == ((), "", False)


def test_the_command_tells_draws_and_keeps_what_is_not_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, paper in enumerate(PAPERS):
        Path(f"{paper}.jpg").write_bytes(a_line(paper, seed))
    Path("broken.jpg").write_bytes(Path("white.jpg").read_bytes()[:900])
    words = ["read", ".", "--json", "--show", "--out", "drawn", "--review", "unsure"]
    result = CliRunner().invoke(commands, words)
    assert isinstance(result.exception, UserError)
    assert "1 of 8 could not be read" in str(result.exception)
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(told) == 8
    good = [each for each in told if "error" not in each]
    doubtful = [
        d for each in good for line in each["lines"] for f in line["fields"] for d in f["digits"] if not d["sure"]
    ]
    assert len(list(Path("unsure").rglob("*.png"))) == len(doubtful)
    assert len(list(Path("drawn").iterdir())) == len(good)


def test_a_model_for_pictures_in_colour_is_refused() -> None:
    from dataclasses import replace

    colour = replace(MODEL, frame=replace(MODEL.frame, channels=3))
    with pytest.raises(UserError, match="is for pictures in colour"):
        imparfait.read(a_line("white"), colour)
