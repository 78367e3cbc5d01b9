"""What is written for a missing extra: PyTorch's CPU build first, where the extra brings PyTorch."""

import tomllib
from pathlib import Path

import pytest

from imparfait.core.install import install_hint

EXTRAS = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_cpu_build_comes_first_where_an_extra_brings_pytorch(extra: str) -> None:
    brings = any(requirement.startswith(("torch", "timm")) for requirement in EXTRAS[extra])
    assert ("PyTorch's CPU build first" in install_hint(extra)) == brings
    assert f"'.[{extra}]'" in install_hint(extra)
