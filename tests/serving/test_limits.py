"""Slow, huge, many and rude clients are cut off; others hardly notice, and nobody is lost when it ends."""

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.server import Here, Said, brightness, everything, grey, made_up_result, post, serving

from imparfait.cli import serve
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.serving.connections import MOST_HEAD
from imparfait.serving.server import listening
from imparfait.serving.settings import ServingSettings

HURRIED = {"receive_seconds": 0.3, "connections": 8}


class Held:
    """A model that answers when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        assert self.go.wait(20)
        return brightness(pixels)


@contextmanager
def held(images: int, **settings: object) -> Iterator[tuple[Here, Held, list[Future[Said]]]]:
    """A server in which so many images wait for their answer."""
    model = Held()
    with serving(made_up_result(model), **settings) as here, ThreadPoolExecutor(images + 4) as pool:
        model.go.clear()
        waiting = [pool.submit(here.predict, grey(100 + number)) for number in range(images)]
        here.wait_until(lambda: here.server.service.places.inside == images)
        try:
            yield here, model, waiting
        finally:
            model.go.set()


@pytest.fixture(scope="module")
def hurried() -> Iterator[Here]:
    with serving(**HURRIED) as here:
        yield here


@pytest.fixture(autouse=True)
def nobody_is_left(hurried: Here) -> Iterator[None]:
    """After each test the server answers, and has nothing left of it."""
    yield
    assert hurried.predict(grey(200)).status == 200
    places = hurried.server.service.places
    hurried.wait_until(lambda: places.inside == places.bytes == 0 and not places.of_address)


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/pre",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        post(grey(9))[:-20],
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_who_sends_too_slowly_is_told_so_and_cut_off(hurried: Here, sent: bytes) -> None:
    with hurried.connect() as connection:
        connection.sendall(sent)
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_who_sends_a_byte_now_and_then_gains_no_time(hurried: Here) -> None:
    with hurried.connect() as connection:
        start = time.monotonic()
        connection.setblocking(False)
        said = b""
        for byte in post(grey(9)):
            connection.send(bytes([byte]))
            time.sleep(0.02)
            try:
                said += connection.recv(1000)
            except BlockingIOError:
                continue
            break
        assert said.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # the start of TLS
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/predict HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MOST_HEAD + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 2 * MOST_HEAD, 431),
        (post(b"", "/v1/predict", "Content-Length: 4000000000")[:-2], 400),
    ],
)
def test_what_is_no_request_is_refused_and_cut_off(hurried: Here, sent: bytes, status: int) -> None:
    with hurried.connect() as connection:
        connection.sendall(sent)
        assert everything(connection).startswith(b"HTTP/1.1 %d " % status)


def test_a_lie_about_the_length_is_refused_before_it_is_sent(hurried: Here) -> None:
    with hurried.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_requests_sent_ahead_are_answered_in_turn(hurried: Here) -> None:
    with hurried.connect() as connection:
        connection.sendall(post(grey(9)) + post(b"no image") + post(grey(9)) + b"nonsense\r\n\r\n")
        said = everything(connection)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"422", b"200"]


def test_a_connection_more_than_there_may_be_is_told_so(hurried: Here) -> None:
    hurried.wait_until(lambda: not hurried.server.server_state.connections)
    quiet = [hurried.connect() for _ in range(8)]
    hurried.wait_until(lambda: len(hurried.server.server_state.connections) == 8)
    assert hurried.predict(grey(9)).problem == (503, "busy")
    for each in quiet:
        each.close()
    hurried.wait_until(lambda: not hurried.server.server_state.connections)


def test_who_says_nothing_is_cut_off(hurried: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imparfait.serving.connections.QUIET", 0.1)
    with hurried.connect() as connection:
        assert everything(connection) == b""


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 16)


def test_who_takes_no_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imparfait.serving.connections.LINGER", 0.1)
    with serving(receive_seconds=0.1, answer_seconds=0.1) as here, here.connect() as connection:
        connection.settimeout(5)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            flood(connection)


def test_who_still_sends_what_is_refused_can_read_why(hurried: Here) -> None:
    with hurried.connect() as connection:
        connection.sendall(post(bytes(30_000_000), "/v1/predict", "Connection: close"))
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in said


def test_what_comes_after_the_last_word_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with serving(**HURRIED) as here, here.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        assert b" 408 " in connection.recv(1 << 16)  # too slow
        connection.sendall(b"x: " + b"y" * (2 * MOST_HEAD))
        assert everything(connection) == b""
    assert not caplog.records  # by its end the server has told what went wrong


def test_who_ends_its_half_after_a_request_is_answered(hurried: Here) -> None:
    for sent, status in ((post(grey(9)), b"200"), (post(grey(9))[:-5], b"400"), (b"GET / HT", b"400")):
        with hurried.connect() as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert everything(connection)[9:12] == status


def test_with_every_place_taken_the_next_is_told_at_once_and_none_before_it_is_lost() -> None:
    with held(3, waiting=3) as (here, model, waiting):
        start = time.monotonic()
        said = here.predict(grey(9))
        assert time.monotonic() - start < 1
        assert said.problem == (503, "busy")
        assert said.headers["retry-after"] == "1"
        assert here.ask("GET", "/health/ready").status == 200
        with here.connect() as connection:  # whoever keeps the connection is answered when there is a place again
            connection.sendall(post(grey(9)))
            assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")
            model.go.set()
            here.wait_until(lambda: not here.server.service.places.inside)
            connection.sendall(post(grey(9)))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert {each.result().status for each in waiting} == {200}


def test_one_address_may_not_take_every_place() -> None:
    with held(2, each_client=2) as (here, _, _):
        assert here.predict(grey(9)).problem == (429, "too_many")


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    model = Held()
    with serving(made_up_result(model), answer_seconds=0.1) as here:
        model.go.clear()
        assert here.predict(grey(9)).problem == (503, "no_answer")
        model.go.set()
        here.wait_until(lambda: here.predict(grey(9)).status == 200)


def test_bodies_that_together_are_too_large_are_refused() -> None:
    with serving(megabytes=1) as here:
        half = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + bytes(900_000)
        senders = [here.connect() for _ in range(9)]
        for each in senders:
            each.sendall(half)
        senders[-1].settimeout(5)
        assert senders[-1].recv(100).startswith(b"HTTP/1.1 503 ")
        for each in senders:
            each.close()
        here.wait_until(lambda: not here.server.service.places.bytes)


def test_when_it_is_to_end_all_that_came_is_answered() -> None:
    with held(5) as (here, model, waiting):
        with here.connect() as kept, here.connect() as sending, here.connect() as quiet:
            sending.sendall(post(grey(9))[:-9])
            here.wait_until(lambda: len(here.server.server_state.connections) == 8)
            here.server.handle_exit(signal.SIGTERM, None)
            here.wait_until(lambda: here.server.service.state == "draining")
            kept.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = everything(kept)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b'"draining"' in said
            sending.sendall(post(grey(9))[-9:])
            here.wait_until(lambda: here.server.service.places.inside == 6)
            model.go.set()
            assert everything(sending).startswith(b"HTTP/1.1 200 ")
            assert everything(quiet) == b""
        assert {each.result().status for each in waiting} == {200}
        with pytest.raises(OSError):
            here.connect()


def test_it_ends_in_time_whatever_is_not_done() -> None:
    with held(1, drain_seconds=0.3) as (here, _, waiting):
        start = time.monotonic()
        here.server.handle_exit(signal.SIGTERM, None)
        with pytest.raises((ConnectionError, OSError)):
            waiting[0].result()
        assert time.monotonic() - start < 3


def mapped(process: int, what: str) -> bool:
    return what in Path(f"/proc/{process}/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is loaded")
def test_the_command_says_where_it_is_needs_no_torch_and_exits_with_0() -> None:
    words = [sys.executable, "-m", "imparfait", "serve", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().split()[3]

            def ask(path: str, image: bytes | None = None) -> int:
                headers = {"Content-Type": "image/png"}
                request = urllib.request.Request(url + path, image, headers)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return int(answer.status)

            assert ask("/health/live") == ask("/v1/predict?beside=1", grey(200, 28)) == ask("/v1/model") == 200
            assert not mapped(process.pid, "libtorch")
            assert ask("/v1/break", grey(200, 28)) == 200
            assert mapped(process.pid, "libtorch")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stderr
            assert process.stderr.read() == ""
        finally:
            process.kill()


STUCK = """
import sys, time
from imparfait.cli.main import main
from imparfait.serving import service
service.decode = lambda *_: time.sleep(60)
sys.argv = ["imparfait", "serve", "--port", "0", "--drain-seconds", "0.2"]
main()
"""


def test_a_picture_that_takes_for_ever_does_not_keep_it_from_ending() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().split()[3].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(post(grey(9)))
                time.sleep(0.3)
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
        finally:
            process.kill()


def test_what_cannot_be_is_said_before_it_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def told(*words: str) -> str:
        result = CliRunner().invoke(commands, ["serve", *words])
        assert isinstance(result.exception, UserError), result.output
        return str(result.exception)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert told("--port", str(port)).startswith(f"cannot listen at 127.0.0.1, port {port}: Address already in use")
    assert told("--port", "70000").startswith("--port was given as '70000'; input should be less than")
    assert told("--host", "no.such.host.invalid").startswith("cannot listen at no.such.host.invalid")
    assert told("digitz").startswith("digitz: no such model; expected one of digits, digits-clean")
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: None)
    assert told() == "serve needs fastapi, which is not installed; write: pip install 'imparfait[serve]'"


def test_it_listens_on_this_computer_only_where_nothing_else_is_said() -> None:
    with listening(ServingSettings(port=0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
