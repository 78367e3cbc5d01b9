"""Stages of the study in processes of their own, with a script in the place of Python."""

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from imparfait.core.errors import UserError
from imparfait.study.processes import StageStopped, run_in_processes

SCRIPT = """#!/bin/sh
for name; do :; done
trap 'kill $child; echo "$name ended" >> "{log}"; exit 143' TERM
echo "$name" >> "{log}"
case "$name" in
    endless) sleep 60 2> /dev/null & child=$!; wait $child;;
    broken|stopped) until grep -q endless "{log}"; do sleep 0.01; done;;
esac
case "$name" in
    broken) echo "imparfait: no memory" >&2; exit 1;;
    stopped) echo "imparfait: stopped after step 3" >&2; exit 143;;
esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The names of the stages that were begun, a line each."""
    script, log = tmp_path / "python", tmp_path / "log"
    script.write_text(SCRIPT.format(log=log))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", os.fspath(script))
    return log


def test_every_stage_is_run_the_longest_first(log: Path) -> None:
    steps = list(run_in_processes("quick", Path("runs"), {"short": 1.0, "long": 30.0, "middle": 5.0}, 1))
    assert log.read_text().split() == ["long", "middle", "short"]
    assert steps[-1] == ([], 36.0)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [("broken", UserError, "broken: no memory"), ("stopped", StageStopped, "stopped after step 3")],
)
def test_a_stage_that_does_not_end_well_ends_the_others(
    log: Path, name: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        for _ in run_in_processes("quick", Path("runs"), {"endless": 9.0, name: 1.0}, 2):
            pass
    assert str(raised.value) == sentence
    assert "endless ended" in log.read_text()


def test_leaving_the_loop_stops_the_stages(log: Path) -> None:
    with closing(run_in_processes("quick", Path("runs"), {"endless": 9.0}, 2)) as steps:
        while not log.exists():
            running, _ = next(steps)
            assert running == ["endless"]
    assert "endless ended" in log.read_text()
