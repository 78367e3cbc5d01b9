"""Actions on the demo page in a browser: strokes, files, events."""

import io
import time
from collections.abc import Callable

from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

OpenPage = Callable[..., Page]
Corners = tuple[tuple[float, float], ...]
SEVEN = ((0.27, 0.25), (0.70, 0.25), (0.43, 0.80))
ONE = ((0.5, 0.2), (0.5, 0.8))
FOUR = (((0.25, 0.2), (0.15, 0.55), (0.42, 0.55)), ((0.35, 0.4), (0.35, 0.8)))
TWO = (((0.6, 0.3), (0.75, 0.22), (0.85, 0.35), (0.6, 0.75), (0.9, 0.75)),)


def points(page: Page, corners: Corners) -> list[tuple[float, float]]:
    """Points of the canvas, in the window's coordinates."""
    box, viewport = page.locator("#canvas").bounding_box(), page.viewport_size
    assert box
    assert viewport
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= viewport["height"]
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]


def draw_with_mouse(page: Page, corners: Corners, release: bool = True) -> None:
    first, *rest = points(page, corners)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=4)
    if release:
        page.mouse.up()


def draw_with_finger(page: Page, corners: Corners) -> None:
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


def digits(text: str, side: int = 160) -> FilePayload:
    """Digits side by side, dark on light, as a PNG file."""
    image = Image.new("L", (side * len(text), side), 240)
    for at, digit in enumerate(text):
        ImageDraw.Draw(image).text((at * side + side // 4, side // 8), digit, fill=20, font_size=0.7 * side)
    content = io.BytesIO()
    image.save(content, "PNG")
    return FilePayload(name="digits.png", mimeType="image/png", buffer=content.getvalue())


def wait_until(page: Page, condition: Callable[[], bool], seconds: float = 10) -> None:
    """Let the page work until the condition holds, for what is seen on its routes rather than on it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        page.wait_for_timeout(20)
