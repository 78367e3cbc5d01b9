"""The command that serves: what it prints and imports, how it ends, and settings that are mistakes."""

import signal
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from helpers.serve_command import printed_address
from helpers.server import grey, raw_post

from imparfait.cli import serve
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.serving.listener import listen
from imparfait.serving.settings import ServingSettings

STUCK = """
import sys, time
from imparfait.cli.main import main
from imparfait.serving import service
service.read_normalized = lambda *_: time.sleep(60)
sys.argv = ["imparfait", "serve", "--port", "0", "--drain-seconds", "0.2"]
main()
"""


def test_an_image_that_never_decodes_does_not_prevent_the_exit() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(printed_address(process).rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(raw_post(grey(9)))
                time.sleep(0.3)
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
        finally:
            process.kill()


def test_invalid_settings_are_reported_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*arguments: str) -> str:
        result = CliRunner().invoke(commands, ["serve", *arguments])
        assert isinstance(result.exception, UserError), result.output
        return str(result.exception)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1, port {port}: Address already in use" in error("--port", str(port))
    assert error("--port", "70000").startswith("--port was given as '70000'; expected a whole number from 0 to 65,535")
    assert "no.such.host.invalid" in error("--host", "no.such.host.invalid")
    assert error("--name", "*").startswith("--name was given as '*'")
    assert "digits or digits-clean" in error("digitz")
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: None)
    assert install_hint("serve") in error()


def test_the_default_address_is_reachable_from_this_computer_only() -> None:
    with listen(ServingSettings(port=0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
