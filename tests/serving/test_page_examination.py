"""The examination on the demo page in headless Chromium: corruptions, slider, gallery, cancelled sweeps."""

import json
from pathlib import Path
from typing import Any

from helpers.page import ONE, SEVEN, OpenPage, draw_with_mouse, expect_label, probabilities, wait_until
from playwright.sync_api import Route, expect

pytest_plugins = ("helpers.browser",)
GALLERY: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "imparfait" / "serving" / "gallery.json").read_bytes()
)
EXAMPLE = next(entry for entry in GALLERY["images"] if entry["severity"] < 1)


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
    expect(page.locator(".first-failure[data-side=model]")).to_contain_text("with augmentation: ")
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
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "slight, 0.03")


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


def test_a_new_stroke_ends_the_sweep_of_the_old_drawing(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    sweeps: list[Route] = []
    ended: list[str] = []
    page.route("**/v1/robustness", lambda route: sweeps.append(route))
    page.on("requestfailed", lambda request: ended.append(request.url))
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    wait_until(page, lambda: bool(sweeps))
    draw_with_mouse(page, ONE)
    wait_until(page, lambda: any("/v1/robustness" in url for url in ended))
