"""Train a recipe with several seeds on the development pictures and write the claim's folder.

python benchmarks/recipe.py default --seeds 0 1 2 --out results/2026-11-22-default

Each seed is one `imparfait train` in a process of its own, one after the other; all of them are reported. With
--final the test pictures are opened, once a seed.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import leave

from imparfait.core.storage import write_json


def train(recipe: str, seed: int, runs: Path, final: bool) -> dict[str, object]:
    words = [
        sys.executable,
        "-m",
        "imparfait",
        "train",
        "--recipe",
        recipe,
        "--seed",
        str(seed),
        "--out",
        str(runs),
        "--json",
    ]
    start = time.perf_counter()
    printed = subprocess.run(
        [*words, *(["--final"] if final else [])], check=True, capture_output=True, text=True
    ).stdout
    wall = time.perf_counter() - start
    scores = json.loads(printed)
    folder = Path(scores["folder"])
    with (folder / "epochs.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return {
        "seed": seed,
        "mean": scores["mean"],
        "parts": {part["alteration"]: [part["right"], part["total"]] for part in scores["parts"]},
        "training_seconds": round(float(last["seconds"]), 1),
        "wall_seconds": round(wall, 1),
        "settings": json.loads((folder / "settings.json").read_text()),
        "environment": json.loads((folder / "environment.json").read_text()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as runs:
        rows = [train(options.recipe, seed, Path(runs), options.final) for seed in options.seeds]
        means = [100 * float(row["mean"]) for row in rows]  # type: ignore[arg-type]
        options.out.mkdir(parents=True, exist_ok=True)
        ledger = Path(runs) / "TEST_LEDGER.csv"
        if ledger.exists():
            (options.out / "TEST_LEDGER.csv").write_text(ledger.read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    summary = {
        "pictures": "MNIST test pictures" if options.final else "development pictures",
        "n": len(rows),
        "mean_of_the_three_percent": round(statistics.mean(means), 3),
        "standard_deviation": round(statistics.stdev(means), 3) if len(means) > 1 else None,
        "training_seconds_median": statistics.median(float(row["training_seconds"]) for row in rows),  # type: ignore[arg-type]
        "wall_seconds_median": statistics.median(float(row["wall_seconds"]) for row in rows),  # type: ignore[arg-type]
        "peak_memory_GiB": round(peak, 2),
    }
    environment, settings = rows[0].pop("environment"), rows[0].pop("settings")
    for row in rows[1:]:
        row.pop("environment"), row.pop("settings")
    leave(options.out, {"summary": summary, "seeds": rows}, environment)  # type: ignore[arg-type]
    write_json(options.out / "settings.json", settings)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
