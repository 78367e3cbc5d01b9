"""The page in a real browser: what a person draws, drops and pulls, and what the page says."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

pytest_plugins = ("helpers.browser",)  # its fixtures: a browser, servers

OpenModel = Callable[..., Page]
SEVEN = ((0.27, 0.25), (0.70, 0.25), (0.43, 0.80))
ONE = ((0.5, 0.2), (0.5, 0.8))
GALLERY: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "imparfait" / "serving" / "gallery.json").read_bytes()
)
PARTING = next(each for each in GALLERY["images"] if each["severity"] < 1)


def points(page: Page, corners: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Places on the sheet, in the window."""
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    assert box
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]


def pull_mouse(page: Page, corners: tuple[tuple[float, float], ...], let_go: bool = True) -> None:
    first, *rest = points(page, corners)
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=6)
    if let_go:
        page.mouse.up()


def pull_finger(page: Page, corners: tuple[tuple[float, float], ...]) -> None:
    finger = page.context.new_cdp_session(page)
    first, *rest = points(page, corners)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in places]})

    touch("touchStart", first)
    before = first
    for place in rest:
        for step in (0.25, 0.5, 0.75, 1.0):
            touch("touchMove", tuple(a + step * (b - a) for a, b in zip(before, place, strict=True)))
        before = place
    touch("touchEnd")


def tap(page: Page, what: str, taken: Callable[[], bool]) -> None:
    """Taps, and again where the tap was not taken: on a machine with much to do a browser may see a long press."""
    for _ in range(5):
        page.locator(what).tap()
        for _ in range(20):
            if taken():
                return
            page.wait_for_timeout(100)


def file(kind: str, blank: bool = False) -> FilePayload:
    """A 7, dark on light, as a file."""
    image = Image.new("L", (160, 160), 240)
    if not blank:
        ImageDraw.Draw(image).line([(45, 40), (110, 40), (70, 125)], fill=20, width=14, joint="curve")
    content = io.BytesIO()
    image.save(content, kind)
    return FilePayload(name=f"seven.{kind.lower()}", mimeType=f"image/{kind.lower()}", buffer=content.getvalue())


def send(page: Page, event: str, kind: str, carrier: str) -> None:
    """Lets files come in by an event of the document, as a browser makes it."""
    content = file("PNG")["buffer"].hex()
    page.evaluate(
        """([event, kind, carrier, content]) => {
            const bytes = Uint8Array.from(content.match(/../g), (pair) => parseInt(pair, 16));
            const files = new DataTransfer();
            files.items.add(new File([bytes], "seven.png", { type: "image/png" }));
            const how = { bubbles: true, cancelable: true, [carrier]: files };
            document.body.dispatchEvent(new globalThis[kind](event, how));
        }""",
        [event, kind, carrier, content],
    )


def reads(page: Page, label: str) -> None:
    expect(page.locator("#answer .label")).to_have_text(label)


def shares(page: Page) -> list[float]:
    """The heights of the corrupted image's columns, of both models."""
    found: list[float] = page.locator(".columns .bar").evaluate_all(
        "(bars) => bars.map((bar) => Number(bar.style.getPropertyValue('--share')))"
    )
    return found


def overflow(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def test_a_seven_drawn_with_the_mouse_is_read_as_a_seven(opened: OpenModel, address: str) -> None:
    page = opened(address)
    expect(page.locator("#hint")).to_be_visible()
    pull_mouse(page, SEVEN)
    reads(page, "7")
    expect(page.locator("#hint")).to_be_hidden()
    expect(page.locator("#bars li")).to_have_count(10)
    expect(page.locator("#bars .best .name")).to_have_text("7")
    expect(page.locator("#seen")).to_have_attribute("src", re.compile("^data:image/png"))
    expect(page.locator("#said")).to_contain_text("Dark on light")
    expect(page.locator("#beside")).to_contain_text("digits-clean reads")
    expect(page.locator("#spoken")).to_contain_text("digits reads 7")


def test_the_answer_comes_while_the_stroke_is_still_pulled(opened: OpenModel, address: str) -> None:
    page = opened(address)
    pull_mouse(page, SEVEN, let_go=False)
    reads(page, "7")


def test_all_alterations_are_tried_and_strips_say_when_each_breaks(opened: OpenModel, address: str) -> None:
    page = opened(address)
    pull_mouse(page, SEVEN)
    expect(page.locator("#map .row")).to_have_count(32)
    expect(page.locator("#map .lane i[data-judged=right], #map .lane i[data-judged=wrong]")).to_have_count(32 * 2 * 11)
    for lane in page.locator("#map .lane").all()[:4]:
        expect(lane.locator("i").first).to_have_attribute("data-judged", "correct")  # unaltered
    expect(page.locator("#truth option").first).to_have_text("7")
    page.locator(".row", has_text="rotate").click()
    expect(page.locator("#corruption")).to_have_text("rotate")
    expect(page.locator(".broken[data-side=model]")).to_contain_text("digits ")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#corruption")).to_have_text("translate")


def test_the_slider_makes_the_two_part(opened: OpenModel, address: str) -> None:
    page = opened(address)
    index = GALLERY["images"].index(PARTING)
    page.locator("#images button").nth(index).click()
    expect(page.locator("#corruption")).to_have_text(PARTING["corruption"].replace("_", " "))
    expect(page.locator("#severity")).to_have_text(f"{PARTING['severity']:.2f}")
    model, beside = (page.locator(f".reads[data-side={side}]") for side in ("model", "beside"))
    wrong = PARTING["beside"]["predictions"][0]["label"]
    expect(model.locator(".label")).to_have_text(PARTING["truth"])
    expect(beside.locator(".label")).to_have_text(wrong)
    expect(beside.locator(".note")).to_have_text("wrong")
    parted = shares(page)
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    for side in (model, beside):
        expect(side.locator(".label")).to_have_text(PARTING["truth"])
    assert shares(page) != parted
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#severity")).to_have_text("0.03")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "0.03")


def test_a_person_may_say_what_the_picture_is(opened: OpenModel, address: str) -> None:
    page = opened(address)
    pull_mouse(page, SEVEN)
    expect(page.locator("#answer")).to_have_attribute("data-judged", "correct")
    page.locator("#truth").select_option("2")
    expect(page.locator("#answer")).to_have_attribute("data-judged", "wrong")
    expect(page.locator("#map .lane i").first).to_have_attribute("data-judged", "wrong")


def test_pictures_are_chosen_dropped_and_pasted(opened: OpenModel, address: str) -> None:
    page = opened(address)
    page.locator("#file").set_input_files(file("JPEG"))
    reads(page, "7")
    for event, kind, carrier in (("drop", "DragEvent", "dataTransfer"), ("paste", "ClipboardEvent", "clipboardData")):
        page.keyboard.press("Delete")
        reads(page, "–")
        send(page, event, kind, carrier)
        reads(page, "7")
        expect(page.locator("#canvas")).not_to_have_class("inked")


def test_a_picture_no_browser_shows_is_read_and_its_frame_shown(opened: OpenModel, address: str) -> None:
    page = opened(address)
    page.locator("#file").set_input_files(file("TIFF"))
    reads(page, "7")
    expect(page.locator("#hint")).to_contain_text("it was read all the same")
    expect(page.locator("#seen")).to_be_visible()


def test_not_sure_is_said_with_its_reason_and_nothing_is_then_called_right(opened: OpenModel, address: str) -> None:
    page = opened(address)
    page.locator("#file").set_input_files(file("PNG", blank=True))
    expect(page.locator(".sureness")).to_have_text("not sure: nothing is drawn on it")
    expect(page.locator("#truth option").first).to_have_text("…")
    expect(page.locator("#bars [data-judged=right]")).to_have_count(0)


def test_a_file_that_is_no_picture_is_answered_in_one_sentence(opened: OpenModel, address: str) -> None:
    page = opened(address, refusals=2)
    page.locator("#file").set_input_files(FilePayload(name="a.png", mimeType="image/png", buffer=b"no image at all"))
    expect(page.locator("#trouble")).to_contain_text("no image")
    reads(page, "–")
    pull_mouse(page, SEVEN)  # on a new sheet
    reads(page, "7")
    expect(page.locator("#trouble")).to_be_hidden()


def test_undo_clear_and_their_keys(opened: OpenModel, address: str) -> None:
    page = opened(address)
    expect(page.locator("#undo")).to_be_disabled()
    pull_mouse(page, SEVEN)
    reads(page, "7")
    page.get_by_role("button", name="Clear").click()
    reads(page, "–")
    expect(page.locator("#clear")).to_be_disabled()
    page.keyboard.press("Control+z")
    reads(page, "7")
    page.keyboard.press("Escape")
    reads(page, "–")
    pull_mouse(page, ONE)
    reads(page, "1")
    page.get_by_role("button", name="Undo").click()
    reads(page, "–")
    page.get_by_role("button", name="Undo").click()
    reads(page, "7")
    page.keyboard.press("Control+z")
    reads(page, "–")
    expect(page.locator("#undo")).to_be_disabled()


def test_on_a_phone_a_finger_draws_and_nothing_is_wider_than_the_screen(opened: OpenModel, address: str) -> None:
    phone = {"width": 360, "height": 740}
    page = opened(address, viewport=phone, has_touch=True, is_mobile=True, device_scale_factor=2)
    expect(page.locator("#map .row")).to_have_count(32)
    assert overflow(page) == 0
    pull_finger(page, SEVEN)
    reads(page, "7")
    judged = page.locator("#map .lane i[data-judged=right], #map .lane i[data-judged=wrong]")
    expect(judged).to_have_count(32 * 2 * 11)
    assert overflow(page) == 0
    tap(page, ".row:has-text('zigzag')", lambda: page.locator("#corruption").text_content() == "zigzag")
    expect(page.locator("#corruption")).to_have_text("zigzag")
    expect(page.locator("#corrupted")).to_be_in_viewport()  # however far down the map one is
    expect(page.locator("#slider")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_and_ink_follow_the_system_and_motion_its_wish(opened: OpenModel, address: str, scheme: str) -> None:
    page = opened(address, color_scheme=scheme, reduced_motion="reduce")
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (lightness > 128) == (scheme == "light")
    pull_mouse(page, SEVEN)
    reads(page, "7")  # whatever colour ink has on the screen, what is sent is dark on light
    expect(page.locator("#said")).to_contain_text("Dark on light")
    moving = "getComputedStyle(document.querySelector('.bars .bar'), '::after').transitionProperty"
    assert page.evaluate(moving) == "none"


def test_without_torch_it_draws_reads_and_says_what_would_switch_the_sliders_on(
    opened: OpenModel, address_without_torch: str
) -> None:
    page = opened(address_without_torch)
    expect(page.locator("#switch-on")).to_contain_text("pip install 'imparfait[train]'")
    expect(page.locator("#map")).to_be_hidden()
    pull_mouse(page, SEVEN)
    reads(page, "7")
    index = GALLERY["images"].index(PARTING)
    page.locator("#images button").nth(index).click()  # shown as it was recorded
    wrong = PARTING["beside"]["predictions"][0]["label"]
    expect(page.locator(".reads[data-side=beside] .label")).to_have_text(wrong)
    expect(page.locator("#slider")).to_be_hidden()


def test_a_model_with_none_beside_it_is_shown_alone(opened: OpenModel, address: str) -> None:
    page = opened(address, alone=True)
    pull_mouse(page, SEVEN)
    reads(page, "7")
    expect(page.locator("#map .lane")).to_have_count(32)
    expect(page.locator("#gallery")).to_be_hidden()
    expect(page.get_by_text("digits-clean")).to_have_count(0)


def test_everything_has_a_name_for_those_who_hear_it(opened: OpenModel, address: str) -> None:
    page = opened(address)
    expect(page.locator("#map .row")).to_have_count(32)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([type=file]), canvas")]
            .filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.[0]?.textContent.trim()))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    page.keyboard.press("Tab")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
