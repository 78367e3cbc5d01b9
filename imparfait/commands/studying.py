"""The stages of the study, one after the other; what is finished is not done again."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from imparfait import runs
from imparfait.cells import Cell, Outcome
from imparfait.commands import show
from imparfait.commands.choosing import Note, alone, cells_bar, run_shown
from imparfait.commands.train import leave_run
from imparfait.datasets.splits import fewer, fold, for_calibration, split
from imparfait.engines import Engine
from imparfait.errors import UserError
from imparfait.selection import searching
from imparfait.selection.findings import Finding
from imparfait.selection.measuring import Entry
from imparfait.selection.plans import Plan
from imparfait.selection.verdicts import Comparison
from imparfait.store import write_whole
from imparfait.study.claims import Study
from imparfait.study.finals import Final, read_final
from imparfait.study.plans import CONFIRMED, METHODS, Stage, StudyPlan, study_plan
from imparfait.study.scales import SPACES, Scale
from imparfait.workers import usable_cores

Place = tuple[str, int, int]


class Sitting:
    """What the stages need, and what came of them."""

    def __init__(self, scale: Scale, engine: Engine, out: Path, as_json: bool):
        dataset = show.loaded("mnist")
        self.scale, self.engine, self.out, self.as_json = scale, engine, out, as_json
        self.pool = dataset.everything()
        self.test = dataset.test if scale.opens_test else None
        if scale.opens_test:
            self.fit, kept = for_calibration(self.pool)
            assert kept
            self.kept = kept
        else:
            self.fit, self.kept = split(fewer(self.pool, scale.final_pictures))
        self.searches: dict[str, Finding] = {}
        self.outcomes: dict[Place, Outcome] = {}
        self.finals: dict[str, Final] = {}

    def planned(self, path: Path) -> StudyPlan:
        """The plan of a study begun earlier, so that it goes on as it was; else a new one."""
        with contextlib.suppress(FileNotFoundError, ValidationError):  # another version's plan is made anew
            self.plan = StudyPlan.model_validate_json(path.read_bytes())
            return self.plan
        click.echo("measuring what each network can do, in turn", err=True)
        self.plan = study_plan(self.scale, self.pool, self.engine.at_once, usable_cores())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.plan.model_dump_json(indent=2).encode())
        return self.plan

    def through(self, stages: Sequence[Stage], last: str | None) -> Study | None:
        """All stages, or up to the `last`; then there is no study yet."""
        plan = self.plan
        steps: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
            *((self._search, (entry,)) for entry in plan.searched),
            *((self._validate, (plan.pair, entry)) for entry in plan.pair.entries),
            *((self._validate, (plan.ablations, entry)) for entry in plan.ablated),
            *((self._train, (entry,)) for entry in plan.finals),
        ]
        for stage, (step, given) in zip(stages, steps, strict=True):
            step(*given)
            if stage.name == last:
                return None
        return Study(
            self.scale,
            self.pool.classes,
            self.searches,
            self._comparison(plan.pair),
            self._comparison(plan.ablations),
            self.finals,
        )

    def _cells(self, title: str, cells: Sequence[Cell], each: float) -> list[Outcome]:
        with alone(self.out, "choosing"), cells_bar(title, each * len(cells)) as note:
            return run_shown(cells, self.pool, self.out, self.engine, note, [each] * len(cells))

    def _search(self, entry: Entry) -> None:
        scale, start, space = self.scale, entry.settings, SPACES[entry.name]
        part = fewer(self.pool, scale.searched_pictures)
        fit, held_out = fold(part, scale.searched_folds, 0, 0)
        each = entry.cell_seconds(len(fit), len(held_out))
        cell_for = searching.cells_on(self.pool, scale.searched_pictures, scale.searched_folds, 1)
        searches = [searching.Search(method, 0, start, space) for method in METHODS]
        places = searching.fresh_places(CONFIRMED, scale.searched_folds)
        total = each * self.plan.cells_of_search(scale)
        with alone(self.out, "choosing"), cells_bar(f"search for {entry.name}", total) as note:
            run = self._running(note, each)
            for _ in searching.run_trials(searches, scale.trials, cell_for, run, lambda: True):
                pass
            searching.choose_winners(searches, scale.searched_folds, cell_for, run)
            searching.confirm(searches, places, cell_for, run)
            own = run([cell_for(start, *place) for place in places])
        self.searches[entry.name] = Finding(entry.name, start, space, searches, tuple(own), len(fit), len(held_out))

    def _running(self, note: Note, each: float) -> searching.RunCells:
        return lambda cells: run_shown(cells, self.pool, self.out, self.engine, note, [each] * len(cells))

    def _validate(self, plan: Plan, entry: Entry) -> None:
        places = [(entry.name, seed, number) for seed in range(plan.seeds) for number in range(plan.folds)]
        cells = [plan.cell(entry, seed, number) for _, seed, number in places]
        outcomes = self._cells(f"cross-validation of {entry.name}", cells, plan.cell_seconds(entry))
        self.outcomes |= dict(zip(places, outcomes, strict=True))

    def _comparison(self, plan: Plan) -> Comparison:
        """The plan's cells among all that were run: the pair's first seed is the ablations' too."""
        places = [(e.name, seed, number) for e, seed, number in plan.places()]
        return Comparison(plan, self.pool.classes, {place: self.outcomes[place] for place in places})

    def _train(self, entry: Entry) -> None:
        recipe, settings = self.scale.finals()[entry.name]
        run, model = runs.start(recipe, settings, self.fit, final=bool(self.test))
        folder = self.out / run.name
        if not folder.exists():
            calibration = self.kept if self.test else None
            scores, remark, _ = leave_run(run, model, self.kept, self.test, self.out, calibration)
            if not self.as_json:
                click.echo(f"{entry.name}:")
                show.result(scores, remark, folder, as_json=False)
        self.finals[entry.name] = read_final(entry.name, folder)


def export_keras(study: Study, path: Path) -> str:
    """The study's CNN as the file the study saved; the sentence on it. Without Keras, what would write it."""
    from imparfait.exporting import export

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = export(study.finals["cnn"].folder, "keras", path)
    except UserError as error:
        return f"model/{path.name} is not written: {error}"
    return f"model/{path.name}: {done.parity}"
