"""Seconds to build and evaluate the core suite (30,000 validation images) with a trained run.

python benchmarks/speed/scoring.py runs/default-s0-… --out results/default-validation/evaluation-time
"""

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait import core_suite, evaluate, load_classifier, load_data, split
from imparfait.models.loading import compute_for

ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    classifier = load_classifier(options.run)
    _, validation = split(load_data().train)
    corruption_seconds, evaluation_seconds = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        conditions = core_suite(validation)
        corruption_seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        scores = evaluate(classifier, conditions)
        evaluation_seconds.append(time.perf_counter() - start)
    summary = {
        "images": sum(score.total for score in scores.scores),
        "corruption_seconds_median": round(statistics.median(corruption_seconds), 2),
        "evaluation_seconds_median": round(statistics.median(evaluation_seconds), 2),
        "rounds": ROUNDS,
        "peak_memory_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }
    write_claim(options.out, summary, compute_for(options.run))
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
