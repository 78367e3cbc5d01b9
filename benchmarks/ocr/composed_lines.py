"""Accuracy of `read` on 1,000 composed five-digit numbers: exact numbers, wrong characters and rejections.

python benchmarks/ocr/composed_lines.py --split validation --out results/ocr-composed-lines/validation
python benchmarks/ocr/composed_lines.py --split test --out results/ocr-composed-lines/test

The numbers are composed on the papers of pages.py, each digit used once. On the validation set only its second half is
used; `read` was tuned on the first. A run on the test set adds a line to TEST_LEDGER.csv in --runs, as `evaluate` does.

A number is accepted when the whole prediction is confident and has five digits, a length that a form would know. Others
go to manual review. For comparison, acceptance without the known length is reported too.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pages import PAPERS, compose

sys.path.insert(0, str(Path(__file__).parents[1]))

from ocr.scores import edits, share
from tools.claims import write_claim

from imparfait import load_data, split
from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.sealed_test import LEDGER
from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.inference.ocr import Reading, read

DIGITS = 5
REVIEW_RATE = 0.05


@dataclass(frozen=True)
class Line:
    """A composed number and its prediction."""

    number: int
    paper: str
    digit_height: float
    touching: int
    text: str
    predicted: str
    score: float
    confident: bool
    milliseconds: float

    @property
    def correct(self) -> bool:
        """Whether the whole number was read correctly, and nothing else."""
        return self.predicted == self.text

    @property
    def accepted(self) -> bool:
        """Whether it skips manual review."""
        return self.confident and len(self.predicted) == DIGITS


def read_lines(data: LabelledImages, model: str, lines: int, keep: Path | None) -> list[Line]:
    """Compose and read lines of digits; misread ones are saved in `keep`."""
    predictor = load_predictor_with_metadata(model)[0]
    order = np.random.default_rng(2026).permutation(len(data))
    names = list(PAPERS)
    done = []
    for number in range(lines):
        rows = order[np.arange(DIGITS * number, DIGITS * (number + 1)) % len(order)]
        composed = compose(
            data.pixels[rows, 0], data.labels[rows], names[number % len(names)], np.random.default_rng([7, number])
        )
        start = time.perf_counter()
        reading = read(composed.content, predictor)
        milliseconds = 1e3 * (time.perf_counter() - start)
        predicted = reading.text.replace("\n", " ")
        line = Line(
            number,
            composed.paper,
            composed.digit_height,
            composed.touching,
            composed.text,
            predicted,
            score_of(reading),
            reading.confident,
            milliseconds,
        )
        done.append(line)
        if keep and not line.correct:
            keep.mkdir(parents=True, exist_ok=True)
            name = f"{number:04d}-{composed.paper}-{composed.text}-read-{predicted.replace(' ', '_') or 'nothing'}.img"
            (keep / name).write_bytes(composed.content)
    return done


def score_of(reading: Reading) -> float:
    """Probability that all fields are correct."""
    return float(np.prod([field.score for field in reading.fields])) if reading.fields else 0.0


def summary(lines: Sequence[Line]) -> dict[str, object]:
    """Exact numbers, character errors, reviews and accepted errors, also by paper and digit size."""
    accepted = [line for line in lines if line.accepted]
    confident = [line for line in lines if line.confident]
    ranked = sorted(lines, key=lambda line: -(line.score if len(line.predicted) == DIGITS else 0))
    kept = ranked[: len(lines) - int(REVIEW_RATE * len(lines))]
    groups = defaultdict(list)
    for line in lines:
        groups[f"paper {line.paper}"].append(line)
        groups["touching" if line.touching else "none touching"].append(line)
        height = line.digit_height
        size = "under 40 pixels" if height < 40 else "over 70 pixels" if height > 70 else "40 to 70 pixels"
        groups[size].append(line)
    return {
        "exact": share(sum(line.correct for line in lines), len(lines)),
        "character_error_percent": round(
            100 * sum(edits(line.text, line.predicted) for line in lines) / sum(len(line.text) for line in lines), 3
        ),
        "manual_review": share(len(lines) - len(accepted), len(lines)),
        "accepted_wrong": share(sum(not line.correct for line in accepted), len(accepted)),
        "without_known_length": {
            "manual_review": share(len(lines) - len(confident), len(lines)),
            "accepted_wrong": share(sum(not line.correct for line in confident), len(confident)),
        },
        "accepted_wrong_at_5_percent_review": share(sum(not line.correct for line in kept), len(kept)),
        "milliseconds_median": round(statistics.median(line.milliseconds for line in lines), 1),
        "groups": {
            name: {
                "exact": f"{sum(line.correct for line in each)}/{len(each)}",
                "manual_review": sum(not line.accepted for line in each),
                "accepted_wrong": sum(line.accepted and not line.correct for line in each),
            }
            for name, each in sorted(groups.items())
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder with the ledger of test accesses")
    parser.add_argument("--keep", type=Path, help="folder for misread images")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dataset = load_data()
    metadata = load_predictor_with_metadata(options.model)[1]
    settings = metadata.settings if metadata else fingerprint(options.model)
    if options.split == "test":
        with dataset.test.open(options.runs / LEDGER, settings) as access:
            lines = read_lines(access.images, options.model, options.lines, options.keep)
            results = summary(lines)
            exact, wrong = results["exact"], results["accepted_wrong"]
            access.result = (
                f"read on {len(lines):,} composed lines: exact {exact['percent']} %, "
                f"accepted wrong {wrong['count']} of {wrong['total']}"
            )
    else:
        _, validation = split(dataset.train)
        half = validation.select(np.arange(len(validation) // 2, len(validation)))
        lines = read_lines(half, options.model, options.lines, options.keep)
        results = summary(lines)
    print(json.dumps(results, indent=2))
    if options.out:
        write_claim(options.out, results)
        with (options.out / "lines.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow([*vars(lines[0])])
            rows.writerows([round(v, 4) if isinstance(v, float) else v for v in vars(line).values()] for line in lines)


if __name__ == "__main__":
    main()
