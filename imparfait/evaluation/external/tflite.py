"""Loader of external TensorFlow Lite files, run by LiteRT; quantised inputs and outputs are converted."""

# Runs in the sandbox. LiteRT's own operators compute; those that a program registers (custom operators) are not
# there, so a file that needs one is refused by LiteRT. A quantised tensor holds q for the real number
# scale * (q - zero point).

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec, batches, checked_outputs

SIGNATURE = b"TFL3"  # from byte 4 on
REALS = (np.float32, np.float16)
WHOLE = (np.uint8, np.int8, np.int16)
CLOSE = 0.02  # relative difference of a range, by which converters round it
# Operators that leave values as they are, and the kind of output of those that end a classifier.
PASS_THROUGH = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "CAST", "SQUEEZE"}
OUTPUTS_OF_OPERATOR = {
    "SOFTMAX": "probabilities", "LOG_SOFTMAX": "logits", "FULLY_CONNECTED": "logits", "LOGISTIC": "sigmoid",
}  # fmt: skip


def prepare() -> None:
    """Import LiteRT."""
    import ai_edge_litert.interpreter  # noqa: F401


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """What the .tflite file at `path` declares, and its function; raises UserError for a file that is refused."""
    content = Path(path).read_bytes()
    if content[4:8] != SIGNATURE:
        raise UserError("is no TensorFlow Lite file", hint="convert it again")
    interpreter = _interpreter(content, threads)
    source = _only(interpreter.get_input_details(), "inputs", "one: the images")
    target = _only(interpreter.get_output_details(), "outputs", "one: a number a class for each image")
    shape = tuple(int(length) for length in source["shape"])
    if not 2 <= len(shape) <= 4:
        raise UserError(f"takes a tensor of shape {shape}", expected="images: 2 to 4 axes of numbers")
    fixed = None if _takes_batches(content, source, shape) else shape[0]

    def predict(images: np.ndarray) -> np.ndarray:
        return checked_outputs(np.concatenate([run(batch) for batch in batches(images, fixed)])[: len(images)], labels)

    def run(batch: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != batch.shape:
            interpreter.resize_tensor_input(source["index"], batch.shape, strict=True)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], _stored(batch, source))
        interpreter.invoke()
        return _real(interpreter.get_tensor(target["index"]), target)

    returned = tuple(int(length) for length in target["shape"])
    labels = len(returned) == 1 and target["dtype"] in (np.int32, np.int64)
    signature = source["shape_signature"] if len(source["shape_signature"]) else source["shape"]
    declared = DeclaredSpec(
        shape=(fixed, *(None if length == -1 else int(length) for length in signature[1:])),
        num_classes=returned[1] if len(returned) > 1 else None,
        value_range=_range(source),
        outputs="labels" if labels else _kind_of_output(content),
    )
    return declared.model_dump(), predict


def _interpreter(content: bytes, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise UserError(
            f"cannot be loaded by LiteRT: {said}", hint="convert it again, to LiteRT's own operators"
        ) from error
    return interpreter


def _only(tensors: list[dict[str, Any]], kind: str, expected: str) -> dict[str, Any]:
    """The one input or output; raises UserError for several, and for a type that holds no numbers of ours."""
    if len(tensors) != 1:
        names = ", ".join(str(tensor["name"]) for tensor in tensors)
        raise UserError(f"has {len(tensors)} {kind} ({names})", expected=expected)
    (tensor,) = tensors
    scales = len(tensor["quantization_parameters"]["scales"])
    fits = tensor["dtype"] in REALS or (tensor["dtype"] in WHOLE and (scales == 1 or tensor["dtype"] == np.uint8))
    if not fits and not (kind == "outputs" and tensor["dtype"] in (np.int32, np.int64)):
        raise UserError(
            f"has {kind} of {np.dtype(tensor['dtype']).name} with {scales} scales",
            expected="float32, or uint8 or int8 with one scale",
        )
    return tensor


def _takes_batches(content: bytes, source: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """Whether the number of images is open, which is tried with two, in an interpreter of its own."""
    if not len(source["shape_signature"]) or source["shape_signature"][0] != -1:
        return False
    interpreter = _interpreter(content, 1)
    try:
        interpreter.resize_tensor_input(source["index"], (2, *shape[1:]), strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], np.zeros((2, *shape[1:]), source["dtype"]))
        interpreter.invoke()
    except (ValueError, RuntimeError):  # a size in the graph is of one image
        return False
    return len(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])) == 2


def _stored(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Real numbers as a tensor holds them."""
    dtype, (scale, zero) = tensor["dtype"], tensor["quantization"]
    if dtype in REALS:
        return values.astype(dtype, copy=False)
    bounds = np.iinfo(dtype)
    return np.asarray(np.rint(values / (scale or 1) + zero).clip(bounds.min, bounds.max), dtype)


def _real(stored: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The real numbers that a tensor stands for; whole ones without a scale as they are."""
    scale, zero = tensor["quantization"]
    return stored if not scale else (np.float32(scale) * (stored.astype(np.float32) - zero)).astype(np.float32)


def _range(source: dict[str, Any]) -> Any:
    """The range of values that a whole-numbered input stands for, where it is one of pixels."""
    if source["dtype"] in REALS:
        return None
    scale, zero = source["quantization"]
    bounds = np.iinfo(source["dtype"])
    least, most = ((scale or 1) * (bound - zero) for bound in (bounds.min, bounds.max))
    for name, white in (("1", 1.0), ("255", 255.0)):
        if abs(least) <= CLOSE * white and abs(most - white) <= CLOSE * white:
            return name
    return None


def _kind_of_output(content: bytes) -> Any:
    """The kind of output that the last operator makes, where that is certain."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    made_by = {int(output): node for node in _operators(graph) for output in node.OutputsAsNumpy()}
    place = int(graph.Outputs(0))
    for _ in range(graph.OperatorsLength()):
        node = made_by.get(place)
        if node is None:
            return None
        code = model.OperatorCodes(node.OpcodeIndex())
        name = names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "")
        if name not in PASS_THROUGH:
            return OUTPUTS_OF_OPERATOR.get(name)
        place = int(node.Inputs(0))
    return None


def _operators(graph: Any) -> Iterator[Any]:
    for index in range(graph.OperatorsLength()):
        yield graph.Operators(index)
