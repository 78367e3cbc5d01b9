"""Headless Chromium, and servers of the page for it."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect, sync_playwright

from helpers.commands import WITHOUT_TORCH
from helpers.server import serving
from imparfait.serving.models import models_for

CHROMIUM = Path("/usr/bin/chromium")  # Debian's
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            path = str(CHROMIUM) if CHROMIUM.exists() else None
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            pytest.skip(f"no Chromium: apt-get install chromium, or playwright install chromium ({error.message[:80]})")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server in this process, which has imported PyTorch already."""
    with serving(models_for("digits")) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def address_without_torch() -> Iterator[str]:
    """The address of a server in a process that cannot import PyTorch."""
    command = [sys.executable, "-c", WITHOUT_TORCH, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        line = server.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line
        yield address[0]
        server.terminate()
        server.wait(20)


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a new context with Playwright's options; asserts that the page logs no errors.

    A page may request its own server only. `refusals` error responses of the API are allowed. Only with `sweep` does
    it get a response of /v1/robustness, which takes most of the processor's time.
    """
    contexts, problems = [], []

    def open_(url: str, refusals: int = 0, single_model: bool = False, sweep: bool = False, **options: object) -> Page:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        page = context.new_page()
        allowed = refusals  # the browser logs every error response

        def log(kind: str, text: str, source: str) -> None:
            nonlocal allowed
            if kind == "error" and "Failed to load resource" in text and "/v1/" in source and allowed:
                allowed -= 1
            elif kind in ("error", "warning"):
                problems.append(text)

        page.on("console", lambda message: log(message.type, message.text, message.location["url"]))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: None if is_own(request.url, url) else problems.append(request.url))
        if single_model:
            page.route("**/v1/model", without_baseline)
        if not sweep:
            page.route("**/v1/robustness", lambda route: None)
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not problems


def without_baseline(route: Route) -> None:
    """Respond as the server of a model without a baseline does."""
    route.fulfill(json={**route.fetch().json(), "baseline": None})


def is_own(requested: str, url: str) -> bool:
    """Whether a requested URL belongs to the page's own server."""
    return requested.startswith((url, "data:", f"blob:{url}"))
