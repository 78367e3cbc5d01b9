"""Malformed .onnx and .keras files and run folders, determined by a number; also used by benchmarks/reliability."""

import copy
import json
import struct
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from helpers.model_files import (
    SIDE,
    keras_config,
    keras_file,
    keras_weights,
    lambda_layer,
    onnx_model,
    run_folder,
    zipped,
)
from imparfait.core.errors import UserError
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.external.sandbox.client import SandboxLimits
from imparfait.models.loading import load_classifier

Random = np.random.Generator
LIMITS = SandboxLimits(memory_bytes=1 << 30, seconds=10)
NUMBERS = (-(2**63), -1, 0, 1, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1)
REALS = (float("nan"), float("inf"), 1e-320, -0.0, 1.0, 1e300)
OPERATORS = (
    "Loop", "If", "Scan", "Reshape", "ConstantOfShape", "Einsum", "Resize", "Gather", "Pad", "Tile", "Expand", "Add",
    "Softmax", "Relu", "Gemm", "Transpose", "Slice", "TopK", "Range", "Cast", "Nothing", "", "MatMul", "MaxPool", "GRU",
)  # fmt: skip
WORDS = (
    "os", "builtins", "subprocess", "keras.utils", "keras.src.utils.file_utils", "keras.layers", "Lambda", "system",
    "get_file", "TFSMLayer", "TorchModuleWrapper", "__lambda__", "function", "eval", "Dense", "relu",
    "../../etc/passwd", "/etc/passwd", "file:///etc/x", "\x00", "é" * 300, "", "float16", "string", "int32",
    "channels_first", "same",
)  # fmt: skip


def damaged_bytes(content: bytes, random: Random) -> bytes:
    """Bytes truncated, flipped, inserted, removed, repeated, or set to zero or to extreme values."""
    damaged = bytearray(content)
    start = int(random.integers(0, max(1, len(damaged))))
    stop = min(len(damaged), start + int(random.integers(1, 64)))
    match random.integers(8):
        case 0:
            return bytes(damaged[:start])
        case 1:
            for index in random.integers(0, max(1, len(damaged)), random.integers(1, 16)):
                damaged[index] ^= 1 << random.integers(8)
        case 2:
            damaged[start:start] = random.bytes(random.integers(1, 64))
        case 3:
            del damaged[start:stop]
        case 4:
            damaged[start:start] = damaged[start:stop]
        case 5:
            damaged[start:stop] = bytes(stop - start)
        case 6:
            damaged[start : start + 8] = struct.pack("<q", int(random.choice(NUMBERS)))
        case 7:  # near the start or the end, where headers and directories are
            near = int(random.integers(0, 64))
            damaged[near if random.integers(2) else -near - 1] = int(random.integers(256))
    return bytes(damaged)


def changed_tree(tree: Any, random: Random) -> Any:
    """A JSON-like tree with one to three values replaced or removed."""
    tree = copy.deepcopy(tree)
    for _ in range(random.integers(1, 4)):
        holder = [tree]
        key: Any = 0
        while isinstance(holder[key], dict | list) and holder[key] and random.integers(5):
            holder = holder[key]
            key = (
                list(holder)[random.integers(len(holder))]
                if isinstance(holder, dict)
                else int(random.integers(len(holder)))
            )
        match random.integers(8):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1:
                holder[key] = [holder[key]] * int(random.integers(1, 4))
            case 2:
                holder[key] = {
                    "class_name": str(random.choice(WORDS)),
                    "module": str(random.choice(WORDS)),
                    "config": {},
                }
            case 3:
                deep: Any = []
                for _ in range(random.integers(1, 200)):
                    deep = [deep]
                holder[key] = deep
            case 4 | 5:
                holder[key] = int(random.choice(NUMBERS))
            case _:
                holder[key] = str(random.choice(WORDS))
        tree = tree if isinstance(tree, dict) else {}
    return tree


def broken_onnx(random: Random, canary: Path) -> bytes:
    """A damaged ONNX file: bytes, or one field of its graph."""
    model = ModelProto()
    model.CopyFrom(_onnx())
    if random.integers(2):
        return damaged_bytes(model.SerializeToString(), random)
    graph, number = model.graph, int(random.choice(NUMBERS))
    node = graph.node[random.integers(len(graph.node))]
    tensor = graph.initializer[random.integers(len(graph.initializer))]
    match random.integers(12):
        case 0:
            node.op_type = str(random.choice(OPERATORS))
        case 1:
            node.domain = str(random.choice(["com.microsoft", "ai.onnx.contrib", "evil", "ai.onnx.ml"]))
        case 2:
            node.input[0] = str(random.choice(["outputs", "missing", "", "head", "kernel", "row"]))
        case 3:
            tensor.dims[random.integers(len(tensor.dims))] = number
        case 4:
            tensor.raw_data = damaged_bytes(tensor.raw_data, random)
        case 5:
            tensor.data_type = int(random.integers(0, 30))
        case 6:
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", str(random.choice(["/etc/passwd", "../../etc/passwd", str(canary)]))
        case 7:
            node.attribute.append(
                helper.make_attribute(str(random.choice(["pads", "axis", "strides", "to"])), [number])
            )
        case 8:
            model.opset_import[0].version, model.ir_version = number % 2**31, int(random.integers(0, 40))
        case 9:
            graph.input[0].type.tensor_type.shape.dim[random.integers(4)].dim_value = number
        case 10:
            del graph.node[random.integers(len(graph.node))]
        case 11:
            graph.output[0].type.tensor_type.elem_type = int(random.integers(0, 30))
    return bytes(model.SerializeToString())


def broken_keras(random: Random, canary: Path) -> bytes:
    """A .keras file that is damaged, or holds code, in its archive, configuration or weights."""
    match random.integers(5):
        case 0:
            return damaged_bytes(_keras(), random)
        case 1:
            return keras_file(weights=damaged_bytes(_weights(), random))
        case 2:
            config = keras_config()
            layers = config["config"]["layers"]
            hidden = lambda_layer(canary)
            match random.integers(3):
                case 0:
                    layers.insert(int(random.integers(1, len(layers))), hidden)
                case 1:
                    layers[1]["config"]["activation"] = hidden["config"]["function"]
                case 2:
                    call = {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"}
                    layers[1]["config"]["kernel_initializer"] = call
            return keras_file(config, _weights())
        case 3:
            members = {"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": _weights()}
            match random.integers(3):
                case 0:
                    members[str(random.choice(["../evil.py", "/tmp/evil", "assets/x", "model.pkl"]))] = b"x"
                case 1:
                    del members[str(random.choice(list(members)))]
                case 2:
                    members[str(random.choice(list(members)))] = bytes(1 << 20)
            return zipped(members, packed=bool(random.integers(2)))
        case _:
            return keras_file(changed_tree(keras_config(), random), _weights())


def broken_run(random: Random, canary: Path) -> dict[str, bytes]:
    """A run folder whose model.safetensors is damaged, in its header or anywhere."""
    files = dict(_run())
    content = files["model.safetensors"]
    if random.integers(2):
        return files | {"model.safetensors": damaged_bytes(content, random)}
    (length,) = struct.unpack("<Q", content[:8])
    header = json.dumps(changed_tree(json.loads(content[8 : 8 + length]), random)).encode()
    size = int(random.choice(NUMBERS)) % 2**64 if random.integers(4) == 0 else len(header)
    return files | {"model.safetensors": struct.pack("<Q", size) + header + content[8 + length :]}


def broken_config(random: Random, canary: Path) -> dict[str, bytes]:
    """A run folder whose config.json is damaged, or names code in the folder."""
    files = dict(_run())
    content = files["config.json"]
    code = f"from pathlib import Path\nPath({str(canary)!r}).touch()\n".encode()
    match random.integers(4):
        case 0:
            return files | {"config.json": damaged_bytes(content, random)}
        case 1:
            model = str(random.choice(["{}:build", "./{}:build", "{}:", "{}:build:build"]))
            origins = [{}, {"network": sha256(code).hexdigest()}, {"network": "0" * 64}]
            config = json.loads(content) | {"model": model.format(canary.parent / "broken" / "evil.py")}
            config["origins"] = origins[random.integers(len(origins))]
            return files | {"config.json": json.dumps(config).encode(), "evil.py": code}
        case 2:  # one value, deeper in the tree than most other changes
            config = json.loads(content)
            part = config[str(random.choice(["model_args", "input", "compute"]))]
            part[str(random.choice(list(part)))] = [int(random.choice(NUMBERS)), float(random.choice(REALS)), "cpu"][
                random.integers(3)
            ]
            return files | {"config.json": json.dumps(config).encode()}
        case _:
            return files | {"config.json": json.dumps(changed_tree(json.loads(content), random)).encode()}


@cache
def _onnx() -> ModelProto:
    return onnx_model()


@cache
def _keras() -> bytes:
    return keras_file()


@cache
def _weights() -> bytes:
    return keras_weights()


@cache
def _run() -> dict[str, bytes]:
    return run_folder()


KINDS: dict[str, Callable[[Random, Path], Any]] = {
    ".onnx": broken_onnx,
    ".keras": broken_keras,
    ".safetensors": broken_run,
    "config.json": broken_config,
}


def outcome(index: int, folder: Path, canary: Path, limits: SandboxLimits = LIMITS) -> tuple[str, str]:
    """Open and run malformed file number `index`: its kind, and the error's message or "works".

    Any exception but a UserError is a crash and is raised.
    """
    random = np.random.default_rng(index)
    kind = list(KINDS)[index % len(KINDS)]
    broken = KINDS[kind](random, canary)
    images = np.zeros((3, 1, SIDE, SIDE), np.float32)
    try:
        if isinstance(broken, dict):
            for name, content in broken.items():
                (folder / name).write_bytes(content)
            load_classifier(folder, "cpu")(images)
        else:
            path = folder / f"broken{kind}"
            path.write_bytes(broken)
            with open_external(path, limits=limits) as model:
                model(images if kind == ".onnx" else images.transpose(0, 2, 3, 1))
    except UserError as error:
        return kind, str(error)
    return kind, "works"
