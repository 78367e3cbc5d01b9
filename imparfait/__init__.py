"""Train, compare, evaluate and run image classifiers that are robust to corrupted images."""

import os
from importlib.util import find_spec
from typing import Any

import lazy_loader

from imparfait.core.openmp import choose_waiting, others_running

# Libraries that this package uses send usage statistics unless these are set before their import. Here, because every
# entry point and child process imports this file first. Who wants to send them sets the variable to another value.
NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, from 1.29 on
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # from where timm loads weights
}
for _variable, _value in NO_TELEMETRY.items():
    os.environ.setdefault(_variable, _value)
choose_waiting(os.environ, others_running(), os.cpu_count() or 1)

# The public names are listed in __init__.pyi; each is imported when it is first used, PyTorch with it.
_public, _dir, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("imparfait")
        except PackageNotFoundError:  # a folder of sources that was not installed
            return "unknown"
    try:
        return _public(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from imparfait.core.install import install_hint

        said = f"imparfait.{name} needs PyTorch, which is not installed; {install_hint('train')}"
        raise ModuleNotFoundError(said, name="torch") from error


def __dir__() -> list[str]:
    return list(_dir()) if find_spec("torch") else [name for name in _dir() if _is_installed(name)]


def _is_installed(name: str) -> bool:
    """Whether what a name needs is installed; so that help() shows the others without PyTorch."""
    try:
        __getattr__(name)
    except ModuleNotFoundError:
        return False
    return True
