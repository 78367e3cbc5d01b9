"""The access log: no request waits for it, whatever it is written to."""

import json
import os
import time
from pathlib import Path

import pytest
from helpers.server import grey, serving

from imparfait.core.errors import UserError
from imparfait.serving.access_log import AccessLog


def test_a_pipe_that_nobody_drains_stops_no_request_and_no_shutdown(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(tmp_path / "pipe"))
    started = time.monotonic()
    for number in range(5000):
        log.write(id=number, path="/v1/predict" * 10)
    log.close()
    assert time.monotonic() - started < 30  # it does not wait for ever; usually a second
    first = os.read(reader, 1 << 16).splitlines()[0]
    assert json.loads(first)["id"] == 0
    os.close(reader)


def test_a_pipe_that_is_read_gets_every_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(tmp_path / "pipe"))
    for number in range(100):
        log.write(id=number)
    log.close()
    assert [json.loads(line)["id"] for line in os.read(reader, 1 << 16).splitlines()] == list(range(100))
    os.close(reader)


def test_a_fifo_without_a_reader_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="nobody reads this FIFO"):
        AccessLog(str(tmp_path / "pipe"))


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a file to write to"):
        AccessLog(str(tmp_path / "none" / "log"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_stops_no_request_and_no_shutdown(tmp_path: Path) -> None:
    """What is not written stays in a buffer, which closing would write again."""
    (tmp_path / "log").symlink_to("/dev/full")
    with serving(log=str(tmp_path / "log")) as server:
        assert server.post(grey(200)).status == 200
        service = server.server.service
    service.log.close()
    with pytest.raises(RuntimeError, match="after shutdown"):
        service._reload_executor.submit(int)
