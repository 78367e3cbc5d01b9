"""The page in two languages: the same keys, no text left out, French typography, a remembered choice."""

import json
import re
from pathlib import Path

import pytest
from helpers.page import SEVEN, OpenPage, digits, draw_with_mouse, expect_label
from playwright.sync_api import Page, Route, expect

from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS

pytest_plugins = ("helpers.browser",)
WEB = Path(__file__).parents[2] / "imparfait" / "serving" / "web"
KEY = re.compile(r"^  (?:\"([\w.]+)\"|(\w+)): ", re.M)
MARK = "¤"
SEEN = """() => {
    const texts = [];
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    const isOther = (each) => each.closest("noscript, script, style, code, [translate=no], .languages button") !== null;
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (!isOther(parent)) texts.push(walker.currentNode.data);
    }
    for (const each of document.querySelectorAll("*")) {
        if (isOther(each)) continue;
        for (const name of ["aria-label", "aria-valuetext", "title", "placeholder", "alt"]) {
            texts.push(each.getAttribute(name) ?? "");
        }
    }
    return texts;
}"""


def keys(name: str) -> list[str]:
    return [quoted or plain for quoted, plain in KEY.findall((WEB / name).read_text(encoding="utf-8"))]


def strings(page: Page, name: str) -> dict[str, str]:
    """The strings of a language, as the browser reads them."""
    found: dict[str, str] = json.loads(
        page.evaluate(f"import('./static/strings_{name}.js').then((module) => JSON.stringify(module.default))")
    )
    return found


def test_every_language_has_the_same_keys_and_values_in_its_strings(open_page: OpenPage, address: str) -> None:
    assert len(set(keys("strings_en.js"))) == len(keys("strings_en.js")) > 100
    assert keys("strings_fr.js") == keys("strings_en.js")
    page = open_page(address)
    english, french = strings(page, "en"), strings(page, "fr")
    for key, text in english.items():
        names = set(re.findall(r"{(\w+)}", text))
        assert set(re.findall(r"{(\w+)}", french[key])) <= names | {"needs"}, key


def test_every_corruption_and_family_has_a_french_name() -> None:
    both = CORRUPTIONS | PHOTO_CORRUPTIONS
    families = {str(each.family) for each in both.values()}
    found = re.findall(r"^  \"?([\w.]+)\"?: \[", (WEB / "corruptions_fr.js").read_text(encoding="utf-8"), re.M)
    assert set(found) == set(both) | families


@pytest.mark.parametrize("name", ["strings_fr.js", "corruptions_fr.js"])
def test_french_has_its_typography(name: str) -> None:
    text = (WEB / name).read_text(encoding="utf-8").partition("export default")[2]
    for said in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
        shown = said.replace(r"\u00a0", "\u00a0").replace(r"\u202f", "\u202f")
        shown = re.sub(r"`[^`]*`", "", shown)
        assert not re.search(r"[^\u00a0\u202f][;!?»]|(?<![\u00a0\u202f]):(?! *$)|«[^\u00a0]", shown), shown
        assert not re.search(r"\w'\w|\.\.\.", shown), shown


def test_no_text_on_the_page_is_left_out_of_the_strings(open_page: OpenPage, address: str) -> None:
    """Every string is marked on its way to the browser; what has letters and no mark comes from elsewhere."""
    page = open_page(address, locale="fr-FR")

    def marked(route: Route) -> None:
        body = route.fetch().text().replace("export default", "const strings =")
        wrap = "typeof value === 'string' ? value && `¤${value}` : value.map((each) => `¤${each}`)"
        body += f"\nexport default Object.fromEntries(Object.entries(strings).map(([key, value]) => [key, {wrap}]));"
        route.fulfill(body=body, content_type="text/javascript; charset=utf-8")

    for name in ("strings_fr", "corruptions_fr"):
        page.route(f"**/static/{name}.js", marked)
    page.reload()
    expect(page.locator("#corruptions .row")).to_have_count(32)
    texts = page.evaluate(SEEN)
    page.locator("#images button").first.click()
    expect(page.locator("#slider")).to_be_enabled()
    texts += page.evaluate(SEEN)
    page.locator("#file").set_input_files(digits("37"))
    expect(page.locator("#boxes button")).to_have_count(2)
    page.wait_for_timeout(1200)  # until it is announced
    texts += page.evaluate(SEEN)
    own = {"imparfait", "openapi.json", "digits", "digits-clean"}
    words = [text for text in texts if re.search(r"[^\W\d_]{2}", text) and MARK not in text and text.strip() not in own]
    # Parts of a marked string around code and emphasis carry no mark of their own.
    whole = " ".join(strings(page, "fr").values())
    assert not [text for text in words if text.strip() not in re.sub(r"[`*]", "", whole) and "digits" not in text]


def test_the_language_is_the_browsers_until_another_is_chosen_and_remembered(open_page: OpenPage, address: str) -> None:
    page = open_page(address, locale="fr-CA")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.locator("#robustness-title")).to_have_text("Robustesse")
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    expect(page.locator("#prediction .certainty")).to_have_text("sûr")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="EN, English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect_label(page, "7")  # the drawing is kept
    expect(page.locator("#prediction .certainty")).to_have_text("sure")
    page.reload()
    expect(page.locator("#robustness-title")).to_have_text("Robustness")
