"""Several digits on the demo page: boxes, the choice of one, and what is answered where one object is found."""

import re

import pytest
from helpers.page import FOUR, ONE, SEVEN, TWO, OpenPage, digits, draw_with_mouse, expect_label, file, points
from playwright.sync_api import Page, expect

pytest_plugins = ("helpers.browser",)


def pressed(page: Page) -> list[str]:
    states: list[str] = page.locator("#boxes button").evaluate_all(
        "(boxes) => boxes.filter((box) => box.ariaPressed === 'true').map((box) => box.ariaLabel)"
    )
    return states


def test_every_digit_on_an_image_is_read_and_can_be_examined(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(digits("3728"))
    expect(page.locator("#text")).to_have_text(re.compile(r"3\s*7\s*2\s*8"))
    expect(page.locator("#found")).to_have_text("4 digits found")
    expect(page.locator("#boxes button")).to_have_count(4)
    expect_label(page, "3")
    expect(page.locator("#saw")).to_have_text("The chosen digit, cropped and centred.")
    page.locator("#boxes button").first.focus()
    page.keyboard.press("ArrowRight")
    expect_label(page, "7")
    expect(page.locator("#chosen")).to_have_text("Chosen digit, 2 of 4")
    page.keyboard.press("End")
    expect_label(page, "8")
    (label,) = pressed(page)
    assert label.startswith("8, ")
    page.mouse.click(*points(page, ((0.62, 0.5),))[0])  # on the 2; it chooses and does not draw
    expect_label(page, "2")
    expect(page.locator("#boxes button")).to_have_count(4)


def test_two_drawn_digits_are_read_and_a_third_stroke_is_still_drawn(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    for stroke in FOUR + TWO:
        draw_with_mouse(page, stroke)
    expect(page.locator("#text")).to_have_text(re.compile(r"4\s*2"))
    expect_label(page, "4")
    expect(page.locator("#boxes button")).to_have_count(2)
    draw_with_mouse(page, ((0.2, 0.5), (0.35, 0.5)))  # begins in a box
    page.keyboard.press("Control+z")
    expect(page.locator("#text")).to_have_text(re.compile(r"4\s*2"))
    page.keyboard.press("Delete")
    expect(page.locator("#reading")).to_be_hidden()
    expect(page.locator("#boxes")).to_be_hidden()


@pytest.mark.parametrize("strokes", [(SEVEN, ((0.35, 0.55), (0.65, 0.5))), (*FOUR,), (ONE,)], ids=["7", "4", "1"])
def test_one_digit_of_several_strokes_is_one_digit(
    open_page: OpenPage,
    address: str,
    strokes: tuple[tuple[tuple[float, float], ...], ...],
    request: pytest.FixtureRequest,
) -> None:
    page = open_page(address)
    for stroke in strokes:
        draw_with_mouse(page, stroke)
    page.wait_for_timeout(1500)
    expect_label(page, request.node.callspec.id)
    expect(page.locator("#reading")).to_be_hidden()


def test_an_image_of_one_digit_is_answered_as_one_and_its_part_is_framed(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(file("PNG"))
    expect_label(page, "7")
    expect(page.locator("#reading")).to_be_hidden()
    expect(page.locator("#frame")).to_be_visible()
    frame, canvas = page.locator("#frame").bounding_box(), page.locator("#canvas").bounding_box()
    assert frame
    assert canvas
    assert canvas["x"] < frame["x"] < canvas["x"] + canvas["width"] / 2
    assert frame["width"] < canvas["width"]
