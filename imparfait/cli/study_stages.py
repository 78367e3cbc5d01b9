"""The stages of `imparfait study` behind progress bars; final networks are trained in parallel processes."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from imparfait.cli import console
from imparfait.cli.runs import complete
from imparfait.cli.signals import Stopped, stopped_at_once
from imparfait.core.compute import usable_cores
from imparfait.study.final_trainings import FinalTrainings
from imparfait.study.plan import Stage
from imparfait.study.processes import StageStopped, run_in_processes


def train(finals: FinalTrainings, name: str) -> None:
    """Train a final network; a finished one takes no time. Raises Stopped on Ctrl-C and SIGTERM, with all saved."""
    if not finals.is_trained(name):
        complete(*finals.run(name), finals.test, finals.out)


def train_in_parallel(finals: FinalTrainings, stages: Sequence[Stage], scale: str, workers: int) -> None:
    """Train the final networks of `stages` that are missing, as many at once as `workers`, the longest first."""
    missing = [stage for stage in stages if not finals.is_trained(stage.network)]
    at_once = min(workers, usable_cores())
    if at_once > 1:
        _run_processes(finals.out, scale, {stage.name: stage.seconds for stage in missing}, at_once)
    else:
        for stage in missing:
            train(finals, stage.network)


def _run_processes(out: Path, scale: str, stages: dict[str, float], at_once: int) -> None:
    """Run stages, with their predicted seconds, behind one bar. Raises Stopped when stopped, with everything saved."""
    try:
        with (
            stopped_at_once(lambda: f"stopped; all is saved, {console.CONTINUES}"),
            console.bar("final networks", sum(stages.values())) as (progress, task),
            closing(run_in_processes(scale, out, stages, at_once)) as steps,
        ):
            for running, seconds in steps:
                names = ", ".join(name.removeprefix("final ") for name in running)
                progress.update(task, completed=seconds, description=f"final networks: {names}")
    except StageStopped as error:
        raise Stopped(str(error), error.code) from error
