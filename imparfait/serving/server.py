"""A server from its start until what it began is finished."""

import asyncio
import resource
import select
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

from imparfait.core.errors import UserError
from imparfait.serving.app import make_app
from imparfait.serving.connections import Connection
from imparfait.serving.security import guarded
from imparfait.serving.service import Service
from imparfait.serving.settings import ServingSettings

BACKLOG = 512  # connections that wait to be taken
QUIET = 0.3  # seconds without a word after which a connection is ended, when all is to end
# Seconds for which a thread may keep others from running Python. With Python's 0.005 the loop, which at ten times the
# load says no all the time, leaves too little to those who decode: 560 to 640 predictions a second, not 720 to 1,010.
SWITCH = 0.0005
LET_IN = 1.0  # seconds in which those are let in who are connected already, when all is to end
FILES = 64  # open ones, beside the connections


def listening(settings: ServingSettings) -> socket.socket:
    """A socket at the settings' address; raises UserError where it is taken or not of this computer."""
    host, port = settings.host, settings.port
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections take it over. Without it an answer's body waits 40 ms for its head to be acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        if listener:
            listener.close()
        raise UserError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}; write another --port, or 0 for any"
        ) from error


class Server(uvicorn.Server):
    """uvicorn's server, which looks after its connections, and ends without losing what was begun."""

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self.service = service
        self.announce: Callable[[], None] = lambda: None
        """Called when it listens, and a signal ends it as it should."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal asks for an end, the second for one at once; neither is the process's exit code."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self.announce()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        for connection in self._connections():
            connection.check(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nobody more, answer those who are there, and end within the time there is."""
        loop = asyncio.get_running_loop()
        self.service.drain()
        end = loop.time() + LET_IN
        while any(map(_somebody_waits, sockets or [])) and loop.time() < end:
            await asyncio.sleep(0)  # uvloop lets one in between two turns of its loop
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        end = loop.time() + self.service.settings.drain_seconds
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < end and not self.force_exit:
            for connection in self._connections():
                connection.end_if_quiet(loop.time(), QUIET)
                connection.check(loop.time())
            await asyncio.sleep(0.02)
        for connection in self._connections():
            connection.transport.abort()

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]


def _somebody_waits(listener: socket.socket) -> bool:
    """Whether the system has connected somebody who has not been let in yet."""
    return bool(select.select([listener], [], [], 0)[0])


def server_of(service: Service) -> Server:
    """A server of the API, not yet started."""
    settings = service.settings
    config = uvicorn.Config(
        guarded(make_app(service), settings.host, settings.name),
        http=partial(Connection, service.places, settings),  # type: ignore[arg-type]
        log_config=None,
        log_level="error",
        access_log=False,
        ws="none",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
    )
    return Server(config, service)


def run(server: Server, listener: socket.socket, started: Callable[[], None] = lambda: None) -> None:
    """Answer until SIGTERM or Ctrl-C, then finish what was begun."""
    sys.setswitchinterval(SWITCH)
    server.announce = started
    _allow_files(2 * server.service.settings.connections + FILES)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_served(server, listener))
    server.service.end()


async def _served(server: Server, listener: socket.socket) -> None:
    proving = asyncio.create_task(server.service.prove())
    await server.serve([listener])
    await proving


def _allow_files(expected: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < expected:
        resource.setrlimit(resource.RLIMIT_NOFILE, (expected if hard < 0 else min(expected, hard), hard))
