"""The stages of the study, one after the other; what is finished is not done again."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from pydantic import ValidationError
from torch import nn

from imparfait.cli import console
from imparfait.cli.choosing import Note, alone, jobs_bar, run_shown
from imparfait.cli.learning import GOES_ON
from imparfait.cli.signals import Stopped
from imparfait.cli.train import leave_run
from imparfait.core.compute import usable_cores
from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write
from imparfait.data.splits import fold, split, split_calibration, subsample
from imparfait.selection import search
from imparfait.selection.comparison import Comparison
from imparfait.selection.executors import Executor
from imparfait.selection.jobs import JobResult
from imparfait.selection.plan import Plan
from imparfait.selection.profiling import CandidateProfile
from imparfait.selection.search_result import Finding
from imparfait.study.claims import Study
from imparfait.study.final_runs import read_final
from imparfait.study.plan import CONFIRMED, METHODS, StudyPlan, mark_of, study_plan
from imparfait.study.scales import SPACES, Scale
from imparfait.training import run as runs

Place = tuple[str, int, int]
Step = Callable[[], None]


class StudyRun:
    """What the stages need, and what came of them."""

    def __init__(self, name: str, scale: Scale, executor: Executor, out: Path):
        dataset = console.loaded("mnist")
        self.name, self.scale, self.executor, self.out = name, scale, executor, out
        self.pool = dataset.everything()
        self.test = dataset.test if scale.opens_test else None
        if scale.opens_test:
            self.fit, kept = split_calibration(self.pool)
            assert kept
            self.kept = kept
        else:
            self.fit, self.kept = split(subsample(self.pool, scale.final_pictures))
        self.searches: dict[str, Finding] = {}
        self.outcomes: dict[Place, JobResult] = {}

    def planned(self, path: Path) -> StudyPlan:
        """The plan of a study begun earlier, so that it goes on as it was; else a new one."""
        with contextlib.suppress(FileNotFoundError, ValidationError):  # another version's plan is made anew
            self.plan = StudyPlan.model_validate_json(path.read_bytes())
            if self.plan.mark == mark_of(self.scale, self.pool):
                return self.plan
        click.echo("measuring what each network can do, in turn", err=True)
        self.plan = study_plan(self.scale, self.pool, self.executor.at_once)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, self.plan.model_dump_json(indent=2).encode())
        return self.plan

    def steps(self) -> list[Step]:
        """What each stage of the plan does, in their order."""
        plan = self.plan
        return [
            *(partial(self._search, entry) for entry in plan.searched),
            *(partial(self._validate, plan.pair, entry) for entry in plan.pair.entries),
            *(partial(self._validate, plan.ablations, entry) for entry in plan.ablated),
            *(partial(self._train, entry) for entry in plan.finals),
        ]

    def only(self, stage: str) -> None:
        """One stage."""
        stages = self.plan.stages(self.scale, len(self.fit))
        dict(zip((each.name for each in stages), self.steps(), strict=True))[stage]()

    def through(self) -> Study:
        """All stages, of which those that are finished take no time; final networks are trained side by side."""
        plan = self.plan
        for step in self.steps()[: -len(plan.finals)]:
            step()
        if self.executor.at_once > 1:
            side_by_side(self.name, self.out, self._untrained(), min(self.executor.at_once, usable_cores()))
        for entry in plan.finals:
            self._train(entry)
        return Study(
            self.scale,
            self.pool.classes,
            self.searches,
            self._comparison(plan.pair),
            self._comparison(plan.ablations),
            {entry.name: read_final(entry.name, self.out / self._run(entry)[0].name) for entry in plan.finals},
        )

    def _search(self, entry: CandidateProfile) -> None:
        scale, start, space = self.scale, entry.settings, SPACES[entry.name]
        part = subsample(self.pool, scale.searched_pictures)
        fit, held_out = fold(part, scale.searched_folds, 0, 0)
        each = entry.job_seconds(len(fit), len(held_out))
        job_for = search.jobs_on(self.pool, scale.searched_pictures, scale.searched_folds, 1)
        searches = [search.Search(method, 0, start, space) for method in METHODS]
        places = search.fresh_places(CONFIRMED, scale.searched_folds)
        total = each * self.plan.jobs_of_search(scale)
        with alone(self.out, "choosing"), jobs_bar(f"search for {entry.name}", total) as note:
            run = self._running(note, each)
            for _ in search.run_trials(searches, scale.trials, job_for, run, lambda: True):
                pass
            own = search.conclude(searches, scale.searched_folds, places, job_for, run)
        self.searches[entry.name] = Finding(entry.name, start, space, searches, own, len(fit), len(held_out))

    def _running(self, note: Note, each: float) -> search.RunJobs:
        return lambda jobs: run_shown(jobs, self.pool, self.out, self.executor, note, [each] * len(jobs))

    def _validate(self, plan: Plan, entry: CandidateProfile) -> None:
        places = [(entry.name, seed, number) for seed in range(plan.seeds) for number in range(plan.folds)]
        jobs = [plan.job(entry, seed, number) for _, seed, number in places]
        each = plan.job_seconds(entry)
        with alone(self.out, "choosing"), jobs_bar(f"cross-validation of {entry.name}", each * len(jobs)) as note:
            self.outcomes |= dict(zip(places, self._running(note, each)(jobs), strict=True))

    def _comparison(self, plan: Plan) -> Comparison:
        """The plan's jobs among all that were run: the pair's first seed is the ablations' too."""
        places = [(e.name, seed, number) for e, seed, number in plan.places()]
        return Comparison(plan, self.pool.classes, {place: self.outcomes[place] for place in places})

    def _run(self, entry: CandidateProfile) -> tuple[runs.Run, nn.Module]:
        """A final network as it starts: on one thread, so that several are trained side by side."""
        recipe, settings = self.scale.finals()[entry.name]
        run, model = runs.start(recipe, settings, self.fit, final=bool(self.test))
        return replace(run, compute=run.compute.model_copy(update={"threads": 1})), model

    def _train(self, entry: CandidateProfile) -> None:
        run, model = self._run(entry)
        if not (self.out / run.name).exists():
            leave_run(run, model, self.kept, self.test, self.out, self.kept if self.test else None)

    def _untrained(self) -> dict[str, float]:
        """The stages of final networks that there are none of yet, and the seconds each takes."""
        stages = self.plan.stages(self.scale, len(self.fit))[-len(self.plan.finals) :]
        return {
            stage.name: stage.seconds
            for stage, entry in zip(stages, self.plan.finals, strict=True)
            if not (self.out / self._run(entry)[0].name).exists()
        }


def side_by_side(scale: str, out: Path, stages: dict[str, float], at_once: int) -> None:
    """Do stages in processes of their own, so many at once, the longest first, behind one bar.

    Raises Stopped when one of them was, which has saved what it had, and UserError when one failed.
    """
    words = [sys.executable, "-m", "imparfait", "study", "--out", str(out)]
    words += [] if scale == "full" else [f"--{scale}"]
    waiting = sorted(stages, key=lambda name: stages[name])
    working: dict[str, tuple[subprocess.Popen[str], float]] = {}
    finished = 0.0
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with console.bar("final networks", sum(stages.values())) as (progress, task):
        try:
            while waiting or working:
                while waiting and len(working) < at_once:
                    name = waiting.pop()
                    process = subprocess.Popen(
                        [*words, "--stage", name],
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        text=True,
                        process_group=0,  # a terminal's Ctrl-C comes here only: a second signal would not let it save
                    )
                    working[name] = process, time.monotonic()
                time.sleep(0.2)
                for name, (process, _) in list(working.items()):
                    if process.poll() is not None:
                        del working[name]
                        finished += stages[name]
                        _check(name, process)
                under_way = sum(min(time.monotonic() - since, stages[n]) for n, (_, since) in working.items())
                named = ", ".join(name.removeprefix("final ") for name in working)
                progress.update(task, completed=finished + under_way, description=f"final networks: {named}")
        except BaseException as error:
            for process, _ in working.values():
                process.terminate()
            for process, _ in working.values():
                process.communicate()
            if isinstance(error, KeyboardInterrupt):
                raise Stopped(f"stopped; what was trained is saved, {GOES_ON}", 128 + signal.SIGINT) from error
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def _check(name: str, process: "subprocess.Popen[str]") -> None:
    _, said = process.communicate()
    if process.returncode:
        last = said.strip().splitlines()[-1].removeprefix("imparfait: ") if said.strip() else "it ended without a word"
        raise (Stopped(last, process.returncode) if process.returncode > 2 else UserError(f"{name}: {last}"))


def export_keras(study: Study, path: Path) -> str:
    """The study's CNN as the file the study saved; the sentence on it. Without Keras, what would write it."""
    from imparfait.export import export

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = export(study.finals["cnn"].folder, "keras", path)
    except UserError as error:
        return f"model/{path.name} is not written: {error}"
    return f"model/{path.name}: {done.parity}"
