"""How much longer `train --recipe quick` takes beside other programs, by what OpenMP's threads do while they wait.

    python benchmarks/speed/busy_machine.py [--rounds 3] [--busy 3] --out results/busy-machine

Each round runs the command alone and beside processes that compute without end, in turn: with imparfait's own choice
of how threads wait, with OpenMP's, with threads that sleep at once, and with `--threads 1`. Five threads on two cores
that each get an equal share would take 2.5 times as long.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

WAYS: dict[str, tuple[dict[str, str], list[str]]] = {
    "imparfait's setting": ({}, []),
    "OpenMP's default": ({"GOMP_SPINCOUNT": "300000"}, []),
    "asleep at once": ({"OMP_WAIT_POLICY": "PASSIVE"}, []),
    "one thread": ({}, ["--threads", "1"]),
}
ENDLESS = "while True: pass"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes compute during the block."""
    processes = [subprocess.Popen([sys.executable, "-c", ENDLESS]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measured(environment: dict[str, str], flags: list[str]) -> dict[str, float]:
    """Seconds of the whole command, and of its training steps."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "imparfait", "train", "--recipe", "quick", "--out", out, *flags]
        start = time.perf_counter()
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
        seconds = time.perf_counter() - start
        with next(Path(out).glob("*/epochs.csv")).open(newline="", encoding="utf-8") as file:
            return {"command": seconds, "training": float(list(csv.DictReader(file))[-1]["seconds"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=3, help="processes beside it")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: dict[str, dict[str, list[dict[str, float]]]] = {way: {"idle": [], "busy": []} for way in WAYS}
    for _ in range(options.rounds):
        for way, (environment, flags) in WAYS.items():
            for state, count in (("idle", 0), ("busy", options.busy)):
                with busy(count):
                    rows[way][state].append(measured(environment, flags))
                print(f"{way}, {state}: {rows[way][state][-1]}", flush=True)
    medians = {
        way: {
            what: {state: statistics.median(row[what] for row in found) for state, found in states.items()}
            for what in ("command", "training")
        }
        for way, states in rows.items()
    }
    ratios = {
        way: {what: each["busy"] / each["idle"] for what, each in found.items()} for way, found in medians.items()
    }
    print(ratios)
    write_claim(options.out, {"rounds": rows, "median_seconds": medians, "busy_to_idle": ratios})


if __name__ == "__main__":
    main()
