"""The demo page in headless Chromium: drawing, image files, the severity slider, accessibility."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

pytest_plugins = ("helpers.browser",)

OpenPage = Callable[..., Page]
SEVEN = ((0.27, 0.25), (0.70, 0.25), (0.43, 0.80))
ONE = ((0.5, 0.2), (0.5, 0.8))
GALLERY: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "imparfait" / "serving" / "gallery.json").read_bytes()
)
EXAMPLE = next(entry for entry in GALLERY["images"] if entry["severity"] < 1)


def points(page: Page, corners: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Points of the canvas, in the window's coordinates."""
    box, viewport = page.locator("#canvas").bounding_box(), page.viewport_size
    assert box
    assert viewport
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= viewport["height"]
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]


def draw_with_mouse(page: Page, corners: tuple[tuple[float, float], ...], release: bool = True) -> None:
    first, *rest = points(page, corners)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=4)
    if release:
        page.mouse.up()


def draw_with_finger(page: Page, corners: tuple[tuple[float, float], ...]) -> None:
    session = page.context.new_cdp_session(page)
    first, *rest = points(page, corners)

    def touch(kind: str, *at: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in at]})

    touch("touchStart", first)
    before = first
    for point in rest:
        for step in (0.25, 0.5, 0.75, 1.0):
            touch("touchMove", tuple(a + step * (b - a) for a, b in zip(before, point, strict=True)))
        before = point
    touch("touchEnd")


def tap(page: Page, selector: str, succeeded: Callable[[], bool]) -> None:
    """Tap, and repeat it if it had no effect: a busy browser may take a tap for a long press."""
    for _ in range(5):
        page.locator(selector).tap()
        for _ in range(20):
            if succeeded():
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
    """Dispatch a drop or paste event with a file, as a browser does."""
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


def expect_label(page: Page, label: str) -> None:
    expect(page.locator("#prediction .label")).to_have_text(label)


def probabilities(page: Page) -> list[float]:
    """The bars of both models for the corrupted image."""
    values: list[float] = page.locator(".columns .bar").evaluate_all(
        "(bars) => bars.map((bar) => Number(bar.style.getPropertyValue('--probability')))"
    )
    return values


def overflow(page: Page) -> int:
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels


def test_a_seven_is_predicted_during_and_after_the_stroke_with_all_details(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    expect(page.locator("#hint")).to_be_visible()
    draw_with_mouse(page, SEVEN, release=False)
    expect_label(page, "7")
    expect(page.locator("#hint")).to_be_hidden()
    page.mouse.up()
    expect_label(page, "7")
    expect(page.locator("#bars li")).to_have_count(10)
    expect(page.locator("#bars .best .name")).to_have_text("7")
    expect(page.locator("#model-input")).to_have_attribute("src", re.compile("^data:image/png"))
    expect(page.locator("#preprocessing")).to_contain_text("Dark on light")
    expect(page.locator("#baseline")).to_contain_text("digits-clean predicts")
    expect(page.locator("#announcement")).to_contain_text("digits predicts 7")


def test_every_corruption_gets_a_curve_per_model_judged_by_the_chosen_label(open_page: OpenPage, address: str) -> None:
    page = open_page(address, sweep=True)
    draw_with_mouse(page, SEVEN)
    expect(page.locator("#corruptions .row")).to_have_count(32)
    expect(
        page.locator("#corruptions .curve i[data-judged=correct], #corruptions .curve i[data-judged=wrong]")
    ).to_have_count(32 * 2 * 11)
    for curve in page.locator("#corruptions .curve").all()[:4]:
        expect(curve.locator("i").first).to_have_attribute("data-judged", "correct")  # severity 0
    expect(page.locator("#truth option").first).to_have_text("7")
    page.locator(".row", has_text="rotate").click()
    expect(page.locator("#corruption")).to_have_text("rotate")
    expect(page.locator(".first-failure[data-side=model]")).to_contain_text("digits ")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#corruption")).to_have_text("translate")
    expect(page.locator("#prediction")).to_have_attribute("data-judged", "correct")
    page.locator("#truth").select_option("2")
    expect(page.locator("#prediction")).to_have_attribute("data-judged", "wrong")
    expect(page.locator("#corruptions .curve i").first).to_have_attribute("data-judged", "wrong")


def test_a_gallery_image_and_the_slider_show_where_the_models_disagree(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    index = GALLERY["images"].index(EXAMPLE)
    page.locator("#images button").nth(index).click()
    expect(page.locator("#corruption")).to_have_text(EXAMPLE["corruption"].replace("_", " "))
    expect(page.locator("#severity")).to_have_text(f"{EXAMPLE['severity']:.2f}")
    model, baseline = (page.locator(f".result[data-side={side}]") for side in ("model", "baseline"))
    wrong = EXAMPLE["baseline"]["predictions"][0]["label"]
    expect(model.locator(".label")).to_have_text(EXAMPLE["truth"])
    expect(baseline.locator(".label")).to_have_text(wrong)
    expect(baseline.locator(".note")).to_have_text("wrong")
    before = probabilities(page)
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    for side in (model, baseline):
        expect(side.locator(".label")).to_have_text(EXAMPLE["truth"])
    assert probabilities(page) != before
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#severity")).to_have_text("0.03")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "0.03")


def test_images_are_chosen_dropped_and_pasted(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(file("JPEG"))
    expect_label(page, "7")
    for event, kind, carrier in (("drop", "DragEvent", "dataTransfer"), ("paste", "ClipboardEvent", "clipboardData")):
        page.keyboard.press("Delete")
        expect_label(page, "–")
        send(page, event, kind, carrier)
        expect_label(page, "7")
        expect(page.locator("#canvas")).not_to_have_class("inked")


CAMERA = """() => { navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [640, 480];
  setInterval(() => {
    context.fillStyle = "#ddd";
    context.fillRect(0, 0, 640, 480);
    context.fillStyle = "#223";
    context.font = "300px sans-serif";
    context.fillText("7", 230, 340);
  }, 50);
  return (window.stream = canvas.captureStream());
}; }"""
NO_CAMERA = """() => { navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("", "NotFoundError");
}; }"""


def test_a_photo_from_the_camera_is_predicted_and_the_camera_goes_off(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.evaluate(CAMERA)
    page.locator("#use-camera").click()
    page.locator("#camera .take:enabled").click()
    expect_label(page, "7")
    assert page.evaluate("window.stream.getTracks().map((track) => track.readyState)") == ["ended"]
    page.locator("#use-camera").click()
    expect(page.locator("#camera .take")).to_be_focused()
    page.keyboard.press("Escape")  # closes the camera, and clears nothing
    expect(page.locator("#camera")).not_to_be_visible()
    expect_label(page, "7")
    assert page.evaluate("window.stream.getTracks().map((track) => track.readyState)") == ["ended"]


def test_without_a_camera_the_page_says_so_and_what_to_do(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.evaluate(NO_CAMERA)
    page.locator("#use-camera").click()
    expect(page.locator("#error")).to_have_text("No camera found; choose an image instead")
    expect(page.locator("#camera")).not_to_be_visible()


def test_an_image_the_browser_cannot_show_is_predicted_and_its_model_input_shown(
    open_page: OpenPage, address: str
) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(file("TIFF"))
    expect_label(page, "7")
    expect(page.locator("#hint")).to_contain_text("it was classified all the same")
    expect(page.locator("#model-input")).to_be_visible()


def test_an_unsure_prediction_has_a_reason_and_is_not_called_correct(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(file("PNG", blank=True))
    expect(page.locator(".confidence")).to_have_text("unsure: nothing is drawn on it")
    expect(page.locator("#truth option").first).to_have_text("…")
    expect(page.locator("#bars [data-judged=correct]")).to_have_count(0)


def test_a_file_that_is_no_image_shows_an_error(open_page: OpenPage, address: str) -> None:
    page = open_page(address, refusals=2)
    page.locator("#file").set_input_files(FilePayload(name="a.png", mimeType="image/png", buffer=b"no image at all"))
    expect(page.locator("#error")).to_contain_text("no image")
    expect_label(page, "–")
    draw_with_mouse(page, SEVEN)  # replaces the file
    expect_label(page, "7")
    expect(page.locator("#error")).to_be_hidden()


def test_undo_and_clear_work_with_buttons_and_keys(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    expect(page.locator("#undo")).to_be_disabled()
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    page.get_by_role("button", name="Clear").click()
    expect_label(page, "–")
    expect(page.locator("#clear")).to_be_disabled()
    page.keyboard.press("Control+z")
    expect_label(page, "7")
    page.keyboard.press("Escape")
    expect_label(page, "–")
    draw_with_mouse(page, ONE)
    expect_label(page, "1")
    page.get_by_role("button", name="Undo").click()
    expect_label(page, "–")
    page.get_by_role("button", name="Undo").click()
    expect_label(page, "7")
    page.keyboard.press("Control+z")
    expect_label(page, "–")
    expect(page.locator("#undo")).to_be_disabled()


def test_on_a_phone_a_finger_draws_and_nothing_overflows(open_page: OpenPage, address: str) -> None:
    phone = {"width": 360, "height": 740}
    page = open_page(address, sweep=True, viewport=phone, has_touch=True, is_mobile=True, device_scale_factor=2)
    expect(page.locator("#corruptions .row")).to_have_count(32)
    assert overflow(page) == 0
    draw_with_finger(page, SEVEN)
    expect_label(page, "7")
    judged = page.locator("#corruptions .curve i[data-judged=correct], #corruptions .curve i[data-judged=wrong]")
    expect(judged).to_have_count(32 * 2 * 11)
    assert overflow(page) == 0
    tap(page, ".row:has-text('zigzag')", lambda: page.locator("#corruption").text_content() == "zigzag")
    expect(page.locator("#corruption")).to_have_text("zigzag")
    expect(page.locator("#corrupted")).to_be_in_viewport()  # however far down the map one is
    expect(page.locator("#slider")).to_be_in_viewport()


def test_colours_and_motion_follow_the_system_settings(open_page: OpenPage, address: str) -> None:
    page = open_page(address, color_scheme="light", reduced_motion="reduce")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (lightness > 128) == (scheme == "light")
        draw_with_mouse(page, SEVEN)
        expect_label(page, "7")  # the PNG is dark on light, whatever the colours on the screen
        expect(page.locator("#preprocessing")).to_contain_text("Dark on light")
        page.keyboard.press("Delete")
        expect_label(page, "–")
    moving = "getComputedStyle(document.querySelector('.bars .bar'), '::after').transitionProperty"
    assert page.evaluate(moving) == "none"


def test_without_torch_it_predicts_and_shows_what_to_install(open_page: OpenPage, address_without_torch: str) -> None:
    page = open_page(address_without_torch)
    expect(page.locator("#install-hint")).to_contain_text("pip install -c constraints.txt -e '.[train]'")
    expect(page.locator("#corruptions")).to_be_hidden()
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    index = GALLERY["images"].index(EXAMPLE)
    page.locator("#images button").nth(index).click()  # shown as it was recorded
    wrong = EXAMPLE["baseline"]["predictions"][0]["label"]
    expect(page.locator(".result[data-side=baseline] .label")).to_have_text(wrong)
    expect(page.locator("#slider")).to_be_hidden()


def test_a_model_without_a_baseline_is_shown_alone(open_page: OpenPage, address: str) -> None:
    page = open_page(address, single_model=True)
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    expect(page.locator("#corruptions .curve")).to_have_count(32)
    expect(page.locator("#gallery")).to_be_hidden()
    expect(page.get_by_text("digits-clean")).to_have_count(0)


def test_every_control_has_an_accessible_name(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    expect(page.locator("#corruptions .row")).to_have_count(32)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([type=file]), canvas")]
            .filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.[0]?.textContent.trim()))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    page.keyboard.press("Tab")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
