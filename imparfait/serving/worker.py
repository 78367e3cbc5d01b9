"""A worker process of a server: it serves on the socket of its supervisor, and obeys it."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from pydantic import BaseModel

from imparfait.core.errors import UserError
from imparfait.serving.process import serve_model
from imparfait.serving.scoreboard import Scoreboard
from imparfait.serving.server import Server
from imparfait.serving.settings import ServingSettings

MAX_SENTENCE = 2000  # characters of a message to the supervisor


class WorkerStart(BaseModel, frozen=True, extra="forbid"):
    """The first message to a worker."""

    number: int
    """0 for the first worker."""
    model: str
    trust: bool
    settings: ServingSettings


class Control:
    """The connection to the supervisor: lines of JSON in both directions. This process ends with the supervisor."""

    def __init__(self, descriptor: int):
        connection = _inherited(descriptor)
        self._lines: TextIO = connection.makefile("r", encoding="utf-8")
        self._connection = connection
        self._handle: Callable[[dict[str, Any]], object] = lambda message: None
        self.start = WorkerStart.model_validate_json(self._lines.readline())

    def send(self, **message: Any) -> None:
        """Send a message to the supervisor."""
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def obey(self, server: Server) -> None:
        """Handle the messages to this server, which runs in the present event loop."""
        loop = asyncio.get_running_loop()

        async def load() -> None:
            self.send(loaded=(await server.load_again())[:MAX_SENTENCE])

        def handle(message: dict[str, Any]) -> None:
            match message["do"]:
                case "load":
                    self._loading = loop.create_task(load())
                case "finish":
                    server.finish_reload(message["failure"])
                    self.send(finished=True)
                case "exit":
                    server.exit_at_once()

        self._handle = lambda message: loop.call_soon_threadsafe(handle, message)
        self.send(listening=True)

    def watch(self) -> None:
        """Read messages until the supervisor ends, in a thread; this process ends then, as nobody would end it."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._lines:
                self._handle(json.loads(line))
        except OSError:
            pass
        os._exit(1)


def _inherited(descriptor: int) -> socket.socket:
    inherited = socket.socket(fileno=descriptor)
    inherited.set_inheritable(False)  # not by the image workers
    return inherited


def main(control: int, listener: int, memory: int) -> None:
    """Serve with these descriptors until the supervisor says otherwise."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's, who reloads all workers together
    supervisor = Control(control)
    supervisor.watch()
    start = supervisor.start
    os.set_inheritable(memory, False)
    try:
        with _inherited(listener) as socket_:
            board = Scoreboard(start.settings.workers, memory)
            serve_model(start.model, start.trust, start.settings, socket_, supervisor.obey, board, start.number)
    except UserError as error:
        supervisor.send(failed=str(error)[:MAX_SENTENCE])
        sys.exit(2)
