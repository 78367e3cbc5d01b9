"""The server's address for other computers and phones, in words and as a QR code."""

import io
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from imparfait.core.errors import UserError
from imparfait.serving.security import is_loopback
from imparfait.serving.settings import ServingSettings

ANYWHERE = ("0.0.0.0", "::")
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # of documentation: nothing is sent there


def check_reachable(settings: ServingSettings) -> None:
    """Raises UserError where phones cannot reach the server's address."""
    if settings.unix or is_loopback(settings.host):
        came = f"--unix {settings.unix}" if settings.unix else f"--host {settings.host}"
        raise UserError(
            f"--qr with {came}, which phones cannot reach", hint="write: imparfait serve --host 0.0.0.0 --qr"
        )


def invitation(settings: ServingSettings, url: str, qr: bool) -> Iterator[str]:
    """Lines for the terminal: where other computers find the page, with `qr` as a QR code; none on a loopback host."""
    if settings.unix or is_loopback(settings.host):
        return
    address = url_for_others(url)
    if address is None:
        yield "this computer has no network address: phones cannot reach it"
        return
    yield f"for others in this network: {address}" + ("" if qr else " (--qr prints it as a QR code)")
    if qr:
        import segno

        text = io.StringIO()
        segno.make_qr(address, error="m").terminal(text, border=2, compact=True)
        yield text.getvalue().rstrip("\n")


def url_for_others(url: str) -> str | None:
    """The URL with this computer's address in its network for 0.0.0.0 and [::]; None where it has none."""
    host = urlsplit(url).hostname or ""
    if host not in ANYWHERE:
        return url
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    written = f"[{host}]" if ":" in host else host
    own = own_address(family)
    return own and url.replace(written, f"[{own}]" if ":" in own else own, 1)


def own_address(family: socket.AddressFamily) -> str | None:
    """The address from which this computer reaches others; None without a network. Sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ELSEWHERE[family], 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
