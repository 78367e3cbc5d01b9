"""A real browser, and real servers of the package for it."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")  # Debian's
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from imparfait.cli.main import main; main()"
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            path = str(CHROMIUM) if CHROMIUM.exists() else None
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            pytest.skip(f"no Chromium: apt-get install chromium, or playwright install chromium ({error.message[:80]})")
        yield browser
        browser.close()


def served(*command: str) -> Iterator[str]:
    """The address of a server that runs meanwhile."""
    with subprocess.Popen([*command, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        line = server.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        yield found[0]
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    yield from served(sys.executable, "-m", "imparfait")


@pytest.fixture(scope="session")
def address_without_torch() -> Iterator[str]:
    yield from served(sys.executable, "-c", WITHOUT_TORCH)


OpenModel = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[OpenModel]:
    """Opens an address in a new window, whose options Playwright's are; nothing may go wrong in it, or elsewhere."""
    contexts, wrong = [], []

    def open_page(url: str, refusals: int = 0, alone: bool = False, **options: object) -> Page:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        page = context.new_page()
        left = refusals  # a browser writes each answer that is a refusal on its console

        def said(kind: str, text: str, place: str) -> None:
            nonlocal left
            if kind == "error" and "Failed to load resource" in text and "/v1/" in place and left:
                left -= 1
            elif kind in ("error", "warning"):
                wrong.append(text)

        page.on("console", lambda message: said(message.type, message.text, message.location["url"]))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if is_here(asked.url, url) else wrong.append(asked.url))
        if alone:
            page.route("**/v1/model", without_the_other)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def without_the_other(route: Route) -> None:
    """As a server answers that serves another model than digits."""
    route.fulfill(json={**route.fetch().json(), "beside": None})


def is_here(asked: str, url: str) -> bool:
    """Whether what a page asks for is the server's or its own."""
    return asked.startswith((url, "data:", f"blob:{url}"))
