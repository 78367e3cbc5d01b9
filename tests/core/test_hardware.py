"""The record of the machine that a run was computed on."""

import os
import subprocess
import sys

import pytest
import torch

from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.hardware import ARITHMETIC_VARIABLES, MAX_THREADS, choose_compute, environment
from imparfait.core.openmp import SPINS, choose_waiting


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


@pytest.mark.parametrize(
    ("given", "others", "expected"),
    [
        ({}, 0, {"GOMP_SPINCOUNT": SPINS}),
        ({}, 1, {"OMP_WAIT_POLICY": "PASSIVE"}),
        ({}, 3, {"OMP_WAIT_POLICY": "PASSIVE"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, 3, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "7"}, 3, {"GOMP_SPINCOUNT": "7"}),
    ],
)
def test_waiting_threads_leave_busy_cores_to_others_unless_the_user_chose(
    given: dict[str, str], others: float, expected: dict[str, str]
) -> None:
    choose_waiting(given, others, cores=2)
    assert given == expected


def test_the_way_of_waiting_is_chosen_when_the_package_is_imported() -> None:
    program = "import imparfait, os; print('OMP_WAIT_POLICY' in os.environ or 'GOMP_SPINCOUNT' in os.environ)"
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "True"
