"""axe-core finds nothing on the pages: light and dark, empty, drawn and with several digits, in both languages."""

# axe-core is not shipped: `npm install axe-core` in the repository's root, or AXE_CORE=path/to/axe.min.js.

import os
from pathlib import Path
from typing import Any

import pytest
from helpers.page import SEVEN, OpenPage, digits, draw_with_mouse, expect_label
from playwright.sync_api import Page, expect

pytest_plugins = ("helpers.browser",)
AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"))
pytestmark = pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm install axe-core")


def violations(page: Page) -> list[str]:
    """What axe-core objects to: a rule and an element for each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [f"{rule['id']}: {node['html'][:150]}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_has_no_violations(open_page: OpenPage, address: str, language: str, scheme: str, width: int) -> None:
    page = open_page(address, locale=language, color_scheme=scheme, viewport={"width": width, "height": 860})
    expect(page.locator("#corruptions .row")).to_have_count(32)
    page.keyboard.press("Delete")
    expect_label(page, "–")
    assert violations(page) == []
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    assert violations(page) == []
    page.locator("#file").set_input_files(digits("3728"))
    expect(page.locator("#boxes button")).to_have_count(4)
    expect_label(page, "3")
    assert violations(page) == []
    page.locator("#share").click()
    assert violations(page) == []
