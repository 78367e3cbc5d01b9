"""The record of the machine that a run was computed on."""

import pytest

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import ARITHMETIC_VARIABLES, environment


@pytest.mark.parametrize("name", ARITHMETIC_VARIABLES)
def test_a_variable_that_changes_arithmetic_is_recorded_where_it_is_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert name not in environment(ComputeConfig())
    monkeypatch.setenv(name, "1")
    assert environment(ComputeConfig())[name] == "1"
