"""What the trainings of the reader's networks share: which pages are composed, and the ONNX files they end as."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


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
    """Write a network as ONNX; `shapes` are its input's free sizes, as torch.onnx.export takes `dynamic_shapes`."""
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
    out.write_bytes(program.model_proto.SerializeToString(deterministic=True))
    print(f"{out}: {out.stat().st_size:,} bytes")
