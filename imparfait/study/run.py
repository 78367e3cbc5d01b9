"""A run of the study: its stages one after the other, each resumable."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from imparfait.core.storage import atomic_write
from imparfait.data.load import Dataset
from imparfait.data.splits import split, split_calibration, subsample
from imparfait.selection.comparison import Comparison
from imparfait.selection.executors import Executor
from imparfait.selection.job_runner import JOBS_FOLDER, JobRunner, Progress, locked
from imparfait.selection.jobs import JobResult
from imparfait.selection.plan import Plan, Slot
from imparfait.selection.search import SearchRun
from imparfait.selection.search_result import SearchResult
from imparfait.selection.trials import Search
from imparfait.study.claims import Study
from imparfait.study.final_trainings import FinalTrainings
from imparfait.study.plan import CONFIRMATION_SEEDS, METHODS, Stage, StudyPlan, mark_of, study_plan
from imparfait.study.scales import SCALES, SPACES

PLAN_SUFFIX = ".study.plan.json"


class StudyRun:
    """The study at one scale, with its jobs and runs in the folder `out`."""

    def __init__(self, scale: str, dataset: Dataset, executor: Executor, out: Path):
        self.scale, self.executor, self.out = SCALES[scale], executor, out
        self.data = dataset.train_and_val()
        test = dataset.test if self.scale.uses_test_set else None
        if test:
            fit, held_out = split_calibration(self.data)
            assert held_out
        else:
            fit, held_out = split(subsample(self.data, self.scale.final_images))
        self.finals = FinalTrainings(self.scale.finals(), fit, held_out, out, test)
        self.plan = self._plan(out / f"{scale}{PLAN_SUFFIX}")
        self.stages = self.plan.stages(self.scale, len(fit))
        self.searches: dict[str, SearchResult] = {}
        self.results: dict[Slot, JobResult] = {}

    def _plan(self, path: Path) -> StudyPlan:
        """The plan of an equal study begun earlier, so that it continues unchanged; else a new one."""
        with contextlib.suppress(FileNotFoundError, ValidationError):  # another version's plan is made anew
            plan = StudyPlan.model_validate_json(path.read_bytes())
            if plan.mark == mark_of(self.scale, self.data):
                return plan
        plan = study_plan(self.scale, self.data, self.executor.workers)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, plan.model_dump_json(indent=2).encode())
        return plan

    def run(self, stage: Stage) -> Iterator[Progress]:
        """Run the jobs of a stage other than a final training; those that are finished take no time."""
        if stage.kind == "search":
            return self._search(stage.network)
        plan = self.plan.pair if stage.kind == "cross-validation" else self.plan.ablations
        return self._validate(plan, stage.network)

    def _search(self, network: str) -> Iterator[Progress]:
        scale = self.scale
        [profile] = [profile for profile in self.plan.searched if profile.name == network]
        run = SearchRun(
            f"search-{network}",
            profile,
            [Search(method, 0, profile.settings, SPACES[network]) for method in METHODS],
            self.data,
            trials=scale.trials,
            images=scale.search_images,
            folds=scale.search_folds,
            confirmation_seeds=CONFIRMATION_SEEDS,
            executor=self.executor,
            store=self.out / JOBS_FOLDER,
        )
        yield from run
        self.searches[network] = run.result

    def _validate(self, plan: Plan, network: str) -> Iterator[Progress]:
        slots = [slot for slot in plan.slots() if slot[0] == network]
        seconds = [plan.job_seconds(network)] * len(slots)
        runner = JobRunner(self.data, self.executor, self.out / JOBS_FOLDER, len(slots), sum(seconds))
        with locked(runner.store):
            results = yield from runner.run("cross-validation", [plan.job(*slot) for slot in slots], seconds)
        self.results |= dict(zip(slots, results, strict=True))

    @property
    def result(self) -> Study:
        """What was measured, once all stages are finished."""
        return Study(
            self.scale,
            self.data.classes,
            self.searches,
            self._comparison(self.plan.pair),
            self._comparison(self.plan.ablations),
            {profile.name: self.finals.result(profile.name) for profile in self.plan.finals},
        )

    def _comparison(self, plan: Plan) -> Comparison:
        """The plan's jobs among all results: the pair's first seed belongs to the ablations too."""
        return Comparison(plan, self.data.classes, {slot: self.results[slot] for slot in plan.slots()})
