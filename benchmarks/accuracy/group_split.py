"""How much a random split flatters: the same recipe in random folds, and in folds of one group each.

python benchmarks/accuracy/group_split.py DATA --size 28 [--recipe quick] [--out results/own-data-groups]

DATA is a data set with a column of groups, such as the meter of each digit. Both splits have as many folds as there
are groups, one seed, and the recipe's training on the images of the other folds, on one thread. Accuracies are of all
held-out images, each predicted once. About 7 minutes a split on one core for 4,117 images of 16 meters.
"""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.core.compute import ComputeConfig
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import count_folds
from imparfait.data.load import load_data
from imparfait.data.splits import fold
from imparfait.evaluation.intervals import group_interval, wilson_interval
from imparfait.selection.executors import executor_named, run_jobs
from imparfait.selection.intervals import source_interval
from imparfait.selection.jobs import Job, JobResult
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import enough_steps


def results_of(data: LabelledImages, folds: int, recipe: str, compute: ComputeConfig, store: Path) -> list[JobResult]:
    """The result of each fold."""
    fit, _ = fold(data, folds, 0, 0)
    settings = enough_steps(RECIPES[recipe].settings, len(fit))
    facts = {"data": data.fingerprint(), "groups": data.grouping(), "settings": settings, "compute": compute}
    jobs = [Job(**facts, partition=0, folds=folds, fold=number) for number in range(folds)]
    finished = []
    for job, result in run_jobs(jobs, data, executor_named("serial"), store):
        if result.cause:
            raise SystemExit(f"fold {job.fold}: {result.cause}")
        print(
            f"fold {job.fold}: {len(result.sources)} images, clean {result.correct_counts[0] / len(result.sources):.3f}"
        )
        finished.append(result)
    return finished


def scores_of(results: list[JobResult], groups: dict[int, int]) -> dict[str, Any]:
    """Accuracy on all held-out images, with its intervals, and clean accuracy by group."""
    clean = np.concatenate([result.correct[0] for result in results])
    every = np.concatenate([result.weighted_correct / result.weights.sum() for result in results])
    owners = np.array([groups[source] for result in results for source in result.sources.tolist()])
    by_group = {
        f"group {group + 1:02d}": {"correct": int(clean[owners == group].sum()), "total": int((owners == group).sum())}
        for group in np.unique(owners).tolist()
    }
    clean_groups, core_groups = (group_interval(correct.astype(float), owners) for correct in (clean, every))
    assert clean_groups, "one group"
    assert core_groups, "one group"
    return {
        "clean": {
            "correct": int(clean.sum()),
            "total": len(clean),
            "interval": wilson_interval(int(clean.sum()), len(clean)),
            "group_interval": asdict(clean_groups),
        },
        "core_mean": {
            "accuracy": float(every.mean()),
            "interval": source_interval(results),
            "group_interval": asdict(core_groups),
        },
        "clean_by_group": by_group,
        "training_seconds": sum(result.training_seconds for result in results),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--size", type=int)
    parser.add_argument("--group")
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--store", type=Path, default=Path("runs/jobs"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = load_data(options.data, options.size, group=options.group).train_and_val()
    folds = count_folds(data, "groups")
    assert data.groups is not None
    groups = dict(zip(data.sources.tolist(), data.groups.tolist(), strict=True))
    compute = ComputeConfig(threads=1)
    scores: dict[str, Any] = {"images": len(data), "groups": folds, "recipe": options.recipe, "seeds": 1}
    for name, split in (("random", replace(data, groups=None)), ("leave_one_group_out", data)):
        results = results_of(split, folds, options.recipe, compute, options.store)
        scores[name] = scores_of(results, groups)
        print(name, {key: value for key, value in scores[name].items() if key != "clean_by_group"})
    if options.out:
        write_claim(options.out, scores, compute, DATA=options.data, JOBS=str(options.store))


if __name__ == "__main__":
    main()
