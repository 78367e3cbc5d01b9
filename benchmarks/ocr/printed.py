"""Printed digits: how many a classifier of handwritten ones reads, font by font.

python benchmarks/printed.py [--model digits] [--fonts /usr/share/fonts] --out results/2026-12-05-printed

Each digit in each font of the folder that has all ten, dark on light, 120 pixels high, and small: 24. No digit of any
font was used in fitting; letters of DejaVu's and STIX's were, as images of nothing, so these families are left out.
"""

import argparse
import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from claims import leave
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from imparfait.data.images.normalize import decode
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor

SIZES = (120, 24)
LEFT_OUT = ("dejavu", "stix", "symbol", "dingbat", "d050000l", "emoji")


def printed(path: Path, digit: str, size: int) -> bytes:
    font = ImageFont.truetype(str(path), size)
    left, top, right, bottom = font.getbbox(digit)
    image = Image.new("L", (int(right - left) + size, int(bottom - top) + size), 255)
    ImageDraw.Draw(image).text((size / 2 - left, size / 2 - top), digit, 0, font)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def fonts_in(folder: Path) -> list[Path]:
    """One file of each font that has ten digits, by its name; italics and bolds are fonts of their own."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".ttf", ".otf") or any(word in str(path).lower() for word in LEFT_OUT):
            continue
        with TTFont(path) as font:
            if set(map(ord, "0123456789")) <= set(font.getBestCmap() or {}):
                found.setdefault(str(font["name"].getDebugName(4)), path)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ready = load_predictor(options.model)
    fonts = fonts_in(options.fonts)
    told = {"model": options.model, "fonts": [path.stem for path in fonts], "model_args": {}}
    for size in SIZES:
        told["model_args"][size] = score(ready, fonts, size)
    print(json.dumps(told["model_args"], indent=2))
    if options.out:
        leave(options.out, told)


def score(ready: Predictor, fonts: list[Path], size: int) -> dict[str, object]:
    wrong, accepted, accepted_wrong, right = defaultdict(list), 0, 0, 0
    for path in fonts:
        for digit in "0123456789":
            (answer,) = ready.answers(list(decode(printed(path, digit, size), ready.frame)))
            right += answer.label == digit
            accepted += answer.sure
            accepted_wrong += answer.sure and answer.label != digit
            if answer.label != digit:
                wrong[f"{digit} as {answer.label}"].append(path.stem)
    total = 10 * len(fonts)
    most = sorted(wrong.items(), key=lambda each: -len(each[1]))
    return {
        "digits": total,
        "right": right,
        "share": round(right / total, 4),
        "accepted": int(accepted),
        "accepted_wrong": int(accepted_wrong),
        "most_often": {what: len(where) for what, where in most[:10]},
        "fonts_with_a_mistake": len(np.unique([stem for where in wrong.values() for stem in where])),
    }


if __name__ == "__main__":
    main()
