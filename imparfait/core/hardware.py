"""The fixed rule for device, threads and precision, and a record of the machine at hand."""

import contextlib
import ctypes
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.errors import UserError, lookup

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
MOST_THREADS = 8  # small images do not keep more busy
AVAILABLE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def choose_compute(model: nn.Module, images: Tensor, device: str = "auto") -> ComputeConfig:
    """The machine a run uses: always the same on the same computer.

    Device: the first of cuda, mps, cpu that is there (only cpu is exercised by our tests). Threads: one for each
    core this process may use, at most 8. Precision: bfloat16 on a CPU with bf16 units where `model` answers on
    `images` as it does in float32; float32 everywhere else, since without such units bf16 is the slower one.
    """
    device = choose_device(device)
    threads = min(usable_cores(), MOST_THREADS)
    fast = device == "cpu" and has_bf16_units() and bf16_agrees(model, images)
    return ComputeConfig.model_validate(
        {"device": device, "threads": threads, "precision": "bfloat16" if fast else "float32"}
    )


def choose_device(device: str = "auto") -> str:
    """`device`, or the first of cuda, mps and cpu that is there; raises UserError when it is not there."""
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if AVAILABLE[name]())
    if not lookup("device", device, AVAILABLE)():
        raise UserError(f"device {device!r} is not available to PyTorch {torch.__version__} here; write --device auto")
    return device


def has_bf16_units() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (Linux tells; elsewhere the answer is no)."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def bf16_agrees(model: nn.Module, images: Tensor) -> bool:
    """Whether `model`'s logits and gradients in bfloat16 are those of float32 up to rounding.

    Some builds got bf16 convolutions of some shapes wrong (pytorch#163347), so it is measured, not assumed: the
    relative error of a sound one is under 2 %, of a wrong one near 100 %. Measured in evaluation mode: in training
    mode batch normalisation makes of the same rounding up to half of a gradient (`cnn`), and dropout differs.
    """
    was_training = model.training
    model.eval()

    def answers(enabled: bool) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(images).float()
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(logits.square().mean(), weights, allow_unused=True)
        return [logits.detach(), torch.cat([g.flatten() for g in gradients if g is not None])]

    exact, rounded = answers(False), answers(True)
    model.train(was_training)
    return all(bool((a - b).norm() <= 0.1 * a.norm()) for a, b in zip(exact, rounded, strict=True))


def tune_malloc() -> None:
    """Have glibc keep the memory of freed activations for the next step instead of returning it to the system.

    A step takes and frees tens of megabytes; getting them anew from the system costs a page fault every 4 KiB.
    Measured on `cnn`, batch 32, 2 cores: 1,167 → 1,422 images/s in float32, 1,872 → 1,951 in bfloat16.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library: it has its own ways
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def environment(compute: ComputeConfig) -> dict[str, str | int]:
    """Versions, processor and commit: what someone needs to repeat a run."""
    packages = ("imparfait", "torch", "numpy", "optuna", "scikit-learn", "scipy", "matplotlib")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        **compute.model_dump(),
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return f"{told.get('model name', platform.machine())}, family {told.get('cpu family')}, model {told.get('model')}"


def _commit() -> str:
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return commit.stdout.strip() or "unknown"
