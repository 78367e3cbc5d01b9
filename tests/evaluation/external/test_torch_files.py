"""TorchScript and torch.export files: they predict as in PyTorch, or are refused before anything in them can run."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.torch_files import (
    CLASSES,
    SIDE,
    Code,
    Named,
    Through,
    TwoInputs,
    TwoOutputs,
    Writes,
    any_size,
    changed,
    changed_json,
    exported,
    network,
    pickled,
    scripted,
)
from torch import nn

from imparfait.core.errors import UserError
from imparfait.evaluation.external.load import open_external

WEIGHT = 0.12345  # found again in a file
GREY = (1, SIDE, SIDE)


def images_of(shape: tuple[int, ...], count: int = 300) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), np.float32)


def refused(path: Path) -> str:
    """The error message for a file, after its name."""
    with pytest.raises(UserError) as error, open_external(path):
        pass
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int | None, ...]]] = {
    "grey": (network, GREY, GREY),
    "colour": (lambda: network(3, 32), (3, 32, 32), (3, 32, 32)),
    "any size": (any_size, (3, 40, 40), (3, None, None)),
    "channels last": (lambda: Through(network(), "nhwc"), (SIDE, SIDE, 1), (SIDE, SIDE, 1)),
    "vectors": (lambda: nn.Linear(784, CLASSES), (784,), (784,)),
    "in double precision": (lambda: network().double(), GREY, GREY),
    "one output with a name": (Named, GREY, (1, None, None)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_torchscript_file_predicts_as_in_pytorch_and_shows_which_images_it_takes(tmp_path: Path, case: str) -> None:
    build, shape, declared = CASES[case]
    model, images = build(), images_of(shape)
    dtype = next((each.dtype for each in model.parameters()), torch.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(images).to(dtype))
    expected = expected["logits"] if isinstance(expected, dict) else expected
    with open_external(scripted(tmp_path / "model.pt", model)) as function:
        assert function.declared.shape == (None, *declared)
        for count in (1, 3, 300):
            assert np.allclose(function(images[:count]), expected[:count], atol=1e-5)


@pytest.mark.parametrize("case", ["grey", "colour", "channels last", "vectors", "one output with a name"])
@pytest.mark.parametrize("batch", [None, 1, 7])
def test_a_pt2_file_predicts_as_in_pytorch_for_any_fixed_batch_size(tmp_path: Path, case: str, batch: Any) -> None:
    build, shape, _ = CASES[case]
    model, images = build(), images_of(shape)
    with torch.no_grad():
        expected = model(torch.from_numpy(images))
    expected = expected["logits"] if isinstance(expected, dict) else expected
    with open_external(exported(tmp_path / "model.pt2", model, shape, batch=batch)) as function:
        assert function.declared.shape == (batch, *shape)
        assert function.declared.num_classes == CLASSES
        for count in (1, 3, 300):
            assert np.allclose(function(images[:count]), expected[:count], atol=1e-5)


@pytest.mark.parametrize(
    ("last", "kind"), [(nn.Softmax(1), "probabilities"), (nn.LogSoftmax(1), "logits"), (nn.Sigmoid(), "sigmoid")]
)
def test_a_pt2_file_declares_its_kind_of_outputs(tmp_path: Path, last: nn.Module, kind: str) -> None:
    with open_external(exported(tmp_path / "model.pt2", nn.Sequential(*network(), last), GREY)) as function:
        assert function.declared.outputs == kind


def test_labels_are_taken_from_both_formats(tmp_path: Path) -> None:
    model, images = Through(network(), "labels"), images_of(GREY)
    expected = model(torch.from_numpy(images)).numpy()
    for path in (scripted(tmp_path / "model.pt", model), exported(tmp_path / "model.pt2", model, GREY)):
        with open_external(path) as function:
            assert np.array_equal(function(images), expected), path.name


def both(path: Path, model: nn.Module, more: Any = ()) -> list[str]:
    return [
        refused(scripted(path / "model.pt", model)),
        refused(exported(path / "model.pt2", model, GREY, more=more)),
    ]


def test_networks_that_are_no_classifiers_of_images_are_refused_with_what_they_are(tmp_path: Path) -> None:
    script, export = both(tmp_path, TwoInputs(), (torch.zeros(2, 3),))
    assert script.startswith("takes images: Tensor, more: Tensor; expected one tensor: the images")
    assert export.startswith("takes 2 inputs (images, more); expected one: the images")
    assert all(each.startswith("returns 2 outputs; expected one") for each in both(tmp_path, TwoOutputs()))
    for each in both(tmp_path, nn.Conv2d(1, 1, 3)):
        assert each.startswith("returns an array of ")
        assert each.endswith(" by 1 by 26 by 26; expected one number a class for each image")


def test_pickles_of_pytorch_are_never_loaded_and_named(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for suffix in (".pt", ".pth"):
        path = tmp_path / f"model{suffix}"
        torch.save(network(), path)
        assert refused(path).startswith("holds a pickled torch.nn.modules.container.Sequential, which runs code when")
        torch.save(network().state_dict(), path)
        assert refused(path).startswith("holds weights without their network, a state dictionary; where you made it")
        torch.save({"weights": Code(canary)}, path)
        assert refused(path).startswith("holds a pickled __builtin__.getattr, which runs code when it is loaded")
        torch.save(network().state_dict(), path, _use_new_zipfile_serialization=False)
        assert refused(path).startswith("is a pickle of PyTorch, which can run code when it is loaded")
    assert not canary.exists()


def test_files_under_another_formats_name_say_which_name_to_give(tmp_path: Path) -> None:
    script, export = scripted(tmp_path / "a.pt", network()), exported(tmp_path / "b.pt2", network(), GREY)
    assert (
        refused(export.rename(tmp_path / "b.pt")) == "is an archive of torch.export; give it a name that ends in .pt2"
    )
    assert refused(script.rename(tmp_path / "a.pt2")) == "is a TorchScript file; give it a name that ends in .pt"


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_broken_files_are_one_sentence(tmp_path: Path, suffix: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"model{suffix}"
    model = network()
    with torch.no_grad():
        model[4].bias[1] = WEIGHT
    scripted(whole, model) if suffix == ".pt" else exported(whole, model, GREY)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "or a broken one" in refused(path)
    path.write_bytes(b"PK\x03\x04")
    assert "or a broken one" in refused(path)
    path.write_bytes(b"nothing of the kind")
    assert refused(path).startswith(f"is no zip archive, as a {suffix} file is; where you made it, write: torch.")
    index = content.index(struct.pack("<f", WEIGHT))  # the archive's checksums find a changed weight
    path.write_bytes(content[:index] + b"\x00" + content[index + 1 :])
    assert refused(path)


def test_a_torchscript_file_that_touches_files_is_refused(tmp_path: Path) -> None:
    path = scripted(tmp_path / "model.pt", Writes(str(tmp_path / "canary")))
    assert refused(path).startswith("uses the operator save, which touches files")
    assert not (tmp_path / "canary").exists()


def first_node(tree: Any) -> Any:
    return tree["graph_module"]["graph"]["nodes"][0]


def rename_operator(tree: Any) -> None:
    first_node(tree)["target"] = "torch.os.system"


def call_a_method(tree: Any) -> None:
    first_node(tree)["target"] = "_operator.methodcaller"


def size_is_code(tree: Any) -> None:
    sizes = tree["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = "__import__('pathlib').Path('canary').touch()"


def import_a_module(tree: Any) -> None:
    call = tree["graph_module"]["module_call_graph"][0]["signature"]
    call["in_spec"] = call["in_spec"].replace("builtins.tuple", "enum.Enum")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_operator, "uses the operator torch.os.system; expected operators of torch.ops.aten"),
        (call_a_method, "uses the operator _operator.methodcaller"),
        (size_is_code, """has "__import__('pathlib').Path('canary').touch()" as a size, which is not allowed"""),
        (import_a_module, "takes or returns objects"),
    ],
)
def test_a_pt2_graph_that_names_code_is_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    path = changed_json(exported(tmp_path / "model.pt2", network(), GREY), "models/model.json", change)
    assert refused(path).startswith(message)


def test_pickles_and_programs_in_a_pt2_file_are_refused(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "model.pt2"

    def use_pickle(config: Any) -> None:
        next(iter(config["config"].values()))["use_pickle"] = True

    for kind in ("weights", "constants"):
        exported(path, network() if kind == "weights" else WithConstant(), GREY)
        changed_json(path, f"model_{kind}_config.json", use_pickle)
        files = "weights/weight_0" if kind == "weights" else "constants/tensor_0"
        changed(path, files, lambda content: pickled(Code(canary)))
        assert refused(path).startswith(f"holds pickled {kind}, which run code when they are loaded")
    changed(exported(path, network(), GREY), "sample_inputs/model.pt", lambda content: pickled(Code(canary)))
    assert refused(path).startswith("holds example inputs that are no tensors")
    changed(exported(path, network(), GREY), "/version", bytes, **{"data/aotinductor/model/x.wrapper.so": b"\x7fELF"})
    assert refused(path).startswith("holds compiled code (data/aotinductor/model/x.wrapper.so)")
    assert not canary.exists()
    torch.load(io.BytesIO(pickled(Code(canary))), weights_only=False)
    assert canary.exists()  # the pickle would have done it


class WithConstant(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :3] * torch.tensor([1.0, 2.0, 3.0])
