"""The address a server listens on: a mistake in it is one sentence about the part that is wrong."""

import socket

import pytest

from imparfait.core.errors import UserError
from imparfait.serving.listener import listen
from imparfait.serving.settings import ServingSettings

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
    with pytest.raises(UserError) as refused:
        listen(ServingSettings(host=host))
    assert host in refused.value.received
    assert refused.value.hint.startswith("write another --host")


def test_a_port_in_use_is_told_to_write_another_port() -> None:
    with listen(ServingSettings(port=0)) as first, pytest.raises(UserError) as refused:
        listen(ServingSettings(port=first.getsockname()[1]))
    assert refused.value.hint == "write another --port, or 0 for a free one"
