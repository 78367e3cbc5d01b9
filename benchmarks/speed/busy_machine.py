"""Milliseconds of a training step by how OpenMP's threads wait, on an idle machine and beside other programs.

    python benchmarks/speed/busy_machine.py [--recipe quick] [--steps 100] [--busy 3] --out results/busy-machine

Each way runs in a process of its own, first all of them alone, then beside processes that compute without end. Five
threads on two cores that each get an equal share would take 2.5 times as long.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

WARM_UP = 20  # steps
WAYS: dict[str, tuple[dict[str, str], int]] = {
    "imparfait's choice": ({}, 2),
    "asleep at once": ({"OMP_WAIT_POLICY": "PASSIVE"}, 2),
    "1,000 rounds": ({"GOMP_SPINCOUNT": "1000"}, 2),
    "10,000 rounds": ({"GOMP_SPINCOUNT": "10000"}, 2),
    "300,000 rounds, OpenMP's default": ({"GOMP_SPINCOUNT": "300000"}, 2),
    "one thread": ({}, 1),
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


def step_milliseconds(recipe: str, threads: int, steps: int) -> float:
    """The time of a step of this recipe's training on MNIST, in float32."""
    from imparfait.core.compute import ComputeConfig
    from imparfait.data.load import load_data
    from imparfait.training.loop import Training, network_for
    from imparfait.training.recipes import RECIPES

    data, _ = load_data("mnist").train_val()
    settings = RECIPES[recipe].settings
    running = iter(Training(network_for(settings, data), data, settings, ComputeConfig(threads=threads)))
    for _ in islice(running, WARM_UP):
        pass
    start = time.perf_counter()
    for _ in islice(running, steps):
        pass
    return 1000 * (time.perf_counter() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--busy", type=int, default=3, help="processes beside it")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)  # of the child processes
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.threads:
        print(step_milliseconds(options.recipe, options.threads, options.steps))
        return
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    found: dict[str, dict[str, float]] = {way: {} for way in WAYS}
    for state, count in (("idle", 0), ("busy", options.busy)):
        for way, (environment, threads) in WAYS.items():
            command = [sys.executable, __file__, "--recipe", options.recipe, "--steps", str(options.steps)]
            with busy(count):
                done = subprocess.run(
                    [*command, "--threads", str(threads)],
                    env=clean | environment, stdout=subprocess.PIPE, text=True, check=True,
                )  # fmt: skip
            found[way][state] = float(done.stdout)
            print(f"{state}, {way}: {found[way][state]:.1f} ms", flush=True)
    if options.out:
        write_claim(options.out, {"recipe": options.recipe, "step_milliseconds": found})


if __name__ == "__main__":
    main()
