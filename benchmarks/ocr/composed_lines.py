"""`read` on 1,000 numbers of five digits: right strings, wrong characters, and what an office buys.

python benchmarks/lines.py --split development --out results/2026-12-05-lines
python benchmarks/lines.py --split test --runs runs --out results/2026-12-05-lines-test      # opens the test, once

The numbers are composed on the papers of benchmarks/papers.py, each digit used once. On development, of the second half
of MNIST's validation images (with the first half reading was tuned); on test, of the test images: the opening is
a line of TEST_LEDGER.csv in --runs, as evaluate's is.

A number is accepted when all that was read is sure and it has five digits, which an office knows of its field; the
others are sent to a person. Beside it stands what would be accepted without knowing that.
"""

import argparse
import csv
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from claims import leave
from papers import PAPERS, written
from scipy.stats import binomtest

from imparfait import load_data, split
from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.sealed_test import LEDGER
from imparfait.inference.loading import load_predictor_with_card
from imparfait.inference.ocr import Reading, read

DIGITS = 5
REJECTED = 0.05


@dataclass(frozen=True)
class Line:
    """A number that was read."""

    number: int
    paper: str
    tall: float
    touching: int
    text: str
    found: str
    score: float
    sure: bool
    milliseconds: float

    @property
    def right(self) -> bool:
        """Whether all of it is right, and nothing else was read."""
        return self.found == self.text

    @property
    def accepted(self) -> bool:
        """Whether no person looks at it."""
        return self.sure and len(self.found) == DIGITS


def read_lines(data: LabelledImages, model: str, lines: int, keep: Path | None) -> list[Line]:
    """Compose and read so many lines of the images; those read wrongly are kept as files."""
    ready = load_predictor_with_card(model)[0]
    order = np.random.default_rng(2026).permutation(len(data))
    names = list(PAPERS)
    done = []
    for number in range(lines):
        rows = order[np.arange(DIGITS * number, DIGITS * (number + 1)) % len(order)]
        one = written(
            data.pixels[rows, 0], data.labels[rows], names[number % len(names)], np.random.default_rng([7, number])
        )
        start = time.perf_counter()
        reading = read(one.content, ready)
        taken = 1e3 * (time.perf_counter() - start)
        found = reading.text.replace("\n", " ")
        line = Line(number, one.paper, one.tall, one.touching, one.text, found, score_of(reading), reading.sure, taken)
        done.append(line)
        if keep and not line.right:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{number:04d}-{one.paper}-{one.text}-read-{found.replace(' ', '_') or 'nothing'}.img").write_bytes(
                one.content
            )
    return done


def score_of(reading: Reading) -> float:
    """How probable it is that all fields are right."""
    return float(np.prod([field.score for field in reading.fields])) if reading.fields else 0.0


def edits(one: str, other: str) -> int:
    """The least characters to change, add or leave out, to make one string of the other (Levenshtein 1965)."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, another in enumerate(other, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != another)))
        before = now
    return before[-1]


def share(count: int, total: int) -> dict[str, float | int | list[float]]:
    """A share with Wilson's and Clopper and Pearson's 95 % intervals, in percent."""
    if not total:
        return {"count": count, "of": total}
    test = binomtest(count, total)
    told: dict[str, float | int | list[float]] = {"count": count, "of": total, "percent": round(100 * count / total, 2)}
    for method, name in (("wilson", "wilson"), ("exact", "clopper_pearson")):
        interval = test.proportion_ci(0.95, method)
        told[name] = [round(100 * interval.low, 2), round(100 * interval.high, 2)]
    return told


def summary(lines: Sequence[Line]) -> dict[str, object]:
    accepted = [line for line in lines if line.accepted]
    by_sureness = [line for line in lines if line.sure]
    best = sorted(lines, key=lambda line: -(line.score if len(line.found) == DIGITS else 0))
    most = best[: len(lines) - int(REJECTED * len(lines))]
    groups = defaultdict(list)
    for line in lines:
        groups[f"paper {line.paper}"].append(line)
        groups["touching" if line.touching else "none touching"].append(line)
        groups[
            "under 40 pixels" if line.tall < 40 else "over 70 pixels" if line.tall > 70 else "40 to 70 pixels"
        ].append(line)
    return {
        "exact": share(sum(line.right for line in lines), len(lines)),
        "character_error_percent": round(
            100 * sum(edits(line.text, line.found) for line in lines) / sum(len(line.text) for line in lines), 3
        ),
        "sent_to_a_person": share(len(lines) - len(accepted), len(lines)),
        "accepted_wrong": share(sum(not line.right for line in accepted), len(accepted)),
        "not_knowing_the_length": {
            "sent_to_a_person": share(len(lines) - len(by_sureness), len(lines)),
            "accepted_wrong": share(sum(not line.right for line in by_sureness), len(by_sureness)),
        },
        "if_exactly_5_percent_were_sent": share(sum(not line.right for line in most), len(most)),
        "milliseconds_median": round(statistics.median(line.milliseconds for line in lines), 1),
        "groups": {
            name: {
                "exact": f"{sum(line.right for line in each)}/{len(each)}",
                "sent": sum(not line.accepted for line in each),
                "accepted_wrong": sum(line.accepted and not line.right for line in each),
            }
            for name, each in sorted(groups.items())
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("development", "test"), default="development")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder with the ledger of test openings")
    parser.add_argument("--keep", type=Path, help="folder for the images that were read wrongly")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dataset = load_data()
    card = load_predictor_with_card(options.model)[1]
    settings = card.settings if card else fingerprint(options.model)
    if options.on == "test":
        with dataset.test.open(options.runs / LEDGER, settings) as opening:
            lines = read_lines(opening.images, options.model, options.lines, options.keep)
            told = summary(lines)
            exact, wrong = told["exact"], told["accepted_wrong"]
            opening.result = (
                f"read on {len(lines):,} composed lines: exact {exact['percent']} %, "
                f"accepted wrong {wrong['count']} of {wrong['of']}"
            )
    else:
        _, development = split(dataset.train)
        half = development.select(np.arange(len(development) // 2, len(development)))
        lines = read_lines(half, options.model, options.lines, options.keep)
        told = summary(lines)
    print(json.dumps(told, indent=2))
    if options.out:
        leave(options.out, told)
        with (options.out / "lines.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow([*vars(lines[0])])
            rows.writerows([round(v, 4) if isinstance(v, float) else v for v in vars(line).values()] for line in lines)


if __name__ == "__main__":
    main()
