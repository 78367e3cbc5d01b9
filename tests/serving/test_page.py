"""The demo page in headless Chromium: drawing, image files, camera, accessibility."""

import re

import pytest
from helpers.page import (
    ONE,
    SEVEN,
    OpenPage,
    draw_with_finger,
    draw_with_mouse,
    expect_label,
    file,
    overflow,
    send,
    tap,
)  # fmt: skip
from playwright.sync_api import FilePayload, expect

from imparfait.data.images.limits import ADVICE

pytest_plugins = ("helpers.browser",)


def test_a_seven_is_predicted_during_and_after_the_stroke_with_all_details(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    expect(page.locator("#hint")).to_be_visible()
    expect_label(page, "2")  # the example
    draw_with_mouse(page, SEVEN, release=False)
    expect_label(page, "7")
    expect(page.locator("#hint")).to_be_hidden()
    page.mouse.up()
    expect_label(page, "7")
    expect(page.locator("#bars li")).to_have_count(10)
    expect(page.locator("#bars .best .name")).to_have_text("7")
    expect(page.locator("#model-input")).to_have_attribute("src", re.compile("^data:image/png"))
    expect(page.locator("#saw")).to_have_text("The drawing, cropped and centred.")
    expect(page.locator("#prediction .certainty")).to_have_text("sure")
    expect(page.locator("#baseline")).to_contain_text("without augmentation: ")
    expect(page.locator("#announcement")).to_contain_text("with augmentation: 7, ")
    expect(page.locator("#model-info")).not_to_contain_text("recipe")  # a word of those who train


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
    expect(page.locator("#error-text")).to_have_text("No camera found; choose an image instead")
    expect(page.locator("#camera")).not_to_be_visible()


def test_an_image_the_browser_cannot_show_is_predicted_and_its_model_input_shown(
    open_page: OpenPage, address: str
) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(file("TIFF"))
    expect_label(page, "7")
    expect(page.locator("#hint")).to_contain_text("it was read all the same")
    expect(page.locator("#model-input")).to_be_visible()


def test_an_unsure_prediction_has_a_reason_and_is_not_called_correct(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.locator("#file").set_input_files(file("PNG", blank=True))
    expect(page.locator("#reason")).to_have_text("Nothing like a digit found on it.")
    expect(page.locator("#prediction .certainty")).to_have_text("not sure")
    expect_label(page, "–")
    expect(page.locator("#prediction .score")).to_have_text("")
    expect(page.locator("#baseline")).to_have_text("")
    expect(page.locator("#saw")).to_have_text("Nothing was found, so the model got an empty image.")
    assert page.locator("#bars .value").all_text_contents() == [""] * 10
    shown = "(bars) => bars.map((bar) => Number(bar.style.getPropertyValue('--probability')))"
    assert page.locator("#bars .bar").evaluate_all(shown) == [0] * 10
    expect(page.locator("#truth option").first).to_have_text("…")
    expect(page.locator("#bars [data-judged=correct]")).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "content", "said"),
    [
        ("en", b"no image at all", "The file is not an image: it looks like text; expected PNG, JPEG, BMP, GIF, WEBP,"),
        ("en", b"%PDF-1.7", "The file is a PDF; export its pages as PNG"),
        ("en", file("PNG")["buffer"][:60], "The file is a broken image ("),
        ("fr", b"no image at all", "Ce fichier n’est pas une image\u00a0: on dirait du texte."),
        ("fr", b"%PDF-1.7", "Ce fichier est un PDF\u00a0; exportez ses pages en PNG."),
        ("fr", b"<svg/>", "Ce fichier est un dessin SVG\u00a0; exportez-le en PNG."),
        ("fr", b"", "Ce fichier est vide."),
        ("fr", file("PNG")["buffer"][:60], "Cette image est abîmée\u00a0; enregistrez-la ou copiez-la de nouveau."),
    ],
    ids=["text", "pdf", "broken", "text, fr", "pdf, fr", "svg, fr", "empty, fr", "broken, fr"],
)
def test_a_file_that_is_no_image_shows_an_error_with_advice_and_leaves_the_drawing(
    open_page: OpenPage, address: str, language: str, content: bytes, said: str
) -> None:
    page = open_page(address, refusals=2, locale=language)
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    page.evaluate(
        """() => {
            const label = document.querySelector("#prediction .label");
            globalThis.seen = [];
            new MutationObserver(() => globalThis.seen.push(label.textContent)).observe(label, { childList: true });
        }"""
    )
    page.locator("#file").set_input_files(FilePayload(name="a.png", mimeType="image/png", buffer=content))
    expect(page.locator("#error-text")).to_contain_text(said.replace("\u00a0", " "))
    expect(page.locator("#error")).to_be_in_viewport()
    expect_label(page, "7")
    assert set(page.evaluate("globalThis.seen")) <= {"7"}  # nor was the answer away in between
    expect(page.locator("#canvas")).to_have_class("strokes")
    draw_with_mouse(page, ONE)
    expect(page.locator("#error")).to_be_hidden()


def test_an_error_names_what_each_kind_of_file_is(open_page: OpenPage, address: str) -> None:
    """The page has a sentence for every kind that the API tells apart."""
    page = open_page(address)
    script = "import('./static/strings_fr.js').then(({ default: strings }) => Object.keys(strings))"
    told = {key.rpartition(".")[2] for key in page.evaluate(script) if key.startswith("error.unprocessable.")}
    assert told == {*ADVICE, "broken"}


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
    expect_label(page, "2")  # the example
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
        expect(page.locator("#saw")).to_have_text("The drawing, cropped and centred.")  # no word of dark or light
        page.keyboard.press("Delete")
        expect_label(page, "–")
    moving = "getComputedStyle(document.querySelector('.bars .bar'), '::after').transitionProperty"
    assert page.evaluate(moving) == "none"


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
