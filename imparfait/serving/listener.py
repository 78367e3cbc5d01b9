"""The listening socket of a server: TCP or Unix."""

import contextlib
import errno
import socket
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.serving.settings import ServingSettings

BACKLOG = 512  # connections waiting to be accepted


def listen(settings: ServingSettings) -> socket.socket:
    """A listening socket; raises UserError if the address is in use or not of this computer."""
    listener = bind(settings)
    start_listening(listener, settings)
    return listener


def bind(settings: ServingSettings) -> socket.socket:
    """A socket that has the address, and refuses clients until it listens. Raises UserError as `listen` does.

    A Unix socket listens at once: one that does not looks like one that a server has left behind.
    """
    if settings.unix:
        return _listen_unix(settings.unix)
    host, port = settings.host, settings.port
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. Without it the body of a response waits 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        return listener
    except OSError as error:
        if listener:
            listener.close()
        raise _refused(settings, error) from error


def start_listening(listener: socket.socket, settings: ServingSettings) -> None:
    """Let the kernel accept clients on a socket of `bind`; one that listens already goes on.

    Linux binds two servers that start at once to one port. Raises UserError for the second to listen.
    """
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(settings, error) from error


def _refused(settings: ServingSettings, error: OSError) -> UserError:
    said = f"cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}"
    return UserError(said, hint=_hint(error))


def _hint(error: OSError) -> str:
    """What to write instead: the address of another computer, or the name of none, is no matter of the port."""
    if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return "write another --host: a name or address of this computer, or 0.0.0.0 for all of its addresses"
    return "write another --port, or 0 for a free one"


def _listen_unix(path: str) -> socket.socket:
    """A listening Unix socket; one that nobody listens on any more is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            if Path(path).is_socket() and listener.connect_ex(path):
                Path(path).unlink()
        listener.close()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        raise UserError(f"cannot listen on {path}: {error.strerror or error}", hint="write another --unix") from error
