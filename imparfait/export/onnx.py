"""ONNX export: a network with its calibration as one graph, from uint8 images to probabilities and logits."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.storage import printable
from imparfait.export.parity import PredictProba
from imparfait.inference.predictor import IMAGES, LOGITS, PROBABILITIES, predictor_from_onnx
from imparfait.models.gru import Gru, Sequences, States
from imparfait.models.metadata import KEY, ExportMetadata

OPSET = 20
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


class DeploymentModule(nn.Module):
    """A network as exported: uint8 images in, calibrated probabilities and logits out."""

    def __init__(self, network: nn.Module, temperature: float):
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(
        self, images: UInt8[Tensor, "n channels height width"]
    ) -> tuple[Float[Tensor, "n classes"], Float[Tensor, "n classes"]]:
        """Probabilities, and the calibrated logits."""
        logits = self.network(images.float() / 255) / self.temperature
        return torch.softmax(logits, 1), logits


class GruNode(nn.Module):
    """A `Gru` as ONNX's GRU operator; unrolled it would be hundreds of nodes, which take the exporter 20 s.

    The order of the gates is the same; the weights are transposed. `linear_before_reset` is Keras's `reset_after`.
    """

    def __init__(self, gru: Gru):
        super().__init__()
        self.kernel = nn.Parameter(gru.kernel.detach().transpose(1, 2).contiguous())
        self.recurrent = nn.Parameter(gru.recurrent.detach().transpose(1, 2).contiguous())
        self.bias = nn.Parameter(gru.bias.detach().flatten(1).contiguous())
        self.activation = ACTIVATIONS[gru.candidate]

    def forward(self, sequences: Sequences) -> States:
        """The states of `Gru`; those of the backward direction are in the order in which it reads."""
        directions, _, units = self.recurrent.shape
        steps = sequences.transpose(0, 1)
        states = torch.onnx.ops.symbolic(
            "GRU",
            [steps, self.kernel, self.recurrent, self.bias],
            {
                "hidden_size": units,
                "linear_before_reset": 1,
                "direction": "bidirectional" if directions == 2 else "forward",
                "activations": ["Sigmoid", self.activation] * directions,
            },
            dtype=steps.dtype,
            shape=[steps.shape[0], directions, steps.shape[1], units],
            version=OPSET,
        ).transpose(0, 1)
        return torch.stack([states[0], *(backward.flip(0) for backward in states[1:])])


def serialize(network: nn.Module, metadata: ExportMetadata) -> bytes:
    """The ONNX file of `network` for any batch size; the same bytes each time.

    Raises UserError where PyTorch cannot export it.
    """
    module = DeploymentModule(_with_gru_nodes(deepcopy(network)), metadata.temperature).eval()
    shape = (2, metadata.input.channels, metadata.input.height, metadata.input.width)
    with _silent(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                (torch.zeros(shape, dtype=torch.uint8),),
                input_names=[IMAGES],
                output_names=[PROBABILITIES, LOGITS],
                dynamic_shapes={IMAGES: {0: torch.export.Dim("n")}},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = printable(str(error.__cause__ or error))
            raise UserError(f"{metadata.name}: PyTorch cannot export its network to ONNX: {reason}") from error
    assert program is not None
    return with_metadata(_stripped(program.model_proto), metadata)


def with_metadata(content: bytes, metadata: ExportMetadata) -> bytes:
    """The same file with this metadata: as JSON for programs, and its main parts for people."""
    from onnx import ModelProto

    model: Any = ModelProto.FromString(content)
    channels, height, width = metadata.input.channels, metadata.input.height, metadata.input.width
    del model.metadata_props[:]
    for key, value in {
        KEY: metadata.model_dump_json(),
        "classes": ", ".join(metadata.classes),
        "input": f"{IMAGES}: uint8 [n, {channels}, {height}, {width}], 0 is black; normalisation: "
        f"{metadata.input.normalization}",
        "output": f"{PROBABILITIES} and {LOGITS}: float32 [n, {len(metadata.classes)}], calibrated",
        "recipe": metadata.recipe,
        "temperature": f"{metadata.temperature:g}, already applied",
        "weights": f"sha256 {metadata.weights}",
    }.items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString(deterministic=True))


def load(content: bytes, metadata: ExportMetadata, threads: int) -> PredictProba:
    """The file's function from images to probabilities, run by ONNX Runtime."""
    return predictor_from_onnx(content, metadata.name, threads)[0].run


def _with_gru_nodes(network: nn.Module) -> nn.Module:
    """`network` with each `Gru` as one node."""
    if isinstance(network, Gru):
        return GruNode(network)
    for name, child in network.named_children():
        setattr(network, name, _with_gru_nodes(child))
    return network


def _stripped(model: Any) -> bytes:
    """The file without the exporter's notes: paths of source files on this machine, a tenth of its bytes."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for part in (*model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _silent() -> Iterator[None]:
    """Without the exporter's messages about missing torchvision and future deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
