"""External models as classifiers: batches that they reject, and outputs that become logits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.bars import CLASSES
from helpers.external_specs import DATA, IMAGES, SIDE, external_model
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from imparfait.core.errors import UserError
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.external.adapter import adapt, kind_of_outputs, to_logits
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import infer_spec
from imparfait.evaluation.external.input_spec import InputSpec, SpecHint
from imparfait.evaluation.scores import score_conditions


def error_for(function: Callable[[np.ndarray], Any], spec: InputSpec) -> UserError:
    with pytest.raises(UserError) as error:
        adapt(function, spec, CLASSES)(IMAGES)
    return error.value


class NhwcOnly:
    """Like a Keras model, it takes only the shape that it was built for."""

    def predict(self, batch: np.ndarray) -> np.ndarray:
        if batch.shape[1:] != (SIDE, SIDE, 1):
            raise ValueError(f"expected shape=(None, {SIDE}, {SIDE}, 1), found shape={batch.shape}")
        return external_model(InputSpec("nhwc"))(batch)


def test_a_batch_in_the_wrong_layout_is_rejected_with_the_call_to_write() -> None:
    model = NhwcOnly()
    error = error_for(model.predict, InputSpec())
    assert error.received == "the model rejects images of shape (400, 1, 16, 16) and takes layout nhwc"
    assert error.hint == 'write evaluate(model.predict, layout="nhwc")'
    error = error_for(model.predict, InputSpec(value_range="255"))
    assert error.hint == 'write evaluate(model.predict, layout="nhwc", value_range=255)'
    classifier = adapt(model.predict, InputSpec("nhwc"), CLASSES)
    assert (classifier(IMAGES).argmax(1) == DATA.labels).all()

    def broken(batch: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of order")

    assert str(error_for(broken, InputSpec())).endswith("in every layout: RuntimeError: out of order")


def test_models_of_scikit_learn_and_pytorch_are_called_as_they_expect() -> None:
    features = StandardScaler().fit(IMAGES.reshape(len(IMAGES), -1))
    model = LogisticRegression(max_iter=200).fit(features.transform(IMAGES.reshape(len(IMAGES), -1)), DATA.labels)

    def predict(rows: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(features.transform(rows)))

    assert error_for(predict, InputSpec()).hint == 'write evaluate(predict, layout="flat")'
    clean = ConditionImages("clean", 0.0, DATA)
    expected = (predict(IMAGES.reshape(len(IMAGES), -1)) == DATA.labels).sum()
    for function, outputs in ((predict, "labels"), (lambda rows: model.predict_proba(features.transform(rows)), None)):
        hint = SpecHint("flat", 1, "light", outputs)
        classifier = adapt(function, infer_spec(function, DeclaredSpec(), DATA, hint).spec, CLASSES)
        assert score_conditions(classifier, [clean]).scores[0].correct == expected

    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
    error = error_for(lambda batch: network(torch.from_numpy(batch)), InputSpec())
    assert error.hint == "write: lambda images: model(torch.from_numpy(images)).detach().cpu().numpy()"
    classifier = adapt(lambda batch: network(torch.from_numpy(batch)).detach().numpy(), InputSpec(), CLASSES)
    assert classifier(IMAGES).shape == (len(IMAGES), 3)


def test_outputs_become_logits() -> None:
    shares = np.array([[0.2, 0.8, 0.0], [1, 0, 0]])
    assert np.allclose(np.exp(to_logits(shares, "probabilities", CLASSES, 2)), shares)
    for labels in ([1, 0], [[1], [0]], [1.0, 0.0], ["steep", "flat"], np.array(["steep", "flat"], object)):
        assert to_logits(labels, "labels", CLASSES, 2).argmax(1).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("outputs", "kind", "received", "expected"),
    [
        ([3, 0], "labels", "the label 3", "one of the classes flat, steep, cross, or its index"),
        (["flag", "flat"], "labels", "the label flag", "one of the classes flat, steep, cross"),
        ([1.5, 0], "labels", "the label 1.5", "one of the classes"),
        ([[1, 2]], "labels", "int64 of shape (1, 2) for 2 images", "one label an image"),
        ([[1, 2], [3, 4]], "logits", "int64 of shape (2, 2)", "numbers of shape (2, 3), one for each of the classes"),
        ([["a", "b", "c"]] * 2, "logits", "<U1 of shape (2, 3)", "numbers of shape (2, 3)"),
        ([[1, 2], [3]], "logits", "cannot be converted to an array", "a function that returns one"),
    ],
)
def test_outputs_that_do_not_fit_are_rejected(outputs: Any, kind: str, received: str, expected: str) -> None:
    with pytest.raises(UserError) as error:
        to_logits(outputs, kind, CLASSES, 2)
    assert received in error.value.received
    assert error.value.expected.startswith(expected)


def test_the_kind_of_outputs_is_observed() -> None:
    rows = np.eye(3)[[0, 1, 2, 2]]
    for probabilities in (rows, rows.astype(np.float16), rows * 0.4 + 0.2):
        assert kind_of_outputs(probabilities) == "probabilities"
    for independent in (rows * 0.6 + 0.2, np.array([[0.2], [0.9]]), rows[:, :2]):
        assert kind_of_outputs(independent) == "sigmoid"
    for logits in (rows * 5, rows - 0.1, np.log(rows + 0.1), rows * 0):
        assert kind_of_outputs(logits) == "logits"
    for labels in ([1, 2, 0], ["a", "b"], [[1], [2]]):
        assert kind_of_outputs(labels) == "labels"
