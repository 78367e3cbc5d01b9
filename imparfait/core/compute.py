"""Device, threads and precision of a computation, and the cores, memory and worker processes it has."""

from __future__ import annotations

import contextlib
import ctypes
import math
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, PositiveInt

from imparfait.core.counts import counted

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>


class ComputeConfig(BaseModel, frozen=True, extra="forbid"):
    """Device, threads and precision: part of what a result depends on, so recorded and reused."""

    device: Literal["cpu", "cuda", "mps"] = "cpu"
    threads: PositiveInt = 1
    precision: Literal["float32", "bfloat16"] = "float32"

    def __str__(self) -> str:
        return f"{counted(self.threads, 'thread')} ({self.device}, {self.precision})"


MODEL_VALUES, ARRAY_VALUES = 1 << 21, 1 << 23
"""Numbers in the images that a network takes at once, which its activations multiply, and that arithmetic takes."""


def images_at_once(shape: Sequence[int], most: int, values: int = MODEL_VALUES) -> int:
    """How many images of this `shape` to process at once: `most`, or fewer of large images, for memory."""
    return max(1, min(most, values // math.prod(shape)))


def usable_cores() -> int:
    """Number of cores this process may use; in a container often fewer than the computer has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


NO_FOLDER = f"{os.devnull}/none"  # which cannot exist


def onnx_session(content: bytes, threads: int) -> Any:
    """An ONNX Runtime session on the CPU for the model in `content`; raises onnxruntime's errors for a broken one."""
    import onnxruntime

    if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":  # set by this package; too late where onnxruntime came first
        onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # fatal: a broken file is reported once, by an exception
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not ORT's own, which nothing checks
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    # Else a file could name others, relative to the working directory, whose bytes its outputs would tell.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def tune_malloc() -> None:
    """Make glibc keep freed memory for the next training step instead of returning it to the system; process-wide.

    A step allocates and frees tens of megabytes; fetching them again costs a page fault every 4 KiB.
    Measured on `cnn`, batch 32, 2 cores: 1,167 → 1,422 images/s in float32, 1,872 → 1,951 in bfloat16.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def exit_with_parent() -> None:
    """Worker start-up: ignore SIGINT, which the parent handles, and exit when the parent exits for any reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)  # nobody is left to take the result
