"""Accuracy on MNIST digits drawn into photo-like scenes: paper, desks, boards, shadows.

python benchmarks/ocr/photos.py [--model digits] --each 100 --out results/photos

The scenes are rendered (tests/helpers/photos.py), not photographed. Also writes photos.png with three images of each
scene, misclassified ones first, each next to the input that the model received.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.photos import SCENES, file
from tools.claims import write_claim

from imparfait import load_data, split
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.inference.loading import load_predictor

ROW_HEIGHT = 120  # pixels, in photos.png


def tile(photo: np.ndarray, decoded: NormalizedImage) -> Image.Image:
    """A photo with the crop outlined, next to the model's input."""
    image = Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))
    scale = ROW_HEIGHT / image.height
    both = Image.new("RGB", (2 * ROW_HEIGHT + ROW_HEIGHT // 2, ROW_HEIGHT))
    both.paste(image.resize((round(image.width * scale), ROW_HEIGHT)))
    ImageDraw.Draw(both).rectangle([edge * scale for edge in decoded.box], outline=(255, 0, 0))
    both.paste(
        Image.fromarray(decoded.pixels[0]).resize((ROW_HEIGHT, ROW_HEIGHT), Image.Resampling.NEAREST),
        (ROW_HEIGHT * 3 // 2, 0),
    )
    return both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--each", type=int, default=100, help="images per scene [default: 100]")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    predictor = load_predictor(options.model)
    _, validation = split(load_data().train)
    digits, labels = validation.pixels[: options.each], validation.labels[: options.each]
    rows, correct, milliseconds = [], {}, {}
    for name, scene in SCENES.items():
        images, decoded, times = [], [], []
        for number, digit in enumerate(digits):
            images.append(scene(digit[0], np.random.default_rng(number)))
            content = file(images[-1], "PNG" if name == "tiny" else "JPEG")
            start = time.process_time()
            (normalized,) = read_normalized(content, predictor.input_format)
            times.append(1e3 * (time.process_time() - start))
            decoded.append(normalized)
        predicted = predictor.predict_proba(np.stack([each.pixels for each in decoded])).argmax(1)
        correct[name], milliseconds[name] = int((predicted == labels).sum()), round(statistics.median(times), 1)
        examples = np.argsort(predicted == labels, kind="stable")[:3]  # misclassified first
        rows.append(np.hstack([np.asarray(tile(images[each], decoded[each])) for each in examples]))
    unmodified = int((predictor.predict_proba(digits).argmax(1) == labels).sum())
    summary = {
        "images": len(digits),
        "correct_unmodified": unmodified,
        "correct": correct,
        "processor_milliseconds_median": milliseconds,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(options.out / "photos.png")
    write_claim(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
