"""Small jobs and plans, with made-up results."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from imparfait.core.compute import ComputeConfig
from imparfait.data.dataset import LabelledImages
from imparfait.selection.comparison import Comparison
from imparfait.selection.job_runner import Progress, Steps
from imparfait.selection.jobs import Job, JobResult, Provenance
from imparfait.selection.plan import Plan
from imparfait.selection.profiling import CandidateProfile
from imparfait.selection.search import RunJobs
from imparfait.training.settings import TrainingSettings, as_toml

SMALL = TrainingSettings(model_args={"filters": 8, "depth": 1, "frame": 12}, epochs=1, batch_size=16)
NOWHERE = Provenance("code", "torch", "host", "instructions")
CLASSES = tuple("0123456789")


def small_job(data: LabelledImages, **changes: object) -> Job:
    """A job on `data` that takes a fraction of a second."""
    fields = {
        "data": data.fingerprint(),
        "settings": SMALL,
        "compute": ComputeConfig(),
        "partition": 0,
        "folds": 3,
        "fold": 0,
    }
    return Job.model_validate(fields | changes)


def plan_of(*names: str, sources: int = 1000, folds: int = 5, seeds: int = 3, **changes: object) -> Plan:
    """A plan for candidates of these names, which differ only in their learning rate."""
    profiles = [
        CandidateProfile(
            name=name,
            settings=SMALL.model_copy(update={"learning_rate": 0.01 + index}),
            network="",
            own_epochs=SMALL.epochs,
            compute=ComputeConfig(),
            num_parameters=1000,
            train_throughput=1000.0,
            eval_throughput=5000.0,
        )
        for index, name in enumerate(names)
    ]
    fields = {"data": "x", "sources": sources, "images": None, "profiles": profiles, "folds": folds, "seeds": seeds}
    return Plan.model_validate(fields | {"workers": 1} | changes)


def with_settings(plan: Plan, name: str, **changes: object) -> Plan:
    """The plan with other settings for one candidate."""
    profiles = [
        p.model_copy(update={"settings": p.settings.model_copy(update=changes)}) if p.name == name else p
        for p in plan.profiles
    ]
    return plan.model_copy(update={"profiles": tuple(profiles)})


def made_up_result(plan: Plan, correct: Callable[[str, int], np.ndarray], seed: int = 0) -> Comparison:
    """A comparison whose candidates are correct where `correct(name, seed)` is True, bool [corruptions, sources]."""
    random = np.random.default_rng(seed)
    results = {}
    truths = np.arange(plan.sources) % 10
    for repeat in range(plan.seeds):
        folds = random.permutation(plan.sources) % plan.folds
        for profile in plan.profiles:
            right = correct(profile.name, repeat)
            for fold in range(plan.folds):
                sources = np.flatnonzero(folds == fold)
                predicted = np.where(right[:, sources], truths[sources], (truths[sources] + 1) % 10).astype(np.uint8)
                results[profile.name, repeat, fold] = JobResult(
                    sources, truths[sources], predicted, provenance=NOWHERE, corruptions=plan.corruptions
                )
    return Comparison(plan, CLASSES, results)


def running(results: Callable[[Sequence[Job]], list[JobResult]]) -> RunJobs:
    """Runs jobs at once, by asking for their results."""

    def run(stage: str, jobs: Sequence[Job]) -> Steps:
        yield from ()
        return results(jobs)

    return run


def exhaust(steps: Iterable[Progress]) -> None:
    """Run to the end."""
    for _ in steps:
        pass


def write_settings(folder: Path, **learning_rates: float) -> None:
    """A TOML file of tiny settings for each name and learning rate."""
    for name, rate in learning_rates.items():
        settings = SMALL.model_copy(update={"learning_rate": rate})
        (folder / f"{name}.toml").write_text(as_toml(settings))
