"""Tools of the demo page: pens and eraser, reload, links and PNG, corrections, the gallery's keys, a phone's screen."""

import base64
import re
from pathlib import Path

import pytest
from helpers.page import ONE, SEVEN, OpenPage, draw_with_finger, draw_with_mouse, expect_label, file, wait_until
from helpers.server import serving
from PIL import Image
from playwright.sync_api import Page, Route, expect

from imparfait.serving.models import models_for

pytest_plugins = ("helpers.browser",)


def inked(page: Page) -> int:
    count: int = page.evaluate(
        """() => {
            const canvas = document.getElementById("canvas");
            const copy = Object.assign(document.createElement("canvas"), { width: 560, height: 560 });
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            const { data } = context.getImageData(0, 0, 560, 560);
            return data.filter((value, index) => index % 4 === 3 && value > 127).length;
        }"""
    )
    return count


def choose(page: Page, tool: str) -> None:
    page.locator(f"#pens input[value={tool}]").check(force=True)


def test_pens_have_three_widths_and_the_eraser_takes_strokes_away(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    widths = []
    for pen in ("thin", "medium", "thick"):
        page.keyboard.press("Delete")
        choose(page, pen)
        draw_with_mouse(page, ONE)
        widths.append(inked(page))
    assert widths[0] < widths[1] < widths[2]
    choose(page, "eraser")
    draw_with_mouse(page, ONE)
    expect(page.locator("#reason")).to_have_text("Nothing like a digit found on it.")
    assert inked(page) < widths[2] / 20


def test_a_reload_keeps_the_drawing_and_an_image(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    page.wait_for_timeout(500)
    before = inked(page)
    page.reload()
    expect_label(page, "7")
    assert inked(page) == pytest.approx(before, rel=0.01)  # points are kept to a tenth of a unit
    page.locator("#file").set_input_files(file("PNG"))
    expect(page.locator("#frame")).to_be_visible()
    page.wait_for_timeout(500)
    page.reload()
    expect(page.locator("#frame")).to_be_visible()
    expect_label(page, "7")


def test_a_link_holds_the_strokes_and_is_sent_to_nobody(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    page.locator("#share").click()
    link = page.locator("#share-dialog .link").input_value()
    assert re.fullmatch(re.escape(address) + r"/#s=[\w-]{10,300}", link)
    sent: list[str] = []
    other = open_page(address)
    other.on("request", lambda request: sent.append(request.url))
    other.goto("about:blank")
    other.goto(link)
    expect_label(other, "7")
    code = link.partition("#s=")[2]
    assert not [url for url in sent if code in url.partition("#")[0]]
    assert "#" not in other.url  # so that a reload does not bring back what was drawn over


# The share of the dark pixels of a drawing (index) that change once it was in a link; and the length of its code.
CHANGED_BY_A_LINK = """async (index) => {
    const { decodeStrokes, encodeStrokes } = await import("./static/stroke_code.js");
    const { paper, SAMPLE } = await import("./static/strokes.js");
    let seed = 7;
    const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const scribble = () => {
        let [x, y, angle] = [20 + 240 * random(), 20 + 240 * random(), 6.3 * random()];
        return Array.from({ length: 30 }, () => {
            angle += random() < 0.05 ? 2.2 : random() - 0.5;
            [x, y] = [x + 3 * Math.cos(angle), y + 3 * Math.sin(angle)];
            return [x, y, 14];
        });
    };
    const corner = (i) => (i < 30 ? [80 + 4 * i, 80, 23] : [196 - 2.5 * (i - 29), 80 + 4 * (i - 29), 23]);
    const drawings = [
        SAMPLE,
        [{ erase: false, points: [[140, 140, 34]] }],
        [{ erase: false, points: Array.from({ length: 60 }, (_, i) => corner(i)) }],
        Array.from({ length: 25 }, () => ({ erase: false, points: scribble() })),
    ];
    const pixels = (strokes) => paper(strokes).getContext("2d").getImageData(0, 0, 280, 280).data;
    const code = encodeStrokes(drawings[index]);
    const [before, after] = [pixels(drawings[index]), pixels(decodeStrokes(code))];
    const differ = before.filter((value, i) => Math.abs(value - after[i]) > 127).length;
    return [differ / before.filter((value) => value < 128).length, code.length];
}"""


@pytest.mark.parametrize("drawing", range(4), ids=["example", "dot", "corner", "25 strokes"])
def test_a_drawing_looks_the_same_from_its_link(open_page: OpenPage, address: str, drawing: int) -> None:
    changed, length = open_page(address).evaluate(CHANGED_BY_A_LINK, drawing)
    assert changed < 0.01
    assert length < 2500  # of 4000: there is room for more strokes


def test_a_link_with_the_coarser_grid_still_opens(open_page: OpenPage, address: str) -> None:
    """Long drawings have it, and links of before there were two."""
    bytes_ = bytes([1, 23, 3, 69, 64, 179, 64, 110, 204])
    code = base64.urlsafe_b64encode(bytes_).decode().rstrip("=")
    page = open_page(address)
    page.goto("about:blank")
    page.goto(f"{address}/#s={code}")
    expect_label(page, "7")


@pytest.mark.parametrize("code", ["AQ", "xx", "ARcD", "%20", "A" * 5000])
def test_a_broken_link_is_one_sentence(open_page: OpenPage, address: str, code: str) -> None:
    page = open_page(address)
    page.goto("about:blank")
    page.goto(f"{address}/#s={code}")
    expect(page.locator("#error-text")).to_have_text("The link does not hold a drawing: it may have been cut off.")
    expect_label(page, "2")  # the example


def test_an_empty_sheet_cannot_be_shared(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    expect(page.locator("#share")).to_be_enabled()  # the example is on the sheet
    page.keyboard.press("Delete")
    expect(page.locator("#share")).to_be_disabled()
    draw_with_mouse(page, SEVEN)
    expect(page.locator("#share")).to_be_enabled()


def test_the_sheet_is_saved_as_a_png_with_its_answer(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    page.locator("#share").click()
    with page.expect_download() as download:
        page.locator("#share-dialog .download").click()
    image = Image.open(download.value.path())
    assert image.format == "PNG"
    assert image.size == (920, 1070)
    caption = image.convert("L").crop((40, 890, 880, 1060))
    assert caption.getextrema()[0] < 100  # something is written there


def test_a_correction_is_saved_where_the_server_collects(open_page: OpenPage, address: str, tmp_path: Path) -> None:
    assert open_page(address).locator("#correction").is_hidden()
    with serving(models_for("digits"), collect=str(tmp_path / "mine")) as server:
        page = open_page(f"http://127.0.0.1:{server.port}")
        draw_with_mouse(page, SEVEN)
        expect_label(page, "7")
        page.locator("#corrected").select_option("1")
        page.locator("#correction button").click()
        expect(page.locator("#correction .result-text")).to_contain_text("Saved as 1; images in the folder: 1.")
        expect(page.locator("#correction code")).to_contain_text("imparfait train --data ")
        page.locator("#correction button").click()
        expect(page.locator("#correction .result-text")).to_contain_text("already")
    assert [path.parent.name for path in (tmp_path / "mine").rglob("*.png")] == ["1"]


def test_a_correction_before_the_last_answer_saves_what_is_drawn_and_says_so(
    open_page: OpenPage, tmp_path: Path
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with serving(models_for("digits"), collect=str(tmp_path / "mine")) as server:
        page = open_page(f"http://127.0.0.1:{server.port}")
        draw_with_mouse(page, SEVEN)
        expect_label(page, "7")
        page.route("**/v1/predict*", hold)
        draw_with_mouse(page, ((0.3, 0.5), (0.8, 0.5)))  # the bar of a European 7
        wait_until(page, lambda: bool(held))
        page.locator("#corrected").select_option("1")
        page.locator("#correction button").click()
        said = page.locator("#correction .result-text")
        expect(said).to_contain_text("Saved as 1")
        page.unroute("**/v1/predict*")
        with page.expect_response("**/v1/predict*"):
            for route in held:
                route.continue_()
        page.wait_for_timeout(300)
        expect(said).to_contain_text("Saved as 1")
        page.locator("#correction button").click()
        expect(said).to_contain_text("already")  # the same image, so the bar was on it
    assert len(list((tmp_path / "mine").rglob("*.png"))) == 1


def test_the_gallery_is_one_tab_stop_with_arrow_keys(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    buttons = page.locator("#images button")
    expect(buttons.first).to_be_visible()
    stops = buttons.evaluate_all("(buttons) => buttons.map((button) => button.tabIndex)")
    assert stops.count(0) == 1
    buttons.first.focus()
    page.keyboard.press("ArrowRight")
    expect(buttons.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(buttons.last).to_be_focused()
    assert buttons.evaluate_all("(buttons) => buttons.map((button) => button.tabIndex)").count(0) == 1


@pytest.mark.parametrize("language", ["en", "fr"])
def test_on_a_phone_the_answer_the_sheet_and_the_tools_are_seen_at_once(
    open_page: OpenPage, address: str, language: str
) -> None:
    phone = {"width": 390, "height": 664}
    page = open_page(address, viewport=phone, has_touch=True, is_mobile=True, locale=language)
    draw_with_finger(page, SEVEN)
    expect_label(page, "7")
    for selector in ("#prediction .top-label", "#canvas", "#undo", "#pens", "#choose", "#share"):
        box = page.locator(selector).bounding_box()
        assert box
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 664, selector


def test_nothing_is_clipped_or_overhangs(open_page: OpenPage, address: str) -> None:
    for width in (320, 390, 800, 1280):
        page = open_page(address, viewport={"width": width, "height": 860}, locale="fr")
        expect_label(page, "2")
        clipped = page.evaluate(
            """() => [...document.querySelectorAll("main span, main p, main button, main b")]
                .filter((each) => each.checkVisibility() && !each.closest(".visually-hidden, .columns, .curve, .boxes"))
                .filter((each) => getComputedStyle(each).display !== "inline")
                .filter((each) => each.scrollWidth > each.clientWidth + 1)
                .map((each) => each.outerHTML.slice(0, 120))"""
        )
        assert clipped == []
