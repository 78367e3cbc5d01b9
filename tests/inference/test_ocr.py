"""OCR: digits on pages in reading order, with boxes and calibrated confidence."""

import io
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from helpers.forms import write_fields
from helpers.lines import PAPERS, composed
from helpers.written_pages import png, run_read, sheet, validation, write
from PIL import Image

import imparfait
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.input_format import InputFormat
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import MIN_CONFIDENT_SCORE, NO_DIGITS_MESSAGE, crops, read_file, sequence_recognizer
from imparfait.inference.ocr.constraints import Length
from imparfait.inference.ocr.glyph_classifier import classify_glyphs
from imparfait.inference.ocr.sequence_recognizer import recognise_sequence
from imparfait.inference.predictor import Predictor


@lru_cache
def predictor() -> Predictor:
    return load_predictor("digits")


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
