"""Draw a contact sheet of composed pages with their boxes.

    python benchmarks/tools/pages --sheet pages.png --split fit --first 0 --meters METERS

Digits are boxed in green with their label, other glyphs in orange, ignored digits in magenta.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of the package, and of the tools that it uses
from pages import Page, Sources, compose
from pages.canvas import IGNORED, OTHER

TOOLS = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, required=True, help="image to write")
    parser.add_argument("--split", choices=("fit", "choose", "test"), default="fit")
    parser.add_argument("--first", type=int, default=0, help="seed of the first page")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--size", type=int, default=320, help="side of a page in pixels")
    parser.add_argument("--fonts", type=Path, default=Path("build/fonts"))
    parser.add_argument("--hands", type=Path, default=TOOLS / "hands")
    parser.add_argument("--meters", type=Path, help="folder with meters.csv; without it, no meters")
    options = parser.parse_args()
    sources = Sources.load(options.fonts, options.hands, options.meters)
    count = options.rows * options.columns
    start = time.perf_counter()
    pages = [compose(options.split, options.first + number, sources, options.size) for number in range(count)]
    milliseconds = 1000 * (time.perf_counter() - start) / count
    sheet_of(pages, options.columns).save(options.sheet)
    glyphs = np.concatenate([page.labels for page in pages])
    print(f"{count} pages, {milliseconds:.0f} ms each; digits: {np.mean(glyphs < OTHER):.0%} of {len(glyphs)} glyphs")


def sheet_of(pages: list[Page], columns: int) -> Image.Image:
    """The pages side by side, with their boxes."""
    side = len(pages[0].image) + 4
    sheet = Image.new("RGB", (columns * side, -(-len(pages) // columns) * side), (128, 128, 128))
    for number, page in enumerate(pages):
        sheet.paste(boxed(page), (number % columns * side, number // columns * side))
    return sheet


def boxed(page: Page) -> Image.Image:
    """A page with its boxes drawn on it."""
    image = Image.fromarray(page.image)
    brush = ImageDraw.Draw(image)
    for (left, top, width, height), label in zip(page.boxes, page.labels, strict=True):
        colour = {OTHER: (255, 150, 0), IGNORED: (255, 0, 255)}.get(int(label), (0, 200, 0))
        brush.rectangle((left - 1, top - 1, left + width, top + height), outline=colour)
        if label < OTHER:
            brush.text((left + 1, top - 10), str(label), fill=colour)
    return image


if __name__ == "__main__":
    main()
