"""Forms: the numbers in given regions of a page, each under its own constraints."""

import json
from functools import lru_cache

import numpy as np
import pytest
from helpers.forms import DIGITS, HEIGHT, WIDTH, decoded, form, frame, region, sheet, write
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.errors import UserError
from imparfait.inference.forms import MISSING, NOT_ALLOWED, SEVERAL_LINES, FieldResult, FormReading, read_form
from imparfait.inference.forms.fields_file import Form, FormField
from imparfait.inference.forms.numbers import decide, joined
from imparfait.inference.forms.regions import cuts_digits, is_empty, region_of
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import MIN_CONFIDENT_SCORE
from imparfait.inference.ocr.constraints import Length, OneOf
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution
from imparfait.inference.predictor import Predictor


@lru_cache
def predictor() -> Predictor:
    return load_predictor("digits")


def read(page: np.ndarray, fields: Form) -> FormReading:
    return read_form(decoded(page), fields, predictor())


def only(page: np.ndarray, *place: int, **more: object) -> FieldResult:
    (result,) = read(page, form(region("a", *place, **more))).fields
    return result


# Regions


@given(
    st.floats(0, 0.999), st.floats(0, 0.999), st.floats(1e-6, 1), st.floats(1e-6, 1),
    st.integers(1, 3000), st.integers(1, 3000),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_region_has_pixels_covers_its_fractions_and_stays_on_the_page(
    left: float, top: float, width: float, height: float, rows: int, columns: int
) -> None:
    width, height = min(width, 1 - left), min(height, 1 - top)
    found = region_of(FormField(name="a", left=left, top=top, width=width, height=height), rows, columns)
    (x0, y0, x1, y1), outer = found.box, found.outer
    assert 0 <= outer[0] <= x0 < x1 <= outer[2] <= columns
    assert 0 <= outer[1] <= y0 < y1 <= outer[3] <= rows
    assert x0 <= left * columns
    assert y0 <= top * rows
    assert x1 >= (left + width) * columns - 1e-3
    assert y1 >= (top + height) * rows - 1e-3


@pytest.mark.parametrize("contrast", [0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("noise", [0, 0.005, 0.03])
def test_a_faint_stroke_is_not_empty_and_noise_is(contrast: float, noise: float) -> None:
    light = 0.9 + np.random.default_rng(1).normal(0, noise, (60, 200)).astype(np.float32)
    light -= np.linspace(0, 0.2, 200, dtype=np.float32)  # a lamp at one side
    light[20:44, 90:93] -= contrast * 0.8
    if contrast == 0 or contrast > 8 * noise:
        assert is_empty(light.astype(np.float32)) == (contrast == 0)


def test_straight_lines_across_a_region_are_nothing_and_a_short_one_is_something() -> None:
    light = np.full((60, 200), 0.9, np.float32)
    light[50:52] = light[:, 40:42] = light[:, 120:122] = 0.3
    assert is_empty(light)
    light[20:48, 80:83] = 0.3
    assert not is_empty(light)


# Reading


def test_a_number_in_a_frame_is_read_and_its_box_is_in_the_files_pixels() -> None:
    page = sheet()
    frame(page, 80, 80, 160, 420)
    write(page, "50829", 100, 100)
    result = only(page, 83, 83, 158, 418)
    assert result.text == "50829"
    assert result.confident == (result.score >= MIN_CONFIDENT_SCORE) == (result.reason is None)
    assert result.box == (83, 83, 418, 158)
    assert result.alternatives[0] == (result.text, pytest.approx(result.score))
    assert all(83 <= digit.box[0] < digit.box[2] <= 418 for digit in result.digits)
    (large,) = read(page.repeat(6, 0).repeat(6, 1), form(region("a", 83, 83, 158, 418))).fields
    assert (large.text, large.box) == ("50829", (498, 498, 2508, 948))


def test_digits_in_boxes_of_their_own_are_one_number() -> None:
    page = sheet()
    for index, digit in enumerate("73150"):
        frame(page, 80, 80 + 60 * index, 150, 140 + 60 * index)
        write(page, digit, 93, 90 + 60 * index, tall=40, first=index)
    result = only(page, 82, 82, 149, 379, length=5)
    assert (result.text, result.confident) == ("73150", True)


def test_numbers_of_one_line_are_joined_and_several_lines_are_unsure() -> None:
    page = sheet()
    write(page, "417", 60, 60)
    write(page, "20", 60, 300)
    assert (only(page, 50, 40, 130, 500).text, only(page, 50, 40, 130, 500).confident) == ("41720", True)
    write(page, "58", 140, 60, first=2)
    result = only(page, 50, 40, 210, 500)
    assert (result.text, result.confident, result.reason) == ("4172058", False, SEVERAL_LINES)


def test_an_empty_region_is_confident_unless_it_is_required_or_something_is_drawn() -> None:
    page = sheet()
    frame(page, 80, 80, 160, 420)
    empty = only(page, 83, 83, 158, 418, length=5)
    assert (empty.text, empty.score, empty.confident, empty.alternatives) == ("", 1.0, True, ())
    required = only(page, 83, 83, 158, 418, required=True)
    assert (required.text, required.confident, required.reason) == ("", False, MISSING)
    page[119:121, 200:206] = 60
    spotted = only(page, 83, 83, 158, 418)
    assert (spotted.text, spotted.score, spotted.confident) == ("", 0.0, False)


@pytest.mark.parametrize("place", [(90, 60, 170, 195), (125, 60, 180, 400), (60, 150, 170, 400)])
def test_a_number_that_is_cut_by_its_region_is_never_confident(place: tuple[int, int, int, int]) -> None:
    page = sheet()
    write(page, "80368", 100, 100)
    assert not only(page, *place).confident


@pytest.mark.parametrize(("lower", "cut"), [(-6, False), (10, True)])
def test_a_digit_is_cut_where_it_goes_on_beyond_the_margin(lower: int, cut: bool) -> None:
    page = sheet()
    write(page, "80368", 100, 100)
    top = int(np.flatnonzero((page < 128).any(1))[0])
    fields = form(region("a", top + lower, 60, 180, 400))
    digits = [digit.box for digit in read(page, fields)["a"].digits]
    assert len(digits) >= 4
    assert cuts_digits(decoded(page), region_of(fields.fields[0], *page.shape), digits) == cut


def test_a_frame_that_is_read_as_a_digit_is_unsure() -> None:
    page = sheet()
    frame(page, 80, 80, 160, 420)
    write(page, "50829", 100, 100)
    result = only(page, 70, 70, 170, 430)
    assert result.text == "50829" or not result.confident


def test_constraints_decide_and_a_number_off_the_list_is_unsure() -> None:
    page = sheet()
    write(page, "50829", 100, 100)
    place = (90, 80, 170, 420)
    listed = only(page, *place, one_of=["50829", "50823", "11111"])
    assert (listed.text, listed.confident) == ("50829", True)
    absent = only(page, *place, one_of=["11111", "22222"])
    assert (absent.text, absent.confident, absent.reason) == ("50829", False, NOT_ALLOWED)
    assert absent.alternatives[0][0] == "50829"
    printed = only(page, *place, pattern=r"\d{3},\d{2}")
    assert (printed.text, printed.confident) == ("508,29", True)


def test_two_fields_must_agree_and_where_they_differ_both_are_unsure() -> None:
    page = sheet()
    write(page, "417", 60, 60)
    write(page, "417", 160, 60, first=3)
    write(page, "50829", 260, 60)
    first, second = region("first", 50, 40, 130, 300), region("second", 150, 40, 230, 300, same_as="first")
    third, empty = (
        region("third", 250, 40, 330, 400, same_as="first"),
        region("empty", 340, 40, 390, 400, same_as="first"),
    )
    same = read(page, form(first, second))
    assert [(each.text, each.confident) for each in same.fields] == [("417", True), ("417", True)]
    alone = read(page, form(first)).fields[0].score
    assert same["first"].score > alone - 0.01
    differ = read(page, form(first, third))
    assert [each.text for each in differ.fields] == ["417", "50829"]
    assert [each.reason for each in differ.fields] == ["differs from third", "differs from first"]
    missing = read(page, form(first, empty))
    assert missing.unsure == ("first", "empty")
    assert [each.text for each in missing.fields] == ["417", ""]


def test_a_reading_as_json_has_every_field_with_its_alternatives() -> None:
    page = sheet()
    write(page, "417", 60, 60)
    reading = read(page, form(region("a", 50, 40, 130, 300), region("b", 200, 40, 300, 300, required=True)))
    content = json.loads(json.dumps(reading.to_json()))
    assert content["unsure"] == ["b"]
    assert [(each["name"], each["text"], each["confident"]) for each in content["fields"]] == [
        ("a", "417", True), ("b", "", False),
    ]  # fmt: skip
    assert content["fields"][0]["alternatives"][0]["text"] == "417"
    assert content["fields"][1]["reason"] == MISSING


def test_a_field_is_found_by_its_name_and_another_name_is_refused_with_the_names_there_are() -> None:
    reading = read(sheet(), form(region("amount", 50, 40, 130, 300), region("id", 200, 40, 300, 300)))
    assert reading["id"] == reading.fields[1]
    with pytest.raises(UserError, match="no field is called 'ammount'; did you mean 'amount'"):
        reading["ammount"]
    with pytest.raises(UserError, match="no field is called 'typo'; choose from amount, id"):
        reading["typo"]


# Numbers


def rows(random: np.random.Generator, length: int) -> np.ndarray:
    return random.dirichlet(np.full(10, 0.2), length)


@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_the_probability_of_a_joined_string_is_the_product_of_its_parts(seed: int, one: int, two: int) -> None:
    random = np.random.default_rng(seed)
    parts = [
        StringDistribution.from_segmentations(DIGITS, [Segmentation(share, rows(random, n)) for share in (0.6, 0.4)])
        for n in (one, two)
    ]  # fmt: skip
    whole = joined(parts)
    for first, mass in parts[0].best(2):
        for second, other in parts[1].best(2):
            assert whole.probability(first + second) == pytest.approx(mass * other)
    assert whole.total() == pytest.approx(1)


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_alternatives_are_ordered_and_their_probabilities_sum_to_at_most_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    distribution = StringDistribution.from_segmentations(DIGITS, [Segmentation(1, rows(random, 3))])
    for constraints in ([], [Length(3)], [Length(4)], [OneOf(["123", "124"])]):
        decided = decide(distribution, constraints)
        scores = [score for _, score in decided.alternatives]
        assert scores == sorted(scores, reverse=True)
        assert 0 < sum(scores) <= 1 + 1e-6
        assert len({text for text, _ in decided.alternatives}) == len(scores) <= 9
        if not decided.allowed:
            assert not decided.confident
        else:
            assert decided.text == decided.alternatives[0][0] or decided.score < 0.65


def test_a_page_of_one_pixel_has_empty_fields() -> None:
    assert read(np.full((1, 1), 200.0), form(region("a", 0, 0, HEIGHT, WIDTH))).fields[0].text == ""
