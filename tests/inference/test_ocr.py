"""OCR: digits on pages in reading order, with boxes and calibrated confidence."""

import io
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.forms import write_fields
from helpers.lines import PAPERS, composed, row
from PIL import Image
from scipy import ndimage

import imparfait
from imparfait.cli.main import commands, main
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.input_format import InputFormat
from imparfait.inference.image_workers.worker import Worker
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import MIN_CONFIDENT_SCORE, NO_DIGITS_MESSAGE, crops, read_file, sequence_recognizer
from imparfait.inference.ocr.constraints import Length
from imparfait.inference.ocr.glyph_classifier import classify_glyphs
from imparfait.inference.ocr.sequence_recognizer import recognise_sequence
from imparfait.inference.predictor import Predictor


@lru_cache
def predictor() -> Predictor:
    return load_predictor("digits")


@lru_cache
def validation() -> tuple[np.ndarray, np.ndarray]:
    """Validation images and their labels; the second half is the benchmark's."""
    _, images = imparfait.split(imparfait.load_data().train)
    return images.pixels[:5000, 0], images.labels[:5000]


def digits(text: str, first: int = 0) -> np.ndarray:
    """An image of each digit of `text`; another `first` is another hand."""
    pixels, labels = validation()
    return np.stack([pixels[np.flatnonzero(labels == int(label))[first + index]] for index, label in enumerate(text)])


def sheet(height: int = 260, width: int = 560) -> np.ndarray:
    return np.full((height, width), 240.0)


def write(
    page: np.ndarray, text: str, at: tuple[int, int], tall: float = 44, first: int = 0
) -> list[tuple[float, ...]]:
    """Draw a number on a page, its upper left corner at (row, column); the boxes of its digits."""
    foreground, boxes, _ = row(digits(text, first), tall, np.random.default_rng(first), touch=0)
    foreground = foreground[round(tall / 2) :]
    part = page[at[0] : at[0] + foreground.shape[0], at[1] : at[1] + foreground.shape[1]]
    np.minimum(part, 240 - 210 * foreground[: part.shape[0], : part.shape[1]], out=part)
    return [(left + at[1], top + at[0] - round(tall / 2), right + at[1], bottom + at[0] - round(tall / 2))
            for left, top, right, bottom in boxes]  # fmt: skip


def png(page: np.ndarray, kind: str = "PNG", **more: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.rint(page), 0, 255).astype(np.uint8)).save(buffer, kind, **more)
    return buffer.getvalue()


def text_of(page: np.ndarray) -> str:
    return imparfait.read(png(page), predictor()).text


@pytest.mark.parametrize("paper", PAPERS)
def test_most_numbers_are_read_on_every_kind_of_paper(paper: str) -> None:
    pixels, labels = validation()
    correct = 0
    for number in range(14):
        rows = np.arange(5 * number, 5 * number + 5)
        line = composed(pixels[rows], labels[rows], paper, np.random.default_rng(number), touch=0)
        correct += imparfait.read(line.file(), predictor()).text == line.text
    assert correct >= 8  # of 14; their digits are of five writers each, which no person writes


def test_boxes_are_in_the_files_own_pixels_when_it_is_rotated_or_reduced() -> None:
    page = sheet()
    boxes = write(page, "50829", (90, 60), first=2)  # the 9 of the first hand has lost its top
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated by 90 degrees
    stored = png(np.rot90(page), "JPEG", quality=95, exif=exif)
    large = png(page.repeat(6, 0).repeat(6, 1))  # 5 megapixels, of which 4 are kept
    for content, factor in ((png(page), 1), (stored, 1), (large, 6)):
        reading = imparfait.read(content, predictor())
        assert reading.text == "50829"
        assert reading.size == (260 * factor, 560 * factor)
        for digit, box in zip(reading.fields[0].digits, boxes, strict=True):
            assert np.abs(np.array(digit.box) / factor - box).max() < 6
        left, top, right, bottom = zip(*(digit.box for digit in reading.fields[0].digits), strict=True)
        assert reading.fields[0].box == (min(left), min(top), max(right), max(bottom))


def test_a_column_on_ruled_paper_is_read_from_top_to_bottom() -> None:
    page = sheet(420, 400)
    page[30::60] = page[31::60] = 150
    for line, text in enumerate(("417", "2093", "58")):
        write(page, text, (48 + 120 * line, 150), first=line)
    assert text_of(page) == "417\n2093\n58"


def test_sloping_lines_stay_lines_and_distant_numbers_are_separate() -> None:
    page = sheet(420, 700)
    for line, (left, right) in enumerate((("63", "841"), ("92", "705"))):
        write(page, left, (110 + 110 * line, 70), first=line)
        write(page, right, (110 + 110 * line, 420), first=line + 4)
    turned = np.asarray(Image.fromarray(page).rotate(-4, Image.Resampling.BICUBIC, fillcolor=240.0))
    assert text_of(turned) == "63 841\n92 705"


def test_a_comma_separates_fields_and_a_speck_does_not() -> None:
    page = sheet()
    before, after = write(page, "12", (90, 60))[-1], write(page, "50", (90, 190))[0]
    gap = round((before[2] + after[0]) / 2)
    page[round(before[3]) - 6 : round(before[3]) + 8, gap - 3 : gap + 3] = 30
    assert text_of(page) == "12 50"
    page = sheet()
    write(page, "1250", (90, 60))
    page[200:202, 300:302] = page[30:32, 100:103] = 40
    assert text_of(page) == "1250"


def test_a_postcode_is_read_on_a_card_on_a_desk() -> None:
    card = sheet(260, 460)
    write(card, "75011", (80, 80), tall=60, first=2)
    y, x = np.mgrid[:500, :800]
    desk = 70 + 15 * np.sin(y / 7 + 2 * np.sin(x / 60))
    desk[120:380, 170:630] = card
    assert text_of(desk - 0.05 * x) == "75011"


@pytest.mark.parametrize("cut", [14, 20, 26])
def test_digits_that_the_page_cuts_are_read_within_the_page(cut: int) -> None:
    page = sheet(90, 200)
    write(page, "258", (20, 10))
    for rows in (page[:, cut:], page[:, : 200 - cut]):
        for constraints in ([], [Length(3)], [Length(4)]):
            for field in imparfait.read(png(rows), constraints=constraints).fields:
                for digit in [digit for digits in (field.digits, *field.others) for digit in digits]:
                    left, top, right, bottom = digit.box
                    assert 0 <= left < right <= rows.shape[1]
                    assert 0 <= top < bottom <= rows.shape[0]


def test_a_page_without_digits_has_an_empty_reading(tmp_path: Path) -> None:
    lines = sheet()
    lines[20::40] = 120
    noise = np.random.default_rng(0).normal(200, 8, (200, 300))
    for page in (sheet(), lines, noise, np.full((1, 1), 9.0), np.zeros((3, 900))):
        reading = imparfait.read(png(page), predictor())
        assert (reading.lines, reading.text, reading.confident) == ((), "", False)
    (tmp_path / "empty.png").write_bytes(png(sheet()))
    result = run_read(tmp_path / "empty.png")
    assert result.stdout == ""
    assert NO_DIGITS_MESSAGE in result.stderr


def test_touching_digits_are_read_more_often_than_not() -> None:
    pixels, labels = validation()
    lines = [np.arange(5 * number, 5 * number + 5) for number in range(40, 64)]
    made = [composed(pixels[r], labels[r], "white", np.random.default_rng(i), touch=0.3) for i, r in enumerate(lines)]
    touching = [line for line in made if line.touching]
    assert len(touching) > 10
    assert sum(imparfait.read(line.file(), predictor()).text == line.text for line in touching) > len(touching) / 2


def test_a_field_is_confident_only_if_its_whole_string_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(probabilities: Probabilities, share: float) -> Probabilities:
        """With a share of the probability of each 5 given to a 6; only the detector is sure of the 5."""
        given = share * probabilities[:, 5:6]
        labels = np.arange(probabilities.shape[1])
        return probabilities + given * (labels == 6) - given * (labels == 5)

    def in_doubt(pixels: Pixels) -> Probabilities:
        return swapped(predictor().predict_proba(pixels), 0.999)

    monkeypatch.setattr(crops, "classify_glyphs", lambda *of_page: swapped(classify_glyphs(*of_page), 0.5))
    monkeypatch.setattr(
        sequence_recognizer, "recognise_sequence", lambda planes: swapped(recognise_sequence(planes), 0.5)
    )
    page = sheet()
    write(page, "2509", (90, 60))
    write(page, "83", (90, 380))
    doubtful, clear = imparfait.read(png(page), replace(predictor(), run=in_doubt)).fields
    assert doubtful.text in ("2509", "2609")
    assert not doubtful.confident
    assert doubtful.score < MIN_CONFIDENT_SCORE < clear.score
    assert [digit.confident for digit in doubtful.digits] == [True, False, True, True]
    assert (clear.text, clear.confident) == ("83", True)


def test_other_models_and_several_pages_at_once_are_rejected(tmp_path: Path) -> None:
    form = InputFormat(channels=3, height=28, width=28, normalization="resize")
    colour = Predictor("colours", ("a", "b"), form, None, lambda pixels: np.ones((len(pixels), 2), np.float32) / 2)
    with pytest.raises(UserError, match="colours: was trained on images normalised by resize"):
        imparfait.read(png(sheet()), colour)
    pages = [Image.fromarray(np.full((60, 60), grey, np.uint8)) for grey in (250, 240)]
    pages[0].save(tmp_path / "two.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match="has 2 pages"):
        imparfait.read(tmp_path / "two.tif", predictor())
    assert [page.number for page, _ in read_file(tmp_path / "two.tif", predictor())] == [1, 2]


def run_read(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(commands, ["read", *map(str, arguments)])
    assert (2 if isinstance(result.exception, UserError) else result.exit_code) == code, result.output
    return result


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


def test_levels_too_small_to_count_apart_are_no_error() -> None:
    levels = np.zeros((112, 112), np.float32)
    levels[30:50, 30:50] = 141
    levels[::7, ::5] = 9.8e-44  # subnormal
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "TIFF")
    imparfait.read(buffer.getvalue(), "digits")
    levels[:] = 0.5
    levels[40:60] = np.nextafter(np.float32(0.5), np.float32(1))
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "TIFF")
    assert imparfait.read(buffer.getvalue(), "digits").text == ""


def test_a_few_bytes_do_not_keep_the_reader_busy() -> None:
    buffer = io.BytesIO()
    strip = np.full((112, 32_880), 255, np.uint8)
    strip[20:90, 40:60] = 0
    Image.fromarray(strip).save(buffer, "GIF")
    with pytest.raises(UserError, match="the image: has 32880×112 pixels"):
        imparfait.read(buffer.getvalue(), "digits")
    buffer = io.BytesIO()
    Image.fromarray(strip[:, :9000]).save(buffer, "PNG")
    assert imparfait.read(buffer.getvalue(), "digits").size == (112, 9000)  # before, in time of the width's square


@pytest.mark.parametrize("flags", [(), ("--table",), ("--fields", "fields.json")])
def test_a_strip_is_refused_by_its_name(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_fields(tmp_path / "fields.json", {"name": "all", "left": 0, "top": 0, "width": 1, "height": 1})
    strip = Image.new("L", (32_880, 112), 255)
    strip.paste(0, (40, 20, 60, 90))
    strip.save("strip.png")
    Image.new("L", (60, 60), 255).save("pages.tif", save_all=True, append_images=[strip.copy()])
    for file, name in (("strip.png", "strip.png"), ("pages.tif", "pages.tif, page 2")):
        error = str(run_read(file, *flags, code=2).exception)
        assert f"{name}: has 32880×112 pixels; expected a page that is at most 100 times as long as wide" in error


@pytest.mark.parametrize("shape", [(70_000, 1), (1, 70_000)])
def test_extremely_long_images_are_rejected(shape: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8)).save(buffer, "PNG")
    with pytest.raises(UserError, match="expected a side of at most 65,535"):
        imparfait.predict(buffer.getvalue())
