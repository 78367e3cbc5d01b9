"""Time 40 short jobs on each executor, in turn in one run, and what an executor costs beside the jobs.

python benchmarks/executors.py --rounds 2 --out results/2026-11-24-executors

The jobs are 5 folds × 2 partitions × 4 training seeds of `quick` on 30,000 of MNIST's training images: equal
recipes, so that their outcomes also serve as a real null (tests/test_null.py). Needs the extra `ray`.
"""

import argparse
import csv
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from claims import leave

from imparfait import load_data
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.data.dataset import LabelledImages
from imparfait.selection.candidates import candidate_named
from imparfait.selection.executors import Executor, executor_named, run
from imparfait.selection.jobs import Job, JobResult
from imparfait.selection.profiling import network_of

FOLDS, PARTITIONS, SEEDS, PICTURES = 5, 2, 4, 30_000
TINY, TINY_CELLS = 600, 30  # images and jobs for the cost beside them


def jobs(data: LabelledImages, compute: ComputeConfig, images: int) -> list[tuple[int, int, int, Job]]:
    settings, mark = candidate_named("quick").settings, data.fingerprint()
    places = [(p, s, f) for p in range(PARTITIONS) for s in range(SEEDS) for f in range(FOLDS)]
    return [
        (
            *place,
            Job(
                data=mark,
                settings=settings.model_copy(update={"seed": 100 * place[0] + place[1]}),
                compute=compute,
                partition=place[0],
                folds=FOLDS,
                fold=place[2],
                images=images,
            ),
        )
        for place in places
    ]


def timed(executor: Executor, expected: list[Job], data: LabelledImages) -> tuple[float, dict[str, JobResult]]:
    """Seconds until all outcomes are on the disk, in a store of their own."""
    with tempfile.TemporaryDirectory() as store:
        started = time.perf_counter()
        found = {job.key: outcome for job, outcome in run(expected, data, Path(store), executor)}
        return time.perf_counter() - started, found


def beside(executor: Executor, expected: list[Job], data: LabelledImages) -> float:
    """Seconds a job beside training and judging, on an executor that is warm."""
    timed(executor, expected[:4], data)
    seconds, found = timed(executor, expected, data)
    inside = sum(outcome.training_seconds + outcome.judging_seconds for outcome in found.values())
    return (seconds * executor.at_once - inside) / len(expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    data = load_data("mnist").train
    cores = usable_cores()
    _, one = network_of(candidate_named("quick").settings, data.select(range(256)), 1)  # type: ignore[arg-type]
    every = one.model_copy(update={"threads": cores})
    places = jobs(data, one, PICTURES)
    alone, together = [job for *_, job in places], [job for *_, job in jobs(data, every, PICTURES)]
    tiny = [job for *_, job in jobs(data, one, TINY)][:TINY_CELLS]
    overhead = {"here": beside(executor_named("here"), tiny, data)}
    overhead["ray, warm"] = beside(executor_named("ray"), tiny, data)
    print(overhead, flush=True)
    ways = {
        f"processes ({cores} × 1 thread)": (executor_named("processes"), alone),
        f"here ({cores} threads)": (executor_named("here"), together),
        "here (1 thread)": (executor_named("here"), alone),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    outcomes: dict[str, dict[str, JobResult]] = {}
    for _ in range(options.rounds):
        for name, (executor, expected) in ways.items():
            took, outcomes[name] = timed(executor, expected, data)
            seconds[name].append(round(took, 1))
            print(name, seconds[name], flush=True)
    first, second, third = ways
    equal = all((outcomes[first][key].said == outcomes[third][key].said).all() for key in outcomes[third])
    medians = {name: statistics.median(each) for name, each in seconds.items()}

    summary = {
        "jobs": len(alone),
        "seconds": seconds,
        "median_seconds": medians,
        "processes_against_here_with_all_threads": round(medians[second] / medians[first], 3),
        "in_each_round": [round(b / a, 3) for a, b in zip(seconds[first], seconds[second], strict=True)],
        "processes_against_one_thread": round(medians[third] / medians[first], 3),
        "outcomes_equal_bit_for_bit_in_processes_and_here": equal,
        "seconds_a_cell_beside_training_and_judging": {name: round(each, 4) for name, each in overhead.items()},
        "peak_memory_of_the_driver_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }
    leave(options.out, summary, one)
    with (options.out / "jobs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["partition", "seed", "fold", "clean", "geometric", "shrunk", "images"])
        for partition, seed, fold, job in places:
            right = outcomes[third][job.key].right
            writer.writerow([partition, seed, fold, *right.sum(1).tolist(), right.shape[1]])
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
