"""Small TensorFlow Lite files of one linear layer and an activation, float or quantised; needs ai-edge-litert."""

from typing import Any

import flatbuffers
import numpy as np

INPUTS, CLASSES = 16, 3
WEIGHTS = np.random.default_rng(0).integers(-100, 101, (CLASSES, INPUTS)).astype(np.int8)
WEIGHT_SCALE, LOGIT_SCALE, LOGIT_ZERO = 0.01, 0.05, {"uint8": 133, "int8": 5}


def real_logits(images: np.ndarray) -> np.ndarray:
    """What the network computes in real numbers."""
    return images.reshape(len(images), -1) @ (WEIGHTS.T * np.float32(WEIGHT_SCALE))


def tflite_file(
    kind: str = "float32", *, shape: tuple[int, ...] = (1, 4, 4, 1), open_batch: bool = True, end: str = "SOFTMAX",
    inputs: int = 1, outputs: int = 1, custom: bool = False,
) -> bytes:  # fmt: skip
    """A file whose input and output are of `kind`: float32, uint8, int8, or mixed (float32 around an int8 network)."""
    from ai_edge_litert import schema_py_generated as schema

    inner = {"uint8": "uint8", "int8": "int8", "mixed": "int8"}.get(kind)
    model = schema.ModelT()
    model.version, model.buffers, tensors, nodes, codes = 3, [schema.BufferT()], [], [], []

    def tensor(name: str, size: Any, dtype: str, scale: float = 0, zero: int = 0, values: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(size), getattr(schema.TensorType, dtype.upper())
        if open_batch and size[0] == shape[0] and values is None:
            made.shapeSignature = [-1, *size[1:]]
        if scale:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
        if values is not None:
            made.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
        tensors.append(made)
        return len(tensors) - 1

    def node(name: str, sources: list[int], target: int, options: Any = None) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode = b"Mine" if name == "CUSTOM" else None
        code.version = 4 if name == "FULLY_CONNECTED" and inner else 2 if inner else 1
        codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(codes) - 1, sources, [target]
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        nodes.append(made)

    zero = {"uint8": 0, "int8": -128}.get(inner or "", 0)
    pixels = (1 / 255, zero) if inner else (0, 0)
    rows = (shape[0], CLASSES)
    first = source = tensor("images", shape, inner or "float32", *pixels)
    if kind == "mixed":
        first = tensor("real", shape, "float32")
        node("QUANTIZE", [first], source)
    if inner == "uint8":
        held = tensor(
            "weights", WEIGHTS.shape, "uint8", WEIGHT_SCALE, 128, (WEIGHTS.astype(int) + 128).astype(np.uint8)
        )
    elif inner:
        held = tensor("weights", WEIGHTS.shape, "int8", WEIGHT_SCALE, 0, WEIGHTS)
    else:
        held = tensor("weights", WEIGHTS.shape, "float32", 0, 0, (WEIGHTS * WEIGHT_SCALE).astype(np.float32))
    logits = tensor("logits", rows, inner or "float32", *((LOGIT_SCALE, LOGIT_ZERO[inner]) if inner else (0, 0)))
    node("FULLY_CONNECTED", [source, held, -1], logits, schema.FullyConnectedOptionsT())
    target = logits
    if custom:
        target = tensor("mine", rows, "float32")
        node("CUSTOM", [logits], target)
    elif end == "SOFTMAX":
        target = tensor("scores", rows, inner or "float32", *((1 / 256, zero) if inner else (0, 0)))
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        node("SOFTMAX", [logits], target, options)
    if kind == "mixed":
        stored, target = target, tensor("real scores", rows, "float32")
        node("DEQUANTIZE", [stored], target)
    more = [tensor("more", shape, "float32") for _ in range(inputs - 1)]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs = tensors, nodes, [first, *more]
    graph.outputs = [target, logits][:outputs]
    model.operatorCodes, model.subgraphs = codes, [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
