"""How many real images with several digits the reader reads exactly, and how many cells of real tables.

    python benchmarks/ocr/real_pages.py FOLDER [--tables GROUP …] [--model digits] [--out results/ocr-real-pages]

FOLDER/real.csv has the columns image_path, label, group (the source), kind and several (1: more than one digit; others
are left out). Counted are digits in reading order. Images of the groups after --tables are read as tables; their labels
have a line, or a part between slashes, for each row with digits, and cells are counted by the fewest edits of a row.
"""

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ocr.scores import digits_of, edits, share
from tools.claims import write_claim

from imparfait.data.images.decode import read_pages
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import read_file
from imparfait.inference.ocr.table import read_table
from imparfait.inference.predictor import Predictor


def pages(folder: Path, rows: list[dict[str, str]], predictor: Predictor) -> dict[str, Any]:
    """Exact images, by kind too, errors per character, and confident errors."""
    exact: dict[str, list[bool]] = defaultdict(list)
    errors = characters = confident = wrong = 0
    started = time.process_time()
    for row in rows:
        (_, reading), *_ = read_file(folder / row["image_path"], predictor)
        truth, found = digits_of(row["label"]), digits_of(reading.text)
        exact[row["kind"]].append(truth == found)
        errors, characters = errors + edits(truth, found), characters + len(truth)
        confident += reading.confident
        wrong += reading.confident and truth != found
    count = sum(map(len, exact.values()))
    return {
        "exact": share(sum(map(sum, exact.values())), count),
        "by kind": {kind: share(sum(each), len(each)) for kind, each in exact.items()},
        "errors per character": round(errors / max(characters, 1), 4),
        "confident": confident,
        "confident and wrong": wrong,
        "processor seconds an image": round((time.process_time() - started) / max(count, 1), 2),
    }


def tables(folder: Path, rows: list[dict[str, str]], predictor: Predictor) -> dict[str, Any]:
    """Tables whose rows are all right, and right cells."""
    good = cells = right = confident = wrong = 0
    for row in rows:
        table = read_table(next(read_pages(folder / row["image_path"])), predictor)
        truth = row["label"].replace("/", "\n").split("\n")
        lines = table.text.replace("\t", "").split("\n") if table else []
        found = [line for line in lines if line]
        same_rows = len(truth) == len(found)
        both = zip(truth, found, strict=True) if same_rows else [("".join(truth), "".join(found))]
        total = sum(map(len, truth))
        cells, right = cells + total, right + max(0, total - sum(edits(one, other) for one, other in both))
        good += truth == found
        confident += bool(table and table.confident)
        wrong += bool(table and table.confident and truth != found)
    return {
        "tables": share(good, len(rows)),
        "cells": share(right, cells),
        "confident": confident,
        "confident and wrong": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="*", default=[])
    parser.add_argument("--model", default="digits")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    predictor = load_predictor(options.model)
    with (options.folder / "real.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["several"] == "1"]
    found = {"pages": pages(options.folder, [row for row in rows if row["group"] not in options.tables], predictor)}
    if options.tables:
        found["tables"] = tables(options.folder, [row for row in rows if row["group"] in options.tables], predictor)
    print(json.dumps(found, indent=2))
    if options.out:
        write_claim(options.out, found, FOLDER=str(options.folder))


if __name__ == "__main__":
    main()
