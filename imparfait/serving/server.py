"""The uvicorn server: start-up, time limits and graceful shutdown."""

import asyncio
import contextlib
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from imparfait.core.errors import UserError
from imparfait.serving.app import make_app
from imparfait.serving.connections import Connection, Connections
from imparfait.serving.deadlines import close_idle, enforce_timeouts
from imparfait.serving.listener import start_listening
from imparfait.serving.models import LoadedModel
from imparfait.serving.observation import observed
from imparfait.serving.security import secured
from imparfait.serving.service import Service
from imparfait.serving.settings import ServingSettings, read_token

DRAIN_IDLE_SECONDS = 0.3  # an idle connection is closed after this time during shutdown
DRAIN_ACCEPT_SECONDS = 1.0  # at shutdown, time to accept clients whom the kernel has connected already
DRAIN_TICK_SECONDS = 0.02
TICK_SECONDS = 0.1  # between two looks at the time limits
SPARE_FILES = 64  # open files besides the connections
# Python's default of 5 ms lets the event loop, busy with rejections at ten times the capacity, starve the decoding
# threads: 560 to 640 predictions a second instead of 720 to 1,010.
SWITCH_INTERVAL_SECONDS = 0.0005


class Server(uvicorn.Server):
    """uvicorn's server with time limits for connections and a graceful shutdown."""

    def __init__(self, config: uvicorn.Config, service: Service, connections: Connections):
        super().__init__(config)
        self.service, self.connections = service, connections
        self.on_started: Callable[[], None] = lambda: None
        """Called once the server listens and handles signals."""
        self.load: Callable[[], dict[str, LoadedModel]] | None = None
        """Loads the models again, for SIGHUP."""
        self.supervised = False
        """Whether a supervisor ends the server; a second signal then does not end it at once."""

    def start_reload(self) -> None:
        """Load the model again, as on SIGHUP; what became of it is logged."""
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        failure = await self.load_again()
        self.finish_reload(failure)
        print(f"imparfait: not reloaded: {failure}" if failure else "imparfait: reloaded", file=sys.stderr)

    async def load_again(self) -> str:
        """Load the models again; why they cannot replace the present ones, or an empty string."""
        assert self.load
        return await self.service.load_again(self.load)

    def finish_reload(self, failure: str) -> None:
        """Replace the models if there was no failure, here or in another worker, and log what became of it."""
        if failure:
            self.service.forget_loaded()
        else:
            self.service.replace_models()
        self.service.log.write(event="reload", error=failure or None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down gracefully on the first signal, at once on the second; the exit code of the process stays 0."""
        self.force_exit = self.should_exit and not self.supervised
        self.should_exit = True

    def exit_at_once(self) -> None:
        """Shut down without finishing the requests in progress."""
        self.should_exit = self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._tick()
        self.service.report()
        self.on_started()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)  # first: an error ends no ticking
        enforce_timeouts(self.connections)
        self.service.report()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no new clients, respond to the present ones, and end within the grace period."""
        loop, clients = asyncio.get_running_loop(), self.connections
        self.service.drain()
        self.service.report()
        end = loop.time() + DRAIN_ACCEPT_SECONDS
        while any(map(_has_pending_client, sockets or [])) and loop.time() < end:
            await asyncio.sleep(0)  # uvloop accepts one client in each turn of its loop
        closing = asyncio.create_task(super().shutdown(sockets))  # closes the listeners
        end = loop.time() + self.service.settings.drain_seconds
        while (clients.open or clients.tasks) and loop.time() < end and not self.force_exit:
            close_idle(clients, DRAIN_IDLE_SECONDS)
            await asyncio.sleep(DRAIN_TICK_SECONDS)
        for connection in clients.open:
            connection.transport.abort()
        await closing
        self._timer.cancel()


def _has_pending_client(listener: socket.socket) -> bool:
    """Whether the kernel has connected a client that is not accepted yet."""
    return bool(select.select([listener], [], [], 0)[0])


def make_server(service: Service) -> Server:
    """A server of the API, not yet started."""
    settings = service.settings
    app = observed(
        secured(make_app(service), "" if settings.unix else settings.host, settings.names),
        service.metrics,
        service.log,
        read_token(settings.token_file),
        settings.root_path,
    )
    connections = Connections(app, service.limiter, settings)

    class ServerConnection(Connection):
        """A connection of this server; nothing that uvicorn gives its own ones is needed."""

        def __init__(self, **_: object):
            super().__init__(connections)

    config = uvicorn.Config(
        app,
        http=ServerConnection,
        log_config=None,
        log_level="error",
        access_log=False,
        ws="none",
        lifespan="off",
    )
    return Server(config, service, connections)


def run(server: Server, listener: socket.socket, on_started: Callable[[], None] = lambda: None) -> None:
    """Serve on a socket of `bind` until SIGTERM or Ctrl-C, then finish the requests in progress."""
    server.on_started = on_started
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener))
    server.service.end()


async def _serve(server: Server, listener: socket.socket) -> None:
    if not server.supervised:
        start_listening(listener, server.service.settings)
    self_test = asyncio.create_task(server.service.run_self_test())
    if server.supervised:  # the other workers have connections to lose, and the supervisor says why there is one less
        await self_test
        if server.service.state != "ready":
            raise UserError(server.service.not_ready_reason)
        start_listening(listener, server.service.settings)
    elif server.load and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.start_reload)
    await server.serve([listener])
    self_test.cancel()  # of a model that does not answer; its thread is not waited for either
    with contextlib.suppress(asyncio.CancelledError):
        await self_test


def tune_process(settings: ServingSettings) -> None:
    """Set the thread switch interval and the open-file limit of this process; for the command, not for libraries."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    expected = 2 * settings.connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < expected:
        resource.setrlimit(resource.RLIMIT_NOFILE, (expected if hard < 0 else min(expected, hard), hard))
