"""Accuracy on printed digits, font by font, of a classifier of handwritten ones.

python benchmarks/ocr/printed.py [--model digits] [--fonts /usr/share/fonts] --out results/printed-digits

Each digit is drawn in every font of the folder that has all ten, dark on light, 120 and 24 pixels high. No printed
digit was used in training. Letters of DejaVu and STIX were, as out-of-distribution images; both families are excluded.
"""

import argparse
import io
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.data.images.normalize import read_normalized
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor

SIZES = (120, 24)  # pixels
EXCLUDED = ("dejavu", "stix", "symbol", "dingbat", "d050000l", "emoji")


def draw_digit(path: Path, digit: str, size: int) -> bytes:
    """A PNG file of a digit in a font."""
    font = ImageFont.truetype(str(path), size)
    left, top, right, bottom = font.getbbox(digit)
    image = Image.new("L", (int(right - left) + size, int(bottom - top) + size), 255)
    ImageDraw.Draw(image).text((size / 2 - left, size / 2 - top), digit, 0, font)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def fonts_in(folder: Path) -> list[Path]:
    """One file for each font name with all ten digits; italic and bold count as separate fonts."""
    fonts = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".ttf", ".otf") or any(word in str(path).lower() for word in EXCLUDED):
            continue
        with TTFont(path) as font:
            if set(map(ord, "0123456789")) <= set(font.getBestCmap() or {}):
                fonts.setdefault(str(font["name"].getDebugName(4)), path)
    return list(fonts.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    predictor = load_predictor(options.model)
    fonts = fonts_in(options.fonts)
    results = {"model": options.model, "fonts": [path.stem for path in fonts], "sizes": {}}
    for size in SIZES:
        results["sizes"][size] = score(predictor, fonts, size)
    print(json.dumps(results["sizes"], indent=2))
    if options.out:
        write_claim(options.out, results)


def score(predictor: Predictor, fonts: list[Path], size: int) -> dict[str, object]:
    """Counts of correct, accepted and accepted but wrong digits at one size."""
    mistakes, accepted, accepted_wrong, correct = defaultdict(list), 0, 0, 0
    for path in fonts:
        for digit in "0123456789":
            (prediction,) = predictor.predict(
                list(read_normalized(draw_digit(path, digit, size), predictor.input_format))
            )
            correct += prediction.label == digit
            accepted += prediction.confident
            accepted_wrong += prediction.confident and prediction.label != digit
            if prediction.label != digit:
                mistakes[f"{digit} as {prediction.label}"].append(path.stem)
    total = 10 * len(fonts)
    frequent = sorted(mistakes.items(), key=lambda each: -len(each[1]))
    return {
        "digits": total,
        "correct": correct,
        "accuracy": round(correct / total, 4),
        "accepted": int(accepted),
        "accepted_wrong": int(accepted_wrong),
        "most_frequent_mistakes": {mistake: len(stems) for mistake, stems in frequent[:10]},
        "fonts_with_a_mistake": len(np.unique([stem for stems in mistakes.values() for stem in stems])),
    }


if __name__ == "__main__":
    main()
