"""The record of the machine that a run was computed on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from imparfait.core import hardware
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.hardware import ARITHMETIC_VARIABLES, MAX_THREADS, choose_compute, environment


@pytest.mark.parametrize("name", ARITHMETIC_VARIABLES)
def test_a_variable_that_changes_arithmetic_is_recorded_where_it_is_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert name not in environment(ComputeConfig())
    monkeypatch.setenv(name, "1")
    assert environment(ComputeConfig())[name] == "1"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_user_chooses_the_threads_and_by_default_every_core_has_one(threads: int) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    images = torch.zeros(1, 1, 4, 4)

    assert choose_compute(model, images, "cpu", threads).threads == threads
    assert choose_compute(model, images, "cpu").threads == min(usable_cores(), MAX_THREADS)


@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_leave_the_cores_to_others_unless_the_user_wants_it(
    given: dict[str, str], expected: str
) -> None:
    program = "import imparfait, os; print(os.environ['OMP_WAIT_POLICY'])"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == expected


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    return subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_commit_is_read_without_writing_to_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "imparfait" / "core" / "hardware.py"
    module.parent.mkdir(parents=True)
    module.write_text("one")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a commit")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    monkeypatch.setattr(hardware, "__file__", str(module))
    os.utime(module, (0, 0))  # a file newer or older than the index says would be looked at, and the index written
    index = (tmp_path / ".git" / "index").read_bytes()
    assert environment(ComputeConfig())["commit"] == head
    (tmp_path / "new").write_text("not of the repository")
    assert environment(ComputeConfig())["commit"] == head
    module.write_text("two")
    assert environment(ComputeConfig())["commit"] == f"{head}-dirty"
    assert (tmp_path / ".git" / "index").read_bytes() == index


def test_the_commit_of_a_repository_around_an_installation_is_not_taken_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "another project")
    module = tmp_path / ".venv" / "imparfait" / "core" / "hardware.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(hardware, "__file__", str(module))
    assert environment(ComputeConfig())["commit"] == "unknown"
