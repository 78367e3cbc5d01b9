"""How OpenMP's threads wait for each other: it decides how fast a training is, on an idle and on a busy machine."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

SPINS = "10000"
"""Rounds of GNU's OpenMP, some tens of microseconds: as long as the next piece of work takes to come on a free core."""


def choose_waiting(environment: MutableMapping[str, str], others: float, cores: int) -> None:
    """Set how threads wait in `environment`, by how many `others` run on the machine's cores, unless the user has.

    OpenMP reads it when PyTorch is imported. On free cores threads that sleep at once take about twice as long as
    those that spin for a moment. Where other programs need the cores, threads that spin take theirs and each other's:
    sleeping is two to five times as fast there. Source: results/busy-machine.
    """
    if "OMP_WAIT_POLICY" in environment or "GOMP_SPINCOUNT" in environment:
        return
    if others >= cores / 2:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    else:
        environment["GOMP_SPINCOUNT"] = SPINS


def others_running() -> float:
    """Threads of all programs that run or wait for a core, without this one: the least of three readings.

    Programs that only work for a moment are not counted. Where the system does not tell: its load average, or 0.
    """
    try:
        return min(_running() for _ in range(3)) - 1
    except (OSError, ValueError, IndexError):
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _running() -> int:
    time.sleep(0.001)
    return int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].split("/")[0])
