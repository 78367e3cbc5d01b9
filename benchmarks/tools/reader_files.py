"""What the trainings of the reader's networks share: which pages are composed, and the ONNX files they end as."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

HALF = "_half"
MIN_HALF = 64  # values of a weight, from which on it is stored in float16


def add_page_options(parser: argparse.ArgumentParser, first: int, pages: int) -> None:
    """The options of a command that composes pages into a folder, with the defaults for their numbers."""
    parser.add_argument("folder", type=Path)
    parser.add_argument("--meters", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("build/fonts"))
    parser.add_argument("--first", type=int, default=first)
    parser.add_argument("--pages", type=int, default=pages)
    parser.add_argument("--split", choices=("fit", "choose", "test"), default="fit")


def write_onnx(
    network: nn.Module, example: Tensor, inputs: list[str], outputs: list[str], shapes: Any, out: Path
) -> None:
    """Write a network as ONNX with weights in float16, which ONNX Runtime converts when it loads them.

    `shapes` are its input's free sizes, as torch.onnx.export takes `dynamic_shapes`.
    """
    program = torch.onnx.export(
        network.eval(),
        (example,),
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=shapes,
        opset_version=20,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    out.write_bytes(with_half_weights(program.model_proto).SerializeToString(deterministic=True))
    print(f"{out}: {out.stat().st_size:,} bytes")


def with_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its weights in float16: half as large, with the same computation in float32."""
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= MIN_HALF:
            name, half = weight.name, values.astype(np.float16)
            assert np.isfinite(half).all(), name
            weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}{HALF}"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}{HALF}"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def weights_of(file: Path) -> dict[str, np.ndarray]:
    """The weights of an ONNX file in float32, by the names that they had before `with_half_weights`."""
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(file).graph.initializer}
    return {name.removesuffix(HALF): np.array(values, np.float32) if name.endswith(HALF) else values.copy()
            for name, values in stored.items()}  # fmt: skip
