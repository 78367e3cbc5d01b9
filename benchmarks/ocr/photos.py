"""MNIST's training images as on photographs: paper, desks, boards, shadows; what a classifier makes of them.

python benchmarks/photographs.py [--model digits] --each 100 --out results/2026-12-05-photographs

The scenes are drawn (tests/photographed.py), not photographed. Leaves a sheet, photographs.png: three of each scene,
first those that were read wrongly, and beside each what the classifier was shown.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claims import leave
from helpers.photos import SCENES, file

from imparfait import load_data, split
from imparfait.data.images.normalize import Frame, NormalizedImage, decode
from imparfait.inference.loading import load_predictor

TALL = 120  # pixels of a row of the sheet


def tile(photo: np.ndarray, decoded: NormalizedImage) -> Image.Image:
    """An image, what was cut out of it in a frame, and what it became."""
    image = Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))
    scale = TALL / image.height
    both = Image.new("RGB", (2 * TALL + TALL // 2, TALL))
    both.paste(image.resize((round(image.width * scale), TALL)))
    ImageDraw.Draw(both).rectangle([edge * scale for edge in decoded.box], outline=(255, 0, 0))
    both.paste(Image.fromarray(decoded.pixels[0]).resize((TALL, TALL), Image.Resampling.NEAREST), (TALL * 3 // 2, 0))
    return both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    ready = load_predictor(options.model)
    _, development = split(load_data().train)
    digits, labels = development.pixels[: options.each], development.labels[: options.each]
    frame = Frame(*digits.shape[2:])
    rows, scores, milliseconds = [], {}, {}
    for name, scene in SCENES.items():
        images, decoded, times = [], [], []
        for number, digit in enumerate(digits):
            images.append(scene(digit[0], np.random.default_rng(number)))
            content = file(images[-1], "PNG" if name == "tiny" else "JPEG")
            start = time.process_time()
            (one,) = decode(content, frame)
            times.append(1e3 * (time.process_time() - start))
            decoded.append(one)
        answers = ready.probabilities(np.stack([one.pixels for one in decoded])).argmax(1)
        scores[name], milliseconds[name] = int((answers == labels).sum()), round(statistics.median(times), 1)
        shown = np.argsort(answers == labels, kind="stable")[:3]
        rows.append(np.hstack([np.asarray(tile(images[each], decoded[each])) for each in shown]))
    plain = int((ready.probabilities(digits).argmax(1) == labels).sum())
    summary = {
        "images": len(digits),
        "right_as_they_are": plain,
        "right": scores,
        "processor_milliseconds_median": milliseconds,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(options.out / "photographs.png")
    leave(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
