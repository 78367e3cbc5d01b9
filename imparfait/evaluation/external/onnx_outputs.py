"""The output of an ONNX model that has its classes: scores or labels, their names and their kind."""

# Runs in the sandbox. scikit-learn's converter puts the names of classes into the graph: into the operator of the
# classifier, into a ZipMap that turns scores into dictionaries, and into the table from which labels are taken. The
# ZipMap is taken out, and the names are declared with the scores.

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from imparfait.core.errors import UserError

LABEL_TYPES = ("tensor(int64)", "tensor(int32)", "tensor(string)")
NAMES_OF_CLASSES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")  # attributes of operators
PASS_THROUGH = {"Cast", "Identity"}  # operators that leave the values as they are
OUTPUTS_OF_OPERATOR = {
    "Softmax": "probabilities", "LogSoftmax": "logits", "Gemm": "logits", "Sigmoid": "sigmoid",
}  # fmt: skip


class Output(NamedTuple):
    """The output to use: its name, whether it has labels, how many classes it has, their names and its kind."""

    name: str
    labels: bool
    num_classes: int | None
    class_names: tuple[str, ...] | None
    kind: Any

    def indices(self, labels: Any) -> Any:
        """Labels as places in `class_names`, where there are names; raises KeyError for another label."""
        if self.class_names is None:
            return labels
        place = {name: index for index, name in enumerate(self.class_names)}
        return [place[str(label)] for label in labels]


def without_zipmap(model: Any) -> bool:
    """Take out each ZipMap at the end of a model's graph, so that it returns the scores themselves; whether any was."""
    from onnx import TensorProto, helper

    graph = model.graph
    outputs = {output.name: output for output in graph.output}
    found = [node for node in graph.node if node.op_type == "ZipMap" and node.output[0] in outputs and node.input]
    for node in found:
        outputs[node.output[0]].CopyFrom(helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None))
        graph.node.remove(node)
    return bool(found)


def class_names(graph: Any) -> tuple[str, ...] | None:
    """The names of classes in a graph; None where there are none, or several lists of them."""
    from onnx import numpy_helper

    lists = {names for node in graph.node for names in _names_in(node) if len(names) > 1}
    if not lists:
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            table = constants.get(node.input[0]) if node.op_type == "ArrayFeatureExtractor" else None
            if table is not None and table.data_type in (table.STRING, table.INT64, table.INT32):
                values = numpy_helper.to_array(table).ravel().tolist()
                lists.add(tuple(_text(value) for value in values))
    names = lists.pop() if len(lists) == 1 else ()
    return names if len(set(names)) == len(names) > 1 else None


def output_of(session: Any, graph: Any, names: tuple[str, ...] | None, score_types: Sequence[str]) -> Output:
    """The output with one number a class; where there is none, that of the labels. Raises UserError for neither."""
    outputs = [(node.name, node.type, node.shape) for node in session.get_outputs()]
    scores = [(name, shape) for name, kind, shape in outputs if kind in score_types and len(shape) != 1]
    labels = [(name, kind) for name, kind, shape in outputs if kind in LABEL_TYPES and len(shape) == 1]
    unnamed = not scores and names is None and bool(labels) and labels[0][1] == "tensor(string)"
    if unnamed or not (scores or labels):
        raise UserError(
            f"returns {', '.join(f'{name}: {kind}' for name, kind, _ in outputs)}",
            expected="one number a class for each image",
            hint="for scikit-learn, write: to_onnx(…, options={'zipmap': False})",
        )
    if not scores:
        return Output(labels[0][0], True, None, names, "labels")
    name, shape = scores[0]
    known = next(chain(lengths(shape[1:2]), [None]))
    if names and known not in (None, len(names)):
        names = None
    return Output(name, False, known or (len(names) if names else None), names, _kind_of(graph, name))


def lengths(shape: Sequence[Any]) -> Iterator[int | None]:
    """The length of each axis; None where it is left open."""
    for length in shape:
        yield length if isinstance(length, int) and length > 0 else None


def _names_in(node: Any) -> Iterator[tuple[str, ...]]:
    for attribute in node.attribute:
        if attribute.name in NAMES_OF_CLASSES:
            yield tuple(_text(name) for name in (*attribute.strings, *attribute.ints))


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _kind_of(graph: Any, output: str) -> Any:
    """The kind of output that the last operator makes, where that is certain."""
    made_by = {name: node for node in graph.node for name in node.output}
    for _ in graph.node:
        node = made_by.get(output)
        if node is None or node.op_type not in PASS_THROUGH:
            return OUTPUTS_OF_OPERATOR.get(node.op_type) if node is not None else None
        output = node.input[0]
    return None
