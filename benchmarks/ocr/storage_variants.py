"""MNIST's training images stored in every way that people store images: does a classifier say the same of them?

python benchmarks/storage_variants.py [--model digits] [--each 3] --out results/2026-12-05-storage

Each variant (format, mode, ground, EXIF orientation, enlargement, compression; tests/stored.py) stores `each` images
of development; decoded again, lossless ones must be the same bit for bit and all must get the same label.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claims import leave
from helpers.image_variants import variants

from imparfait import load_data, split
from imparfait.data.images.normalize import Frame, decode
from imparfait.inference.loading import load_predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ready = load_predictor(options.model)
    _, development = split(load_data().train)
    frame = Frame(*development.pixels.shape[2:])
    ways = [variant for variant in variants() for _ in range(options.each)]
    originals = development.pixels[np.arange(len(ways)) % len(development)]
    decoded, milliseconds = np.empty_like(originals), []
    for variant, original, into in zip(ways, originals, decoded, strict=True):
        content = variant.store(original[0])
        start = time.perf_counter()
        (into[:],) = (page.pixels for page in decode(content, frame))
        milliseconds.append(1e3 * (time.perf_counter() - start))
    before, after = (ready.probabilities(pixels).argmax(1) for pixels in (originals, decoded))
    same = before == after
    equal = (originals == decoded).all((1, 2, 3))
    lossless = np.array([variant.lossless for variant in ways])
    summary = {
        "variants": len(set(ways)),
        "files": len(ways),
        "same_label": int(same.sum()),
        "lossless": int(lossless.sum()),
        "lossless_and_equal": int((lossless & equal).sum()),
        "other_label": [str(variant) for variant, right in zip(ways, same, strict=True) if not right],
        "unequal": [str(way) for way, fine in zip(ways, equal | ~lossless, strict=True) if not fine],
        "files_by_format": Counter(variant.kind for variant in ways),
        "milliseconds_median": round(statistics.median(milliseconds), 3),
        "milliseconds_most": round(max(milliseconds), 3),
    }
    if options.out:
        leave(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
