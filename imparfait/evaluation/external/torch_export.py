"""Loader of external .pt2 files, which torch.export.save wrote: every part checked, then loaded by PyTorch."""

# Runs in the sandbox. torch.export.load unpickles tensors without restriction where a file asks for it, evaluates
# expressions of sizes as Python, and looks up operators by any name in torch. So what a file holds is checked first, by
# allow-lists: no pickled tensors, no compiled code, only expressions of sizes, only ATen's operators.

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.evaluation.external.archive import checked_archive
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.torch_tensors import (
    EXPORT_HINT,
    ONNX_HINT,
    is_classification,
    not_classification,
    only_tensor,
    predictor,
)

MAX_COMPRESSION = 200  # unpacked to stored bytes; PyTorch does not compress
MAX_JSON_BYTES = 64 << 20  # of a graph
ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.\w+")
FILE_OPERATORS = {"from_file", "save"}
OPERATORS = {
    "getitem", "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pow", "eq", "ne", "lt", "le", "gt", "ge",
    "and_", "or_", "not_",
}  # fmt: skip
"""Of Python's operator module: arithmetic with sizes, and an output of several."""
SIZE_EXPRESSION = re.compile(
    r"(?:Symbol\('[a-z]+\d+'|\b(?:Integer|Rational|Add|Mul|Pow|Max|Min|Mod|FloorDiv|PythonMod|CleanDiv|CeilDiv|"
    r"Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|And|Or|Not)\(|"
    r"\b(?:positive|integer|nonnegative|real|True|False)\b|\b[a-z]\d+\b|\b\d+\b|[-+*/=(), ])+"
)
SPEC_TYPES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}  # of nested inputs and outputs
OUTPUTS_OF_OPERATOR = {
    "softmax": "probabilities", "_softmax": "probabilities", "log_softmax": "logits", "_log_softmax": "logits",
    "sigmoid": "sigmoid", "linear": "logits", "addmm": "logits",
}  # fmt: skip


def prepare() -> None:
    """Import PyTorch's export, save and load a small network."""
    import torch

    written = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(4, 2), (torch.zeros(1, 4),)), written)
    written.seek(0)
    torch.export.load(written).module(check_guards=False)(torch.zeros(1, 4))


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """What the file at `path` declares, and its function; raises UserError for a file that is refused."""
    with checked_archive(path, ".pt2 file", MAX_COMPRESSION) as archive:
        _check(archive)
    import torch

    torch.set_num_threads(threads)
    program = torch.export.load(path)
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1:
        raise UserError(f"takes {len(inputs)} inputs ({', '.join(map(str, inputs))})", expected="one: the images")
    nodes = {node.name: node for node in program.graph.nodes}
    images = nodes[str(inputs[0])].meta["val"]
    shape = tuple(length if isinstance(length, int) else None for length in images.shape)
    if not 2 <= len(shape) <= 4:
        raise UserError(f"takes a tensor of shape {shape}", expected="images: 2 to 4 axes of numbers")
    outputs = program.graph_signature.user_outputs
    last = nodes.get(str(outputs[0])) if len(outputs) == 1 else None
    if last is None:
        raise UserError(f"returns {len(outputs)} outputs", expected="one: a number a class for each image")
    returned = tuple(only_tensor(last.meta["val"]).shape)
    if not is_classification(returned):
        raise not_classification(returned)
    declared = DeclaredSpec(
        shape=shape,
        num_classes=returned[1] if len(returned) > 1 and isinstance(returned[1], int) else None,
        value_range="255" if not images.dtype.is_floating_point or _divides_by_255(nodes[str(inputs[0])]) else None,
        outputs=OUTPUTS_OF_OPERATOR.get(_operator(last)),
    )
    run = program.module(check_guards=False)  # they are Python code, made of names in the file
    return declared.model_dump(), predictor(run, images.dtype, shape[0])


def _operator(node: Any) -> str:
    found = ATEN.match(f"torch.ops.{node.target}")
    return found[1] if found else ""


def _divides_by_255(images: Any) -> bool:
    """Whether the only operator on the images divides them by 255."""
    users = list(images.users)
    return len(users) == 1 and _operator(users[0]) == "div" and users[0].args[1:] == (255,)


def _check(archive: zipfile.ZipFile) -> None:
    """Raises UserError for whatever in an archive could run code, and for what is no exported network."""
    names = {name.partition("/")[2]: name for name in archive.namelist()}
    if any(name.endswith("constants.pkl") for name in names):
        raise UserError("is a TorchScript file", hint="give it a name that ends in .pt")
    if "archive_format" not in names:
        raise UserError("is no archive of torch.export, or one of PyTorch before 2.8", hint=EXPORT_HINT)
    compiled = [name for name in names if "aotinductor" in name or name.endswith((".so", ".pte"))]
    if compiled:
        raise UserError(f"holds compiled code ({compiled[0]})", hint=EXPORT_HINT)
    models = [name for name in names if name.startswith("models/")]
    if models != ["models/model.json"]:
        raise UserError(f"holds {counted(len(models), 'network')}", expected="one, called model", hint=EXPORT_HINT)
    for kind, prefix in (("weights", "weight_"), ("constants", "tensor_")):
        config = _json(archive, names.get(f"data/{kind}/model_{kind}_config.json"))
        if f"data/{kind}/model.pt" in names or any(_is_pickled(each, prefix) for each in config["config"].values()):
            raise UserError(f"holds pickled {kind}, which run code when they are loaded", hint=ONNX_HINT)
    _check_sample_inputs(archive.read(names["data/sample_inputs/model.pt"]))
    program = _json(archive, names["models/model.json"])
    for key, value in _entries(program):
        if key == "expr_str" and not SIZE_EXPRESSION.fullmatch(str(value)):
            raise UserError(f"has {value!r} as a size, which is not allowed", hint=EXPORT_HINT)
        if key in ("in_spec", "out_spec") and not _is_plain(value):
            raise UserError("takes or returns objects", expected="tensors, alone or in tuples", hint=EXPORT_HINT)
        if key == "as_custom_obj":
            raise UserError("holds an object that is no tensor", hint=ONNX_HINT)
    for node in program["graph_module"]["graph"]["nodes"]:
        _check_operator(str(node["target"]))
    if any(key == "as_graph" for key, _ in _entries(program)):
        raise UserError("has graphs within its graph", hint="write: exported.run_decompositions() before it is saved")


def _check_operator(target: str) -> None:
    found = ATEN.fullmatch(target)
    known = found is not None and found[1] not in FILE_OPERATORS
    if not known and target.removeprefix("_operator.") not in OPERATORS:
        hint = f"write: exported.run_decompositions() before it is saved; or, {ONNX_HINT}"
        raise UserError(f"uses the operator {target}", expected="operators of torch.ops.aten", hint=hint)


def _is_pickled(payload: Any, prefix: str) -> bool:
    return payload["use_pickle"] is not False or not str(payload["path_name"]).startswith(prefix)


def _check_sample_inputs(content: bytes) -> None:
    """Raises UserError where PyTorch would unpickle more than tensors."""
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # whatever its unpickler raises
        raise UserError("holds example inputs that are no tensors", hint=EXPORT_HINT) from error


def _json(archive: zipfile.ZipFile, name: str | None) -> Any:
    if name is None:
        raise UserError("lacks a part of an exported network", hint=EXPORT_HINT)
    if archive.getinfo(name).file_size > MAX_JSON_BYTES:
        raise UserError(f"{name} in it is too large", expected=f"at most {MAX_JSON_BYTES >> 20} MiB")
    return json.loads(archive.read(name))


def _entries(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield from value.items()
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _is_plain(spec: Any) -> bool:
    """Whether a specification of nested values has tuples, lists and dictionaries only."""
    types = [value for key, value in _entries(json.loads(spec)) if key == "type"]
    return all(each is None or each in SPEC_TYPES for each in types)
