"""Train, compare, evaluate and run image classifiers that are robust to corrupted images."""

from importlib.util import find_spec

import lazy_loader

__version__ = "0.1.0"

# The public names are listed in __init__.pyi; each is imported when it is first used, PyTorch with it.
__getattr__, _dir, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return list(_dir()) if find_spec("torch") else [name for name in _dir() if _is_installed(name)]


def _is_installed(name: str) -> bool:
    """Whether what a name needs is installed; so that help() shows the others without PyTorch."""
    try:
        __getattr__(name)
    except ModuleNotFoundError:
        return False
    return True
