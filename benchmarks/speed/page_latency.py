"""Latency of the demo page in headless Chromium: from the end of a stroke to the answer on the screen.

python benchmarks/speed/page_latency.py [--strokes 30] --out results/page-latency

idle: nothing else is computed for the page.
sweeping: the stroke comes while the server sweeps all corruptions of the drawing before it.
sweep: from the end of a stroke until every mark of the robustness list is drawn.
The server runs in a process of its own, as `imparfait serve` starts it. Needs Chromium, as the tests do.
"""

import argparse
import math
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.browser import CHROMIUM, FLAGS
from tools.claims import write_claim

from imparfait.core.compute import ComputeConfig, usable_cores

SEVEN = ((0.27, 0.25), (0.70, 0.25), (0.43, 0.80))
ONE = ((0.5, 0.2), (0.5, 0.8))
SWEEP_STARTS_MS = 500  # after a stroke: the page waits 350 ms
QUIET_MS = 1500  # between measurements, so that nothing of the one before is left
# The time of the pointer's release and of the first change of the label to another digit, both in the page's clock.
WATCH = """(expected) => new Promise((resolve) => {
    const label = document.querySelector("#prediction .label");
    let released = null;
    const canvas = document.getElementById("canvas");
    canvas.addEventListener("pointerup", () => (released = performance.now()), { once: true });
    const done = () => requestAnimationFrame(() => resolve(performance.now() - released));
    const look = () => released !== null && label.textContent === expected && (observer.disconnect(), done());
    const observer = new MutationObserver(look);
    observer.observe(document.querySelector("#prediction"), { subtree: true, childList: true, characterData: true });
    canvas.addEventListener("pointerup", () => setTimeout(look, 0), { once: true });
})"""
SWEPT = "#corruptions:not(.stale):not(.empty) .row"


@contextmanager
def server() -> Iterator[str]:
    """The address of `imparfait serve` on a free port."""
    command = [sys.executable, "-m", "imparfait", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        try:
            yield found[0]
        finally:
            process.terminate()
            process.wait(20)


def draw(page: Page, corners: tuple[tuple[float, float], ...], label: str) -> float:
    """Seconds from the end of a stroke until its label is shown; 0 where it was shown during the stroke."""
    box = page.locator("#canvas").bounding_box()
    assert box
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.evaluate(f"window.answered = ({WATCH})({label!r}); null")
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point)  # at once, so that the answer is to the whole stroke
    page.mouse.up()
    return float(page.evaluate("window.answered")) / 1000


def clear(page: Page) -> None:
    page.keyboard.press("Delete")
    page.wait_for_timeout(QUIET_MS)


def measure(page: Page, strokes: int) -> dict[str, list[float]]:
    """Seconds of each stroke, idle and while a sweep is computed, in turn; and seconds of whole sweeps."""
    times: dict[str, list[float]] = {"idle": [], "sweeping": [], "sweep": []}
    for _ in range(strokes):
        clear(page)
        times["idle"].append(draw(page, SEVEN, "7"))
        page.wait_for_timeout(SWEEP_STARTS_MS)
        page.keyboard.press("Delete")  # ends the sweep of the 7, as any change does
        times["sweeping"].append(draw(page, ONE, "1"))
    for _ in range(max(1, strokes // 10)):
        clear(page)
        draw(page, SEVEN, "7")
        started = page.evaluate("performance.now()")
        page.locator(SWEPT).first.wait_for()
        times["sweep"].append((page.evaluate("performance.now()") - started) / 1000)
    return times


def summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "n": len(ordered),
        "seconds_median": round(statistics.median(ordered), 3),
        "seconds_p95": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 3),
        "seconds_max": round(ordered[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strokes", type=int, default=30)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM) if CHROMIUM.exists() else None, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860}, locale="en")
        page.goto(address)
        page.locator(SWEPT).first.wait_for()  # of the example: everything is imported
        times = measure(page, options.strokes)
        browser.close()
    results = {name: summary(seconds) for name, seconds in times.items()}
    for name, result in results.items():
        print(name, result, flush=True)
    if options.out:
        write_claim(options.out, results, ComputeConfig(threads=usable_cores()))


if __name__ == "__main__":
    main()
