"""Stages of the study in processes of their own: the final networks, as many at once as there are cores."""

import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from imparfait.core.errors import UserError

POLL_SECONDS = 0.2  # between two looks at the processes
MISTAKE = 2  # the highest exit code of an error; above are those of a process that was stopped

Process = subprocess.Popen[str]


class StageStopped(Exception):  # noqa: N818 - not an error: the user or the system asked for it
    """A stage was stopped, and has saved its training; `code` is the exit code of its process."""

    def __init__(self, sentence: str, code: int):
        super().__init__(sentence)
        self.code = code


def run_in_processes(
    scale: str, out: Path, stages: Mapping[str, float], at_once: int
) -> Generator[tuple[list[str], float]]:
    """Run stages, given with their predicted seconds, the longest first; leaving the loop stops them, which saves.

    Yields every POLL_SECONDS the names of those that are running and the predicted seconds that are done. Raises
    StageStopped when a stage was stopped, and UserError when one failed.
    """
    command = [sys.executable, "-m", "imparfait", "study", "--out", str(out)]
    command += [] if scale == "full" else [f"--{scale}"]
    waiting = sorted(stages, key=lambda name: stages[name])
    running: dict[str, tuple[Process, float]] = {}
    finished = 0.0
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
            under_way = sum(min(time.monotonic() - since, stages[name]) for name, (_, since) in running.items())
            yield list(running), finished + under_way
    except BaseException:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.communicate()
        raise


def _check(name: str, process: Process) -> None:
    _, output = process.communicate()
    if process.returncode:
        lines = output.strip().splitlines() or ["it ended without a message"]
        last = lines[-1].removeprefix("imparfait: ")
        if process.returncode > MISTAKE:
            raise StageStopped(last, process.returncode)
        raise UserError(f"{name}: {last}")
