"""The stages of `imparfait study` behind progress bars; final networks are trained in parallel processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from imparfait.cli import console
from imparfait.cli.runs import complete
from imparfait.cli.signals import Stopped
from imparfait.core.compute import usable_cores
from imparfait.core.errors import UserError
from imparfait.study.plan import Stage
from imparfait.study.run import StudyRun

POLL_SECONDS = 0.2  # between two looks at the processes


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
        _run_processes(scale, run.out, {stage.name: stage.seconds for stage in missing}, at_once)
    else:
        for stage in missing:
            run_stage(run, stage)


def _run_processes(scale: str, out: Path, stages: dict[str, float], at_once: int) -> None:
    """Run stages in processes of their own, behind one bar; `stages` are their predicted seconds.

    Raises Stopped when one of them was stopped, which has saved its training, and UserError when one failed.
    """
    command = [sys.executable, "-m", "imparfait", "study", "--out", str(out)]
    command += [] if scale == "full" else [f"--{scale}"]
    waiting = sorted(stages, key=lambda name: stages[name])
    running: dict[str, tuple[subprocess.Popen[str], float]] = {}
    finished = 0.0
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with console.bar("final networks", sum(stages.values())) as (progress, task):
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    name = waiting.pop()
                    process = subprocess.Popen(
                        [*command, "--stage", name],
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        text=True,
                        process_group=0,  # only this process gets the terminal's Ctrl-C: a second one would stop saving
                    )
                    running[name] = process, time.monotonic()
                time.sleep(POLL_SECONDS)
                for name, (process, _) in list(running.items()):
                    if process.poll() is not None:
                        del running[name]
                        finished += stages[name]
                        _check(name, process)
                under_way = sum(min(time.monotonic() - since, stages[n]) for n, (_, since) in running.items())
                names = ", ".join(name.removeprefix("final ") for name in running)
                progress.update(task, completed=finished + under_way, description=f"final networks: {names}")
        except BaseException as error:
            for process, _ in running.values():
                process.terminate()
            for process, _ in running.values():
                process.communicate()
            if isinstance(error, KeyboardInterrupt):
                raise Stopped(f"stopped; all is saved, {console.CONTINUES}", 128 + signal.SIGINT) from error
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def _check(name: str, process: "subprocess.Popen[str]") -> None:
    _, output = process.communicate()
    if process.returncode:
        lines = output.strip().splitlines() or ["it ended without a message"]
        last = lines[-1].removeprefix("imparfait: ")
        raise (Stopped(last, process.returncode) if process.returncode > 2 else UserError(f"{name}: {last}"))
