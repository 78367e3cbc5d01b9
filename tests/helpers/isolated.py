"""A command in an empty network namespace, and what it tried to send: python isolated.py WORDS…; prints JSON."""

import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1
SERVED_SECONDS = (
    12.0  # ONNX Runtime 1.32, where it may, looks its collector up after 8 to 10 s, and every 10 s from then on
)


def loopback_up() -> None:
    """Loopback, with a second address: without one that is not 127.0.0.1 some resolvers do not even begin."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        address = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("10.99.0.1"))
        fcntl.ioctl(handle, SIOCSIFADDR, address)


def counters() -> dict[str, int]:
    """Look-ups and connections tried in this namespace: packets without a route, datagrams sent, connections begun."""
    lines = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines()]
    tables = {
        names[0]: dict(zip(names, values, strict=True)) for names, values in zip(lines[::2], lines[1::2], strict=True)
    }
    found = {"OutNoRoutes": "Ip:", "OutDatagrams": "Udp:", "ActiveOpens": "Tcp:"}
    return {name: int(tables[table][name]) for name, table in found.items()}


def main() -> None:
    words, serves = sys.argv[1:], "serve" in sys.argv
    loopback_up()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    own = 0
    if serves:
        assert process.stdout
        address = next(line for line in process.stdout if "http://" in line).split("http://")[1].split()[0].strip("/,;")
        end = time.monotonic() + SERVED_SECONDS
        while time.monotonic() < end:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}/health/live"):
                own += 1
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    tried = counters()
    tried["ActiveOpens"] -= own
    print(json.dumps({"code": process.returncode, "output": output, "tried": tried}))


if __name__ == "__main__":
    main()
