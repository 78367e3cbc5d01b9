"""The hardware at hand: which device, threads and precision to use, and a record of versions and processor."""

import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.errors import UserError, lookup

MAX_THREADS = 8  # small images do not keep more cores busy
# With other values equal settings gave other weights: they change the order of sums, or the instructions used.
ARITHMETIC_VARIABLES = (
    *("OMP_THREAD_LIMIT", "OMP_DYNAMIC", "MKL_DYNAMIC", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"),
)
IS_AVAILABLE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def choose_compute(model: nn.Module, images: Tensor, device: str = "auto", threads: int | None = None) -> ComputeConfig:
    """The device, threads and precision of a run: always the same on the same computer.

    Device: the first available of cuda, mps and cpu (only cpu is tested). Threads: one per usable core,
    at most 8, unless `threads` says otherwise.
    Precision: bfloat16 on a CPU with bf16 units if `model` gives the same logits on `images` as in float32, up to
    rounding; float32 otherwise, because bf16 is slower on a CPU without such units.
    """
    device = choose_device(device)
    fast = device == "cpu" and has_bf16_units() and bf16_agrees(model, images)
    return ComputeConfig.model_validate(
        {
            "device": device,
            "threads": threads or min(usable_cores(), MAX_THREADS),
            "precision": "bfloat16" if fast else "float32",
        }
    )


def choose_device(device: str = "auto") -> str:
    """`device`, or for "auto" the first available of cuda, mps and cpu; raises UserError if it is not available."""
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if IS_AVAILABLE[name]())
    if not lookup("device", device, IS_AVAILABLE)():
        raise UserError(f"PyTorch {torch.__version__} has no device {device!r} here", hint="write --device auto")
    return device


def has_bf16_units() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; known on Linux only, False elsewhere."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def bf16_agrees(model: nn.Module, images: Tensor) -> bool:
    """Whether `model`'s logits and gradients in bfloat16 equal those in float32 up to rounding.

    Some builds compute bf16 convolutions of some shapes wrongly (pytorch#163347), so this is measured: the relative
    error of a correct build is under 2 %, of a wrong one near 100 %. Measured in evaluation mode: in training mode
    batch normalisation amplifies rounding up to half of a gradient (`cnn`), and dropout differs.
    """
    was_training = model.training
    model.eval()

    def logits_and_gradients(enabled: bool) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(images).float()
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(logits.square().mean(), weights, allow_unused=True)
        return [logits.detach(), torch.cat([g.flatten() for g in gradients if g is not None])]

    exact, rounded = logits_and_gradients(False), logits_and_gradients(True)
    model.train(was_training)
    return all(bool((a - b).norm() <= 0.1 * a.norm()) for a, b in zip(exact, rounded, strict=True))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """PyTorch computes on `count` threads for the block, then on as many as before; process-wide."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def arithmetic_variables() -> dict[str, str]:
    """The environment variables that change arithmetic, as they are set here."""
    return {name: os.environ[name] for name in ARITHMETIC_VARIABLES if name in os.environ}


def environment(compute: ComputeConfig) -> dict[str, str | int]:
    """Versions, processor, compute configuration, variables that change arithmetic, and commit: to repeat a run."""
    packages = ("imparfait", "torch", "numpy", "optuna", "scikit-learn", "scipy", "matplotlib")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        **compute.model_dump(),
        **arithmetic_variables(),
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name", platform.machine())
    return f"{name}, family {fields.get('cpu family')}, model {fields.get('model')}"


def _commit() -> str:
    """The commit of a checkout of imparfait, with "-dirty" where files of it were changed since."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed: a repository around it would be another's
        return "unknown"
    commit = _git(root, "rev-parse", "HEAD")
    # Not `git describe --dirty`, which writes the index, and makes a `git commit` at the same time fail.
    changed = _git(root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return "unknown" if commit is None or changed is None else commit + "-dirty" * bool(changed)


def _git(root: Path, *words: str) -> str | None:
    """What git prints, None where it fails."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
