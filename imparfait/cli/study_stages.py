"""The stages of `imparfait study` behind progress bars; final networks are trained in parallel processes."""

import signal
from contextlib import closing

from imparfait.cli import console
from imparfait.cli.runs import complete
from imparfait.cli.signals import Stopped
from imparfait.core.compute import usable_cores
from imparfait.study.plan import Stage
from imparfait.study.processes import StageStopped, run_in_processes
from imparfait.study.run import StudyRun


def run_stage(run: StudyRun, stage: Stage) -> None:
    """Run a stage; what is finished takes no time. Raises Stopped on Ctrl-C and SIGTERM, with everything saved."""
    if stage.kind != "final":
        console.run_jobs(run.run(stage), stage.name)
    elif not run.is_trained(stage.network):
        complete(*run.final_run(stage.network), run.test, run.out)


def train_in_parallel(run: StudyRun, scale: str) -> None:
    """Train the final networks that are missing, as many at once as the executor has workers, the longest first."""
    missing = [stage for stage in run.stages if stage.kind == "final" and not run.is_trained(stage.network)]
    at_once = min(run.executor.workers, usable_cores())
    if at_once > 1:
        _run_processes(run, scale, {stage.name: stage.seconds for stage in missing}, at_once)
    else:
        for stage in missing:
            run_stage(run, stage)


def _run_processes(run: StudyRun, scale: str, stages: dict[str, float], at_once: int) -> None:
    """Run stages, with their predicted seconds, behind one bar. Raises Stopped when stopped, with everything saved."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            console.bar("final networks", sum(stages.values())) as (progress, task),
            closing(run_in_processes(scale, run.out, stages, at_once)) as steps,
        ):
            for running, seconds in steps:
                names = ", ".join(name.removeprefix("final ") for name in running)
                progress.update(task, completed=seconds, description=f"final networks: {names}")
    except StageStopped as error:
        raise Stopped(str(error), error.code) from error
    except KeyboardInterrupt as error:
        raise Stopped(f"stopped; all is saved, {console.CONTINUES}", 128 + signal.SIGINT) from error
    finally:
        signal.signal(signal.SIGTERM, before)
