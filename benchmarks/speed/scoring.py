"""Seconds to score 30,000 images with a trained run: drawing apart from answering, on validation images.

python benchmarks/scoring.py runs/default-s0-… --out results/2026-11-22-scoring
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

from claims import leave

from imparfait import core_suite, evaluate, load_classifier, load_data, split
from imparfait.models.loading import compute_for

ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    classifier = load_classifier(options.run)
    _, development = split(load_data().train)
    drawing, scoring = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        parts = core_suite(development)
        drawing.append(time.perf_counter() - start)
        start = time.perf_counter()
        scores = evaluate(classifier, parts)
        scoring.append(time.perf_counter() - start)
    summary = {
        "images": sum(score.total for score in scores.each),
        "seconds_to_draw_the_three_median": round(statistics.median(drawing), 2),
        "seconds_to_score_median": round(statistics.median(scoring), 2),
        "rounds": ROUNDS,
        "peak_memory_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }
    leave(options.out, summary, compute_for(options.run))
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
