"""Processes that work for another one, and the cores there are for them."""

import multiprocessing
import multiprocessing.process
import os
import signal
import threading


def usable_cores() -> int:
    """Cores this process may use, which in a container are often fewer than the computer has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_driver() -> None:
    """Begin to work for the process that started this one: Ctrl-C is its affair, and its end, however, is ours too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends its workers
    driver = multiprocessing.parent_process()
    assert driver is not None
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()


def _end_with(driver: multiprocessing.process.BaseProcess) -> None:
    driver.join()
    os._exit(1)  # nobody would take the outcome
