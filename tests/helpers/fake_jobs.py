"""Small plans, and outcomes made up for them."""

from collections.abc import Callable

import numpy as np

from imparfait.core.compute import ComputeConfig
from imparfait.data.dataset import LabelledImages
from imparfait.selection.comparison import Comparison
from imparfait.selection.jobs import Job, JobResult, Provenance
from imparfait.selection.plan import Plan
from imparfait.selection.profiling import CandidateProfile
from imparfait.training.settings import TrainingSettings

SMALL = TrainingSettings(model_args={"filters": 8, "depth": 1, "frame": 12}, epochs=1, batch_size=16)
NOWHERE = Provenance("code", "torch", "host", "instructions")


def small_job(data: LabelledImages, **changes: object) -> Job:
    """A job on `data` that takes a fraction of a second."""
    told = {
        "data": data.fingerprint(),
        "settings": SMALL,
        "compute": ComputeConfig(),
        "partition": 0,
        "folds": 3,
        "fold": 0,
    }
    return Job.model_validate(told | changes)


def plan_of(*names: str, sources: int = 1000, folds: int = 5, seeds: int = 3, **changes: object) -> Plan:
    """A plan for contenders of these names, which differ in nothing but their step size."""
    entries = [
        CandidateProfile(
            name=name,
            settings=SMALL.model_copy(update={"learning_rate": 0.01 + index}),
            network="",
            own_epochs=SMALL.epochs,
            compute=ComputeConfig(),
            numbers=1000,
            learns=1000.0,
            answers=5000.0,
        )
        for index, name in enumerate(names)
    ]
    told = {"data": "x", "sources": sources, "images": None, "entries": entries, "folds": folds, "seeds": seeds}
    return Plan.model_validate(told | {"at_once": 1} | changes)


def made_up_result(plan: Plan, correct: Callable[[str, int], np.ndarray], seed: int = 0) -> Comparison:
    """A comparison whose contenders read as `right(name, seed)` says, bool [corruptions, sources]."""
    random = np.random.default_rng(seed)
    outcomes = {}
    truths = np.arange(plan.sources) % 10
    for repeat in range(plan.seeds):
        folds = random.permutation(plan.sources) % plan.folds
        for entry in plan.entries:
            hits = correct(entry.name, repeat)
            for fold in range(plan.folds):
                sources = np.flatnonzero(folds == fold)
                said = np.where(hits[:, sources], truths[sources], (truths[sources] + 1) % 10).astype(np.uint8)
                outcomes[entry.name, repeat, fold] = JobResult(
                    sources, truths[sources], said, making=NOWHERE, corruptions=plan.corruptions
                )
    return Comparison(plan, tuple("0123456789"), outcomes)
