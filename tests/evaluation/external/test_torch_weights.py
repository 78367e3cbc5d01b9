"""Tensors of PyTorch files of the format before 1.6: read without running their pickle, or refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.backbones import save

from imparfait.core.errors import UserError
from imparfait.evaluation.external.sandbox.client import sandbox_for
from imparfait.evaluation.external.torch_weights import ROW_VALUES, read_tensors

LOADER = "imparfait.evaluation.external.torch_weights"


class Attack:
    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.file),)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    noise = torch.rand(6, 5, generator=torch.Generator().manual_seed(0))
    return {"a.weight": noise, "a.turned": noise.T, "part": noise[2:4, 1:], "half": noise.half(), "number": noise.sum()}


def test_tensors_are_what_pytorch_saved(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save(tmp_path / "w.pth", tensors | {"counter": torch.tensor(3)})
    found = read_tensors(tmp_path / "w.pth")
    assert set(found) == set(tensors)  # without the integers
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor.float().numpy())
        assert found[name].dtype == np.float32


def test_the_sandbox_returns_all_values_in_rows(tmp_path: Path) -> None:
    weights = torch.rand(3, ROW_VALUES, generator=torch.Generator().manual_seed(0))
    save(tmp_path / "w.pth", {"first": weights, "second": weights[0, :7]})
    with sandbox_for(LOADER).open(tmp_path / "w.pth") as file:
        assert file.declared == {"shapes": {"first": [3, ROW_VALUES], "second": [7]}}
        values = file(np.arange(4)).reshape(-1)
    np.testing.assert_array_equal(values[: 3 * ROW_VALUES + 7], torch.cat([weights.flatten(), weights[0, :7]]))


def test_a_call_in_the_file_is_refused_and_not_made(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save(tmp_path / "w.pth", tensors | {"code": Attack(tmp_path / "made")})  # type: ignore[dict-item]
    with pytest.raises(UserError) as error:
        read_tensors(tmp_path / "w.pth")
    assert error.value.received == "its pickle would call posix mkdir"
    assert not (tmp_path / "made").exists()


def test_other_instructions_and_other_files_are_refused(tmp_path: Path) -> None:
    contents = {
        "text": b"not a pickle",
        "zip": b"PK\x03\x04",
        "pickle": pickle.dumps({"a": 1.5}),
        "empty": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError):
            read_tensors(tmp_path / name)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save(tmp_path / "w.pth", tensors)
    content = (tmp_path / "w.pth").read_bytes()
    for end in range(0, len(content), 7):
        (tmp_path / "cut.pth").write_bytes(content[:end])
        with pytest.raises(UserError):
            read_tensors(tmp_path / "cut.pth")


@pytest.mark.parametrize("change", [(b"K\x06K\x05\x86", b"K\xffK\xff\x86"), (b"K\x05K\x01\x86", b"K\xffK\x01\x86")])
def test_a_tensor_larger_than_its_storage_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], change: tuple[bytes, bytes]
) -> None:
    save(tmp_path / "w.pth", {"a.weight": tensors["a.weight"]})
    content = (tmp_path / "w.pth").read_bytes()
    assert content.count(change[0]) == 1
    (tmp_path / "w.pth").write_bytes(content.replace(*change))
    with pytest.raises(UserError, match="no state dictionary of PyTorch, or a broken one"):
        read_tensors(tmp_path / "w.pth")
