"""Wall time of 40 short jobs on each executor, and the overhead per job.

python benchmarks/speed/executors.py --rounds 2 --out results/executors

The jobs are 5 folds × 2 partitions × 4 training seeds of `quick` on 30,000 of MNIST's training images; the executors
take turns. All recipes are equal, so the results also serve as a real null hypothesis
(tests/selection/test_false_positive_rate.py). Needs the extra `ray`.
"""

import argparse
import csv
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait import load_data
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.data.dataset import LabelledImages
from imparfait.selection.candidates import candidate_named
from imparfait.selection.executors import Executor, executor_named, run_jobs
from imparfait.selection.jobs import Job, JobResult
from imparfait.selection.profiling import network_and_compute

FOLDS, PARTITIONS, SEEDS, IMAGES = 5, 2, 4, 30_000
TINY_IMAGES, TINY_JOBS = 600, 30  # for measuring the overhead


def jobs_for(data: LabelledImages, compute: ComputeConfig, images: int) -> list[tuple[int, int, int, Job]]:
    """Jobs with their partition, seed and fold."""
    settings, digest = candidate_named("quick").settings, data.fingerprint()
    splits = [(p, s, f) for p in range(PARTITIONS) for s in range(SEEDS) for f in range(FOLDS)]
    return [
        (
            partition,
            seed,
            fold,
            Job(
                data=digest,
                settings=settings.model_copy(update={"seed": 100 * partition + seed}),
                compute=compute,
                partition=partition,
                folds=FOLDS,
                fold=fold,
                images=images,
            ),
        )
        for partition, seed, fold in splits
    ]


def timed(executor: Executor, jobs: list[Job], data: LabelledImages) -> tuple[float, dict[str, JobResult]]:
    """Seconds until all results are on disk in a new store, and the results."""
    with tempfile.TemporaryDirectory() as store:
        started = time.perf_counter()
        results = {job.key: result for job, result in run_jobs(jobs, data, executor, Path(store))}
        return time.perf_counter() - started, results


def overhead_per_job(executor: Executor, jobs: list[Job], data: LabelledImages) -> float:
    """Seconds per job outside training and evaluation, on a warm executor."""
    timed(executor, jobs[:4], data)
    seconds, results = timed(executor, jobs, data)
    inside = sum(result.training_seconds + result.evaluation_seconds for result in results.values())
    return (seconds * executor.workers - inside) / len(jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    data = load_data("mnist").train
    cores = usable_cores()
    _, one_thread = network_and_compute(candidate_named("quick").settings, data.select(range(256)), 1)  # type: ignore[arg-type]
    all_threads = one_thread.model_copy(update={"threads": cores})
    numbered = jobs_for(data, one_thread, IMAGES)
    single_threaded = [job for *_, job in numbered]
    multi_threaded = [job for *_, job in jobs_for(data, all_threads, IMAGES)]
    tiny = [job for *_, job in jobs_for(data, one_thread, TINY_IMAGES)][:TINY_JOBS]
    overhead = {"serial": overhead_per_job(executor_named("serial"), tiny, data)}
    overhead["ray, warm"] = overhead_per_job(executor_named("ray"), tiny, data)
    print(overhead, flush=True)
    variants = {
        f"processes ({cores} × 1 thread)": (executor_named("processes"), single_threaded),
        f"serial ({cores} threads)": (executor_named("serial"), multi_threaded),
        "serial (1 thread)": (executor_named("serial"), single_threaded),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    results: dict[str, dict[str, JobResult]] = {}
    for _ in range(options.rounds):
        for name, (executor, jobs) in variants.items():
            took, results[name] = timed(executor, jobs, data)
            seconds[name].append(round(took, 1))
            print(name, seconds[name], flush=True)
    first, second, third = variants
    equal = all((results[first][key].predicted == results[third][key].predicted).all() for key in results[third])
    medians = {name: statistics.median(each) for name, each in seconds.items()}

    summary = {
        "jobs": len(single_threaded),
        "seconds": seconds,
        "median_seconds": medians,
        "speed_up_of_processes_over_serial_with_all_threads": round(medians[second] / medians[first], 3),
        "speed_up_in_each_round": [round(b / a, 3) for a, b in zip(seconds[first], seconds[second], strict=True)],
        "speed_up_of_processes_over_one_thread": round(medians[third] / medians[first], 3),
        "results_identical_in_processes_and_serial": equal,
        "overhead_seconds_per_job": {name: round(each, 4) for name, each in overhead.items()},
        "driver_peak_memory_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }
    write_claim(options.out, summary, one_thread)
    with (options.out / "jobs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["partition", "seed", "fold", "clean", "geometric", "shrunk", "images"])
        for partition, seed, fold, job in numbered:
            correct = results[third][job.key].correct
            writer.writerow([partition, seed, fold, *correct.sum(1).tolist(), correct.shape[1]])
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
