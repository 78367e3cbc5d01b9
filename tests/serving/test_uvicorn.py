"""Of uvicorn only public names are used, and no class of its protocols."""

import ast
import inspect
from pathlib import Path

import pytest
import uvicorn

from imparfait.serving.local_app import LocalServer
from imparfait.serving.server import Server

ROOT = Path(__file__).parents[2]
NAMES = {"uvicorn", "uvicorn.Config", "uvicorn.Server"}
METHODS = {Server: {"startup", "shutdown", "handle_exit"}, LocalServer: {"startup", "handle_exit"}}


def used_names(source: str) -> set[str]:
    """Names of uvicorn that a module imports, or reaches through the package."""
    found = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return {name for name in found if name.split(".")[0] == "uvicorn"}


def test_only_these_names_of_uvicorn_are_used() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "imparfait").rglob("*.py")]
    assert set().union(*map(used_names, sources)) == NAMES


@pytest.mark.parametrize("source", [
    "from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol", "from uvicorn._types import Scope",
    "import uvicorn.server", "import uvicorn\nuvicorn.protocols.utils.is_ssl", "from uvicorn import _compat",
])  # fmt: skip
def test_the_check_sees_other_names(source: str) -> None:
    assert not used_names(source) <= NAMES


@pytest.mark.parametrize("ours", METHODS, ids=lambda ours: ours.__name__)
def test_only_these_methods_of_uvicorns_server_are_overridden_with_its_parameters(ours: type) -> None:
    overridden = {name for name in vars(ours) if hasattr(uvicorn.Server, name) and not name.startswith("__")}
    assert overridden == METHODS[ours]
    for name in overridden:
        own, of_uvicorn = (inspect.signature(getattr(owner, name)) for owner in (ours, uvicorn.Server))
        assert [*own.parameters] == [*of_uvicorn.parameters], f"uvicorn {uvicorn.__version__} is another: {name}"
