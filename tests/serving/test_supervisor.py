"""The supervisor of workers: restarts, failures and reloads, with programs instead of servers; and shared counts."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from unittest.mock import Mock

import numpy as np
import pytest
from helpers.server import fake_model, shared_workers

from imparfait.core.errors import UserError
from imparfait.serving import scoreboard, supervisor
from imparfait.serving.listener import bind
from imparfait.serving.metrics import Metrics, metrics_text
from imparfait.serving.scoreboard import Scoreboard, State, shared_memory
from imparfait.serving.server import make_server, run
from imparfait.serving.service import Service
from imparfait.serving.settings import ServingSettings
from imparfait.serving.supervisor import MAX_ENDS, Supervisor, Worker

SETTINGS = ServingSettings(port=0, workers=2)
START = """
import json, os, signal, socket, sys
control = socket.socket(fileno={control})
lines = control.makefile()
number = json.loads(lines.readline())["number"]
def say(**message): control.sendall(json.dumps(message).encode() + b"\\n")
"""
LISTENING = "say(listening=True)\n"
FAILING = "say(failed='no such model'); sys.exit(2)\n"
RELOADING = """
for line in lines:
    message = json.loads(line)
    if message["do"] == "load":
        say(loaded="out of memory" if number == 1 else "")
    else:
        print("worker", number + 1, message["do"], "after", message["failure"], flush=True)
        if number == 1:
            os.kill(os.getppid(), signal.SIGTERM)
"""


def supervise(monkeypatch: pytest.MonkeyPatch, program: str, on_started: Callable[[], None] = lambda: None) -> None:
    """Run a supervisor whose workers are this program."""
    monkeypatch.setattr(supervisor, "PROGRAM", START + program)
    with bind(SETTINGS) as listener:
        Supervisor("fake", False, SETTINGS, listener).run(on_started)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_worker_that_keeps_ending_ends_the_server(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        supervise(monkeypatch, LISTENING + "if number == 1: sys.exit(3)\nsignal.pause()")
    assert ended.value.code == 1
    said = capfd.readouterr().err.splitlines()
    assert said[:-1] == ["imparfait: worker 2 ended with exit code 3; it is started again"] * (MAX_ENDS - 1)
    assert said[-1] == f"imparfait: worker 2 has ended {MAX_ENDS} times within a minute, at last with exit code 3"


def test_a_worker_that_cannot_start_ends_the_server_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^no such model$"):
        supervise(monkeypatch, f"if number == 1: {FAILING}else: {LISTENING}signal.pause()")


def test_a_model_is_replaced_only_if_all_workers_have_loaded_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    supervise(monkeypatch, LISTENING + RELOADING, lambda: os.kill(os.getpid(), signal.SIGHUP))
    said = capfd.readouterr()
    assert said.err == "imparfait: not reloaded: worker 2: out of memory\n"
    assert "worker 2 finish after worker 2: out of memory\n" in said.out


def test_a_worker_that_has_ended_is_not_waited_for_in_a_reload() -> None:
    """Also one that ends between the signal and its turn."""

    async def answer() -> str:
        process, reader, writer = map(Mock, (asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter))
        worker = Worker(0, process, reader, writer)
        return await asyncio.wait_for(worker.load_again(), 20)

    assert asyncio.run(answer()) == "it has ended"


def test_a_second_signal_ends_workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        terminate()
        terminate()

    supervise(monkeypatch, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTENING + "lines.readline()", twice)


def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "KILL_SECONDS", 0.2 - SETTINGS.drain_seconds)
    program = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTENING + "while True: signal.pause()"
    supervise(monkeypatch, program, terminate)


def test_a_worker_whose_model_fails_the_self_test_does_not_listen() -> None:
    models = fake_model(lambda pixels: np.full((len(pixels), 3), np.nan, np.float32))
    server = make_server(Service(models, ServingSettings(), shared_workers()))
    server.supervised = True
    with bind(ServingSettings(port=0)) as listener:
        with pytest.raises(UserError, match="outputs are no probabilities"):
            run(server, listener)
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_counts_of_all_processes_are_added_and_survive_a_restart() -> None:
    memory = shared_memory(2)
    boards = [Scoreboard(2, memory) for _ in range(2)]
    first, second = (Metrics(board.regions[number]) for number, board in enumerate(boards))
    for metrics in (first, first, second):
        metrics.count_request("GET", "/", 200, 0.003)
        metrics.count_prediction('a "quoted"\nclass é', 0.97, False)
    again = Metrics(Scoreboard(2, memory).regions[1])
    again.count_request("GET", "/", 200, 3.0)
    os.close(memory)
    gauges = {"requests_in_progress": 0.0, "ready": 1.0, "workers": 2.0}
    texts = {metrics_text(board.counts(), gauges) for board in boards}
    assert len(texts) == 1
    lines = texts.pop().splitlines()
    assert 'imparfait_requests_total{method="GET",route="/",status="200"} 4' in lines
    assert 'imparfait_request_seconds_bucket{route="/",le="0.005"} 3' in lines
    assert 'imparfait_request_seconds_sum{route="/"} 3.009000' in lines
    assert r'imparfait_predictions_total{label="a \"quoted\"\nclass é"} 3' in lines
    assert "imparfait_abstentions_total 3" in lines


def test_counts_beyond_the_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    region = Scoreboard().regions[0]
    monkeypatch.setattr(scoreboard, "KEY_BYTES", 44)
    for number in range(100):
        region.add((f"key {number}",))
    assert region.counts() == {("key 0",): 1, ("key 1",): 1, ("key 2",): 1, ("key 3",): 1}
    region.add(("key 2",))
    assert region.counts()["key 2",] == 2


def test_the_service_is_ready_if_all_workers_that_accept_connections_are(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Scoreboard(3)
    assert board.not_ready_reason(0) == ""
    board.regions[1].report(State.READY, 4)
    board.regions[2].report(State.NOT_READY, 3)
    assert (board.present, board.active) == (2, 7)
    assert board.not_ready_reason(0) == "worker 3 is not ready"
    assert board.not_ready_reason(2) == ""
    board.regions[2].report(State.ABSENT, 0)
    assert board.not_ready_reason(0) == ""
    monkeypatch.setattr(scoreboard, "SILENT_SECONDS", -1)
    assert board.not_ready_reason(0) == "worker 2 has not been heard of for 0 s"
