"""A network as an ONNX file: the whole images go in, calibrated probabilities come out."""

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
from imparfait.export.parity import Ask
from imparfait.inference.predictor import IMAGES, LOGITS, PROBABILITIES, predictor_from_onnx
from imparfait.models.gru import Gru, Sequences, States
from imparfait.models.metadata import KEY, Card

OPSET = 20
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


class DeploymentModule(nn.Module):
    """The network as its file is asked: images as they are stored in, calibrated answers out."""

    def __init__(self, network: nn.Module, temperature: float):
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(
        self, images: UInt8[Tensor, "n channels height width"]
    ) -> tuple[Float[Tensor, "n classes"], Float[Tensor, "n classes"]]:
        """Probabilities, and the logits that they are made of."""
        logits = self.network(images.float() / 255) / self.temperature
        return torch.softmax(logits, 1), logits


class OneNode(nn.Module):
    """A `Gru` as ONNX's own operator; written out step by step it would be hundreds, and take the exporter 20 s.

    The gates' order is the same in both; weights are the other way round. `linear_before_reset` is what Keras calls
    `reset_after`.
    """

    def __init__(self, gru: Gru):
        super().__init__()
        self.kernel = nn.Parameter(gru.kernel.detach().transpose(1, 2).contiguous())
        self.recurrent = nn.Parameter(gru.recurrent.detach().transpose(1, 2).contiguous())
        self.bias = nn.Parameter(gru.bias.detach().flatten(1).contiguous())
        self.activation = ACTIVATIONS[gru.candidate]

    def forward(self, sequences: Sequences) -> States:
        """As `Gru`: the backward direction's states are in the order it read them."""
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
        return torch.stack([states[0], *(back.flip(0) for back in states[1:])])


def content_of(network: nn.Module, card: Card) -> bytes:
    """The ONNX file of `network`, which takes images of `card`'s input in any number; the same bytes each time.

    Raises UserError where PyTorch cannot export it.
    """
    asked = DeploymentModule(_with_nodes(deepcopy(network)), card.temperature).eval()
    shape = (2, card.input.channels, card.input.height, card.input.width)
    with _quietly(), torch.no_grad():
        try:
            program = torch.onnx.export(
                asked,
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
            raise UserError(f"{card.name}: PyTorch cannot make ONNX of its network: {reason}") from error
    assert program is not None
    return told(_bare(program.model_proto), card)


def told(content: bytes, card: Card) -> bytes:
    """The same file with `card` in its metadata: as JSON for programs, and the parts that people look for."""
    from onnx import ModelProto

    model: Any = ModelProto.FromString(content)
    form = card.input
    levels = "0 is background, 255 foreground" if form.normalization == "digit" else "0 is black, 255 white"
    del model.metadata_props[:]
    for key, value in {
        KEY: card.model_dump_json(),
        "classes": ", ".join(card.classes),
        "input": f"{IMAGES}: uint8 [n, {form.channels}, {form.height}, {form.width}]; {levels}",
        "normalization": form.normalization,
        "output": f"{PROBABILITIES} and {LOGITS}: float32 [n, {len(card.classes)}], calibrated",
        "recipe": card.recipe,
        "temperature": f"{card.temperature:g}, which the answers are divided by already",
        "weights": f"sha256 {card.weights}",
    }.items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString(deterministic=True))


def ask(content: bytes, card: Card, threads: int) -> Ask:
    """What the file answers, by ONNX Runtime."""
    return predictor_from_onnx(content, card.name, threads)[0].run


def _with_nodes(network: nn.Module) -> nn.Module:
    """`network` with each `Gru` as one node."""
    if isinstance(network, Gru):
        return OneNode(network)
    for name, part in network.named_children():
        setattr(network, name, _with_nodes(part))
    return network


def _bare(model: Any) -> bytes:
    """The file without the exporter's notes: where on this machine each node's source lies, a tenth of its bytes."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for part in (*model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of itself: that torchvision is missing, what it will call otherwise one day."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
