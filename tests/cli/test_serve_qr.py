"""`imparfait serve --qr`: the address for phones, and where there is none."""

import importlib.util
import socket

import pytest
from click.testing import CliRunner

from imparfait.cli.main import commands
from imparfait.serving import invitation
from imparfait.serving.settings import ServingSettings

ADDRESS = "192.168.1.7"


@pytest.fixture
def in_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        invitation, "own_address", lambda family: ADDRESS if family == socket.AF_INET else "2001:db8::7"
    )


@pytest.mark.parametrize(
    ("host", "url", "expected"),
    [
        ("0.0.0.0", "http://0.0.0.0:8000/digits", "http://192.168.1.7:8000/digits"),
        ("::", "http://[::]:8000", "http://[2001:db8::7]:8000"),
        ("10.0.0.5", "http://10.0.0.5:8000", "http://10.0.0.5:8000"),
    ],
)
@pytest.mark.usefixtures("in_a_network")
def test_others_are_given_an_address_that_they_reach(host: str, url: str, expected: str) -> None:
    (line,) = invitation.invitation(ServingSettings(host=host), url, qr=False)
    assert line == f"for others in this network: {expected} (--qr prints it as a QR code)"


def test_on_a_loopback_host_nobody_is_invited_and_a_code_is_refused() -> None:
    assert list(invitation.invitation(ServingSettings(), "http://127.0.0.1:8000", qr=False)) == []
    if importlib.util.find_spec("segno"):
        result = CliRunner().invoke(commands, ["serve", "--qr"])
        assert result.exit_code != 0


def test_without_a_network_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitation, "own_address", lambda family: None)
    (line,) = invitation.invitation(ServingSettings(host="0.0.0.0"), "http://0.0.0.0:8000", qr=True)
    assert "no network address" in line


@pytest.mark.usefixtures("in_a_network")
def test_the_code_is_square_blocks_of_the_address() -> None:
    segno = pytest.importorskip("segno")
    _, code = invitation.invitation(ServingSettings(host="0.0.0.0"), "http://0.0.0.0:8000", qr=True)
    lines = code.splitlines()
    side = segno.make_qr(f"http://{ADDRESS}:8000", error="m").symbol_size(border=2)[0]
    assert {len(line) for line in lines} == {side}
    assert len(lines) == (side + 1) // 2
    assert set(code) <= set("█▀▄ \n")
