"""A server with several workers is one service: its counts, its model, its signals and its end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.exported import onnx_of, raising
from helpers.serve_command import Served, arguments, children, served
from helpers.server import grey, raw_post

from imparfait.serving.settings import MIN_TOKEN

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to list processes")
WORKERS = 2
POSTS = 'imparfait_requests_total{method="POST",route="/v1/predict",status="200"}'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_of([1.0, 0.0, 0.0], tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "access.jsonl"


@pytest.fixture(scope="module")
def server(model: Path, log: Path) -> Iterator[Served]:
    with served(str(model), "--trust", "--workers", str(WORKERS), "--log", str(log)) as running:
        yield running


def predicted(server: Served) -> str:
    response = server.request("POST", "/v1/predict", grey(200), Content_Type="image/png")
    assert response.status == 200
    return str(response.json["pages"][0]["predictions"][0]["label"])


def metrics(server: Served) -> dict[str, float]:
    lines = server.request("GET", "/metrics").body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_each_worker_reports_the_counts_of_all_and_takes_the_clients_of_a_stopped_one(
    server: Served, log: Path
) -> None:
    workers = server.workers()
    assert len(workers) == WORKERS
    before = metrics(server).get(POSTS, 0)
    for count, stopped in enumerate(workers, 1):
        os.kill(stopped, signal.SIGSTOP)
        try:
            for _ in range(5):
                assert predicted(server) == "dark"
            assert metrics(server)[POSTS] == before + 5 * count
            assert metrics(server)["imparfait_workers"] == WORKERS
        finally:
            os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: log.read_text().count('"POST"') == before + 5 * WORKERS)
    assert all(json.loads(line)["status"] == 200 for line in log.read_text().splitlines())


def test_a_worker_that_is_killed_is_started_again_and_counts_on(server: Served) -> None:
    predicted(server)
    before, workers = metrics(server), server.workers()
    os.kill(workers[0], signal.SIGKILL)
    assert re.fullmatch("imparfait: worker [12] ended by signal SIGKILL; it is started again\n", server.said())
    assert predicted(server) == "dark"  # by the other
    assert server.request("GET", "/health/ready").status == 200
    wait_until(lambda: metrics(server)["imparfait_workers"] == WORKERS)
    after = metrics(server)
    assert after[POSTS] == before[POSTS] + 1
    assert after["imparfait_worker_restarts_total"] == before["imparfait_worker_restarts_total"] + 1
    assert workers[0] not in server.workers()


def test_sighup_replaces_the_model_of_all_workers_or_of_none(server: Served, model: Path) -> None:
    def label_of_each_worker() -> set[str]:
        labels = set()
        for stopped in server.workers():
            os.kill(stopped, signal.SIGSTOP)
            labels.add(predicted(server))
            os.kill(stopped, signal.SIGCONT)
        return labels

    onnx_of([0.0, 1.0, 0.0], model)
    server.process.send_signal(signal.SIGHUP)
    assert server.said() == "imparfait: reloaded by workers 1, 2\n"
    assert label_of_each_worker() == {"bright"}
    onnx_of([np.nan, 1.0, 0.0], model)
    server.process.send_signal(signal.SIGHUP)
    said = server.said()
    assert said.startswith("imparfait: not reloaded: workers 1, 2: ")
    assert "its outputs are no probabilities" in said
    assert label_of_each_worker() == {"bright"}
    raising(model)
    server.process.send_signal(signal.SIGHUP)
    said = server.said()
    while not said.startswith("imparfait: "):  # the tracebacks of both
        said = server.said()
    assert re.match(r"imparfait: not reloaded: workers 1, 2: .* raised \w+; see the server's log\n", said)
    assert label_of_each_worker() == {"bright"}
    onnx_of([np.nan, 1.0, 0.0], model)
    os.kill(server.workers()[0], signal.SIGKILL)
    assert " ended by signal SIGKILL" in server.said()
    assert re.match("imparfait: worker [12] cannot start again: .* its outputs are no probabilities", server.said())
    assert predicted(server) == "bright"
    assert server.request("GET", "/health/ready").status == 200
    onnx_of([1.0, 0.0, 0.0], model)
    server.process.send_signal(signal.SIGHUP)
    assert re.fullmatch("imparfait: reloaded by worker [12]\n", server.said())
    wait_until(lambda: metrics(server)["imparfait_workers"] == WORKERS)
    assert label_of_each_worker() == {"dark"}


def test_a_request_that_is_sent_before_sigterm_is_answered(model: Path) -> None:
    with served(str(model), "--trust", "--workers", "2") as server:
        workers, requests = server.workers(), raw_post(grey(9))
        stopping = threading.Event()
        outcomes: list[str] = []

        def client() -> None:
            while True:
                before = stopping.is_set()
                try:
                    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                        connection.sendall(requests)
                        before = before or stopping.is_set()
                        received = connection.recv(1 << 16)
                except ConnectionError:
                    received = b""
                outcomes.append("answered" if received.startswith(b"HTTP/1.1 ") else "late" if before else "lost")
                if outcomes[-1] != "answered":
                    return

        clients = [threading.Thread(target=client) for _ in range(8)]
        for each in clients:
            each.start()
        time.sleep(1)
        stopping.set()
        for process in (server.process.pid, *workers):  # as systemd does
            os.kill(process, signal.SIGTERM)
        assert server.process.wait(20) == 0
        for each in clients:
            each.join(20)
        assert outcomes.count("answered") > 50
        assert "lost" not in outcomes
        assert not any(map(is_running, workers))


def test_workers_end_with_a_killed_supervisor_and_a_socket_and_a_token_work(model: Path, tmp_path: Path) -> None:
    token, path = "t0" * MIN_TOKEN, tmp_path / "socket"
    (tmp_path / "token").write_text(token)

    def status(**headers: str) -> int:
        connection = http.client.HTTPConnection("anything.example")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("GET", "/v1/model", headers=headers)
        answered = connection.getresponse().status
        connection.close()
        return answered

    flags = ("--trust", "--workers", "2", "--unix", str(path), "--token-file", str(tmp_path / "token"))
    with subprocess.Popen(arguments(str(model), *flags), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert str(path) in process.stdout.readline()
            assert {status() for _ in range(6)} == {401}
            assert {status(Authorization=f"Bearer {token}") for _ in range(6)} == {200}
            workers = children(process.pid)
            images = [child for each in workers for child in children(each)]
            assert len(workers) == len(images) == WORKERS
        finally:
            process.kill()
    wait_until(lambda: not any(map(is_running, workers + images)))


BROKEN = {
    "no model": ("none.onnx", "none.onnx: cannot be read"),
    "no probabilities": ("nan.onnx", "nan.onnx: its outputs are no probabilities"),
}


@pytest.mark.parametrize(("name", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_model_that_cannot_be_served_ends_the_server_with_one_sentence(
    name: str, sentence: str, tmp_path: Path
) -> None:
    onnx_of([np.nan, 1.0, 0.0], tmp_path / "nan.onnx")
    command = arguments(str(tmp_path / name), "--trust", "--port", "0", "--workers", "2")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
