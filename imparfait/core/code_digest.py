"""A digest of the code that a result depends on, which tells results of one version from those of another."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@cache
def digest_of(*starts: Path, package: Path = PACKAGE) -> str:
    """sha256 of the modules `starts` and everything they import from the package, directly or not.

    Comments, docstrings and layout do not count.
    """
    digest = hashlib.sha256()
    for _, tree in sorted(import_closure(*starts, package=package).items()):
        digest.update(ast.dump(_without_docstrings(tree)).encode())
    return digest.hexdigest()


@cache
def package_digest(package: Path = PACKAGE) -> str:
    """sha256 of every module of the package, comments included: quick to compute, and other after any change."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def import_closure(*starts: Path, package: Path = PACKAGE) -> dict[Path, ast.Module]:
    """`starts` and all files of the package that they import, directly or inside functions, with their trees."""
    closure, pending = dict[Path, ast.Module](), [*starts]
    while pending:
        path = pending.pop()
        if path in closure:
            continue
        closure[path] = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(closure[path]):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imparfait."):
                for name in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)):
                    pending += _files_of(name, package)
    return closure


def _files_of(module: str, package: Path) -> list[Path]:
    """The files that importing a module executes: its own and the `__init__` of its packages."""
    _, *parts = module.split(".")
    target = package.joinpath(*parts)
    own = [target.with_suffix(".py"), target / "__init__.py"]
    parents = [package.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts))]
    return [path for path in (*own, *parents) if path.is_file()]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    return tree
