"""Agreement of predictions when the same images are stored in every common file format.

python benchmarks/ocr/storage_variants.py [--model digits] --out results/prediction-consistency/file-formats

Each variant (format, mode, background, EXIF orientation, enlargement, compression; tests/helpers/image_variants.py)
stores the same ten images: of each class the first of the validation set. Decoded again, lossless files must give
identical pixels, and all files the same label.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.image_variants import variants
from tools.claims import write_claim

from imparfait import load_data, split
from imparfait.data.images.normalize import read_normalized
from imparfait.inference.loading import load_predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    predictor = load_predictor(options.model)
    _, validation = split(load_data().train)
    ten = validation.pixels[np.unique(validation.labels, return_index=True)[1]]
    stored = [variant for variant in variants() for _ in ten]
    originals = np.tile(ten, (len(stored) // len(ten), 1, 1, 1))
    decoded, milliseconds = np.empty_like(originals), []
    for variant, original, pixels in zip(stored, originals, decoded, strict=True):
        content = variant.store(original[0])
        start = time.perf_counter()
        (pixels[:],) = (page.pixels for page in read_normalized(content, predictor.input_format))
        milliseconds.append(1e3 * (time.perf_counter() - start))
    before, after = (predictor.predict_proba(pixels).argmax(1) for pixels in (originals, decoded))
    same_label = before == after
    same_pixels = (originals == decoded).all((1, 2, 3))
    lossless = np.array([variant.lossless for variant in stored])
    summary = {
        "variants": len(set(stored)),
        "images": len(ten),
        "files": len(stored),
        "same_label": int(same_label.sum()),
        "lossless": int(lossless.sum()),
        "lossless_and_identical": int((lossless & same_pixels).sum()),
        "other_label": Counter(str(variant) for variant, same in zip(stored, same_label, strict=True) if not same),
        "not_identical": [
            str(variant) for variant, same in zip(stored, same_pixels | ~lossless, strict=True) if not same
        ],
        "files_by_format": Counter(variant.kind for variant in stored),
        "milliseconds_median": round(statistics.median(milliseconds), 3),
        "milliseconds_max": round(max(milliseconds), 3),
    }
    if options.out:
        write_claim(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
