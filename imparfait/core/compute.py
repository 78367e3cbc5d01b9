"""Where arithmetic happens: device, threads, precision, and the cores and worker processes there are."""

import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from typing import Literal

from pydantic import BaseModel, PositiveInt


class ComputeConfig(BaseModel, frozen=True, extra="forbid"):
    """Where arithmetic happens; part of what a result depends on, so it is recorded and reused."""

    device: Literal["cpu", "cuda", "mps"] = "cpu"
    threads: PositiveInt = 1
    precision: Literal["float32", "bfloat16"] = "float32"

    def __str__(self) -> str:
        return f"{self.threads} thread{'s' * (self.threads > 1)} ({self.device}, {self.precision})"


def usable_cores() -> int:
    """Cores this process may use, which in a container are often fewer than the computer has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def exit_with_parent() -> None:
    """Begin to work for the process that started this one: Ctrl-C is its affair, and its end, however, is ours too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends its workers
    driver = multiprocessing.parent_process()
    assert driver is not None
    threading.Thread(target=_exit_after, args=(driver,), daemon=True).start()


def _exit_after(driver: multiprocessing.process.BaseProcess) -> None:
    driver.join()
    os._exit(1)  # nobody would take the outcome
