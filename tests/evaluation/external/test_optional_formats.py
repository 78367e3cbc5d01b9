"""Formats whose package is not installed: the error says what to install."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.evaluation.external.load import open_external

OPTIONAL = {".tflite": ("ai_edge_litert", "ai-edge-litert", "litert"), ".skops": ("skops", "skops", "skops")}


@pytest.mark.parametrize("suffix", OPTIONAL)
def test_a_format_whose_package_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    module, package, extra = OPTIONAL[suffix]
    find = importlib.util.find_spec

    def hidden(name: str, *arguments: Any) -> Any:
        return None if name == module else find(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x1c\0\0\0TFL3" if suffix == ".tflite" else b"PK\x03\x04")
    with pytest.raises(UserError) as error, open_external(path):
        pass
    assert str(error.value) == (f"{path}: to load it, {package} must be installed; {install_hint(extra)}")
