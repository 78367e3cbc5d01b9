"""The address a server listens on: a mistake in it is one sentence about the part that is wrong."""

import socket
import sys
from contextlib import nullcontext
from typing import NoReturn

import pytest
from helpers.commands import refused
from helpers.server import shared_workers

from imparfait.core.errors import UserError
from imparfait.serving import listener, process
from imparfait.serving.listener import bind, listen, start_listening
from imparfait.serving.settings import ServingSettings
from imparfait.serving.supervisor import Supervisor

OTHER_COMPUTER = "192.0.2.1"  # RFC 5737 keeps it for documents


@pytest.mark.parametrize("host", ["nope.invalid", OTHER_COMPUTER])
def test_a_host_that_is_not_this_computer_is_told_to_write_another_host(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = socket.getaddrinfo

    def unknown(name: str, *given: object, **options: object) -> object:
        if name != OTHER_COMPUTER:  # no test asks a name server
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found(name, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UserError) as error:
        listen(ServingSettings(host=host))
    assert host in error.value.received
    assert error.value.hint.startswith("write another --host")


def test_a_port_in_use_is_told_to_write_another_port() -> None:
    with listen(ServingSettings(port=0)) as first, pytest.raises(UserError) as error:
        bind(ServingSettings(port=first.getsockname()[1]))
    assert error.value.hint == "write another --port, or 0 for a free one"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse the second bind")
def test_of_two_servers_that_start_at_once_on_a_port_one_is_told_to_write_another() -> None:
    with bind(ServingSettings(port=0)) as first:
        settings = ServingSettings(port=first.getsockname()[1])
        with bind(settings) as second:
            start_listening(first, settings)
            with pytest.raises(UserError) as error:
                start_listening(second, settings)
    assert error.value.received.startswith(f"cannot listen on 127.0.0.1, port {settings.port}: ")
    assert error.value.hint == "write another --port, or 0 for a free one"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_clients_are_refused_until_the_model_is_loaded(workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would wait without a word, perhaps for a model that cannot be loaded."""
    bound: list[socket.socket] = []

    def kept(settings: ServingSettings) -> socket.socket:
        bound.append(bind(settings))
        return bound[-1]

    def load(*_: object) -> NoReturn:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(bound[-1].getsockname())
        start_listening(bound[-1], ServingSettings())
        socket.create_connection(bound[-1].getsockname()).close()
        raise UserError("no such model")

    monkeypatch.setattr(listener, "bind", kept)
    monkeypatch.setattr(process, "models_for", load)
    monkeypatch.setattr(process, "make_workers", lambda settings: nullcontext(shared_workers()))
    monkeypatch.setattr(process, "tune_process", lambda settings: None)
    monkeypatch.setattr(Supervisor, "run", load)  # its workers load the model
    assert refused("serve", "--port", "0", "--workers", workers) == "no such model"
