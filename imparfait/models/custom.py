"""Custom networks from a user's Python file, `my_net.py:build`."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from imparfait.core.errors import UserError


def is_custom(name: str) -> bool:
    """Whether a model name means a function in a Python file."""
    return ".py:" in name


def load_custom(name: str, expected: str = "one (channels, classes)") -> Callable[..., nn.Module]:
    """The function that `file.py:function` names; this runs the file, as `python file.py` would.

    Raises UserError when the file cannot be run or has no such function.
    """
    path, function = parts_of(name)
    spec = importlib.util.spec_from_file_location(f"own_network_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # so that it can import modules from its own folder
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{path}: running it ended in {_in_one_line(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    factory = getattr(module, function, None)
    if not callable(factory):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        has = f"it has {', '.join(functions)}" if functions else "it has no function"
        raise UserError(f"{path}: no function called {function!r} in it, {has}", expected=expected)
    return factory  # type: ignore[no-any-return]


def custom_fingerprint(name: str) -> str:
    """sha256 of the file and of the files it imports from its folder; empty for a built-in network."""
    if not is_custom(name):
        return ""
    digest = hashlib.sha256()
    for file in _with_local_imports(parts_of(name)[0]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def parts_of(name: str) -> tuple[Path, str]:
    """The file's absolute path and the function's name; raises UserError if the file does not exist."""
    file, _, function = name.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise UserError(
            f"{name}: there is no file {file}", expected="my_net.py:build, or a name that imparfait list prints"
        )
    return path, function


def _with_local_imports(path: Path) -> list[Path]:
    """The file, and the files of its folder that it imports, directly or not."""
    files = [path]
    for file in files:  # grows while it is iterated
        for stem in _local_module_paths(file, path.parent):
            for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
                if candidate.is_file() and candidate not in files:
                    files.append(candidate)
    return files


def _local_module_paths(file: Path, folder: Path) -> Iterator[Path]:
    """Paths, without suffix, at which the imported modules would lie if they were in `folder`."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # running the file reports it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names, start = [alias.name for alias in node.names], folder
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)]
            start = file.parents[node.level - 1] if node.level else folder
        else:
            continue
        for name in filter(None, names):
            parts = name.split(".")
            yield from (start.joinpath(*parts[:end]) for end in range(1, len(parts) + 1))


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
