"""uvicorn's internals are those that docs/design.md lists, and as the server needs them."""

import inspect
import re
from pathlib import Path

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from imparfait.serving.connections import Connection
from imparfait.serving.server import Server

ROOT = Path(__file__).parents[2]
CHANGED = f"uvicorn {uvicorn.__version__} is another: read its httptools_impl.py, connections.py and docs/design.md"
PARAMETERS = {
    HttpToolsProtocol.__init__: ["self", "config", "server_state", "app_state", "_loop"],
    HttpToolsProtocol.connection_made: ["self", "transport"],
    HttpToolsProtocol.connection_lost: ["self", "exc"],
    HttpToolsProtocol.data_received: ["self", "data"],
    HttpToolsProtocol.eof_received: ["self"],
    HttpToolsProtocol.on_header: ["self", "name", "value"],
    HttpToolsProtocol.on_body: ["self", "body"],
    HttpToolsProtocol.send_400_response: ["self", "msg"],
    HttpToolsProtocol._start_asgi_task: ["self", "cycle", "app"],
    uvicorn.Server.startup: ["self", "sockets"],
    uvicorn.Server.shutdown: ["self", "sockets"],
    uvicorn.Server.on_tick: ["self", "counter"],
    uvicorn.Server.handle_exit: ["self", "sig", "frame"],
}
ATTRIBUTES = {
    HttpToolsProtocol: ("loop", "connections", "transport", "flow", "client", "pipeline", "scope", "headers", "cycle",
                        "expect_100_continue", "parser"),
    RequestResponseCycle: ("scope", "transport", "message_event", "keep_alive", "response_complete"),
    ServerState: ("connections", "tasks"),
    uvicorn.Server: ("server_state", "servers", "should_exit", "force_exit"),
}  # fmt: skip


def listed() -> set[str]:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.split("<!-- uvicorn: begin -->")[1].split("<!-- end -->")[0]
    return set(re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE))


def overridden(ours: type, base: type) -> set[str]:
    known = {name for name in dir(base) if inspect.isfunction(getattr(base, name)) and name != "__init__"}
    return {name for name in vars(ours) if name in known}


def test_the_documentation_lists_the_internals_in_use() -> None:
    source = (ROOT / "imparfait" / "serving" / "connections.py").read_text(encoding="utf-8")
    (imported,) = re.findall(r"^from uvicorn.protocols.http.httptools_impl import (.*)$", source, re.MULTILINE)
    methods = {f"HttpToolsProtocol.{name}" for name in overridden(Connection, HttpToolsProtocol)}
    assert listed() == {*imported.split(", "), "ServerState", *methods}
    assert overridden(Server, uvicorn.Server) == {"startup", "shutdown", "on_tick", "handle_exit"}


@pytest.mark.parametrize("function", PARAMETERS, ids=lambda function: function.__qualname__)
def test_overridden_methods_have_the_parameters_that_the_server_gives(function: object) -> None:
    assert callable(function)
    assert list(inspect.signature(function).parameters) == PARAMETERS[function], CHANGED  # type: ignore[index]


@pytest.mark.parametrize("owner", ATTRIBUTES, ids=lambda owner: owner.__name__)
def test_attributes_that_the_server_uses_are_set(owner: type) -> None:
    assigned = set(re.findall(r"self\.(\w+)(?:: [^=\n]+)? = ", inspect.getsource(owner)))
    assert set(ATTRIBUTES[owner]) <= assigned, CHANGED


def test_status_lines_and_the_order_of_pipelined_requests_are_as_the_server_expects() -> None:
    assert httptools_impl.STATUS_LINE[503] == b"HTTP/1.1 503 Service Unavailable\r\n", CHANGED
    source = inspect.getsource(HttpToolsProtocol)
    assert "self.pipeline.appendleft((self.cycle, app))" in source, CHANGED
    assert "cycle, app = self.pipeline.pop()" in source, CHANGED
