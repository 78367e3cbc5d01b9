"""The input specification of an external model: given, declared, observed or inferred, with its margin."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from helpers.bars import CLASSES, draw_bars
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from imparfait.core.errors import UserError
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.external.adapter import adapt, kind_of_outputs, to_logits
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import infer_spec
from imparfait.evaluation.external.input_spec import (
    FOREGROUNDS,
    LAYOUTS,
    OUTPUTS,
    VALUE_RANGES,
    InputSpec,
    SpecHint,
    apply_spec,
)
from imparfait.evaluation.scores import score_conditions
from imparfait.reports.text import spec_sentence

SIDE = 16
DATA = draw_bars(400, SIDE)
IMAGES = DATA.pixels.astype(np.float32) / 255


def scores(images: np.ndarray) -> np.ndarray:
    """Logits of a perfect classifier of bars, for images like ours: a foreground of 0.55 to 1 on a background of 0."""
    foreground = ((images > 0.55) & (images < 1.01)).any(1) & (np.abs(images.min()) < 0.01)
    flat, steep = foreground.mean(2).max(1) > 0.7, foreground.mean(1).max(1) > 0.7
    return np.stack([flat & ~steep, ~flat & steep, flat & steep], 1).astype(np.float32) * 5


def external_model(spec: InputSpec, channels: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """A model whose input and output are as `spec` says."""
    shift, factor = VALUE_RANGES[spec.value_range]

    def model(batch: np.ndarray) -> np.ndarray:
        in_nchw = {
            "nchw": lambda: batch,
            "nhwc": lambda: batch.transpose(0, 3, 1, 2),
            "nhw": lambda: batch[:, None],
            "flat": lambda: batch.reshape(-1, SIDE, SIDE, channels).transpose(0, 3, 1, 2),
            "flat-chw": lambda: batch.reshape(-1, channels, SIDE, SIDE),
        }[spec.layout]()
        images = in_nchw / factor + shift
        logits = scores(FOREGROUNDS[spec.foreground](images))
        powers = np.exp(logits)
        return {
            "logits": lambda: logits,
            "probabilities": lambda: powers / powers.sum(1, keepdims=True),
            "sigmoid": lambda: 1 / (1 + np.exp(2.5 - logits)),
            "labels": lambda: logits.argmax(1),
        }[spec.outputs]()

    return model


def shape_of(layout: str, channels: int = 1) -> tuple[int | None, ...]:
    return (None, *LAYOUTS[layout](np.zeros((1, channels, SIDE, SIDE))).shape[1:])


EVERY_SPEC = [
    InputSpec(layout, value_range, foreground, outputs)
    for layout, value_range, foreground, outputs in product(LAYOUTS, VALUE_RANGES, FOREGROUNDS, OUTPUTS)
    if layout != "flat-chw"  # the same as flat, for grey images
    if value_range != "imagenet"
]


@pytest.mark.parametrize("spec", EVERY_SPEC, ids=lambda spec: "-".join(list(vars(spec).values())[:4]))
def test_every_spec_is_inferred_from_the_declared_shape_and_images(spec: InputSpec) -> None:
    declared = DeclaredSpec(shape=shape_of(spec.layout), num_classes=3)
    result = infer_spec(external_model(spec), declared, DATA)
    assert result.spec == spec
    assert result.accuracy == 1
    assert result.margin is not None
    assert result.margin > 0.2
    assert result.origins == {
        "layout": "declared", "value_range": "inferred", "foreground": "inferred", "outputs": "observed"
    }  # fmt: skip


def test_the_imagenet_range_is_inferred_for_colour_images() -> None:
    data = draw_bars(300, SIDE, channels=3)
    spec = InputSpec("nhwc", "imagenet", "light", "logits")
    result = infer_spec(external_model(spec, channels=3), DeclaredSpec(shape=(None, SIDE, SIDE, 3)), data)
    assert result.spec == spec


def test_layouts_are_tried_where_no_shape_is_declared() -> None:
    def picky(batch: np.ndarray) -> np.ndarray:
        if batch.ndim != 2:
            raise ValueError("expected 2 dimensions")
        return external_model(InputSpec("flat", "255"))(batch)

    result = infer_spec(picky, DeclaredSpec(), DATA)
    assert (result.spec.layout, result.spec.value_range) == ("flat", "255")
    assert result.origins["layout"] == "inferred"


def test_what_is_given_or_declared_is_not_tried() -> None:
    spec = InputSpec("nhwc", "255", "dark", "probabilities")
    batch_sizes: list[int] = []

    def counted(batch: np.ndarray) -> np.ndarray:
        batch_sizes.append(len(batch))
        return external_model(spec)(batch)

    declared = DeclaredSpec(shape=shape_of("nhwc"), value_range="255", outputs="probabilities")
    result = infer_spec(counted, declared, DATA, SpecHint(foreground="dark"))
    assert result.spec == spec
    assert result.origins == {
        "layout": "declared", "value_range": "declared", "foreground": "given", "outputs": "declared"
    }  # fmt: skip
    assert result.margin is None
    assert batch_sizes == [200]


def test_what_is_given_overrides_what_is_declared() -> None:
    declared = DeclaredSpec(shape=shape_of("nhwc"), value_range="255", outputs="probabilities")
    hint = SpecHint(layout="flat", value_range=1, foreground="light", outputs="logits")
    result = infer_spec(external_model(InputSpec("flat")), declared, DATA, hint)
    assert result.spec == InputSpec("flat", "1", "light", "logits")
    assert set(result.origins.values()) == {"given"}


def test_among_equal_accuracies_the_log_loss_decides() -> None:
    """A ReLU network without biases predicts the same labels at every scale, but 255 times as confidently."""

    def scale_free(batch: np.ndarray) -> np.ndarray:
        size = batch.max()
        wrong = np.arange(len(batch)) % 20 == 0
        correct = scores(batch / size)
        return np.where(wrong[:, None], correct[:, ::-1], correct) * size

    result = infer_spec(scale_free, DeclaredSpec(shape=shape_of("nchw")), DATA, SpecHint(foreground="light"))
    assert result.spec.value_range == "1"
    assert result.margin == 0


def disagreeing(gap: float, total: int = 400) -> Callable[[np.ndarray], np.ndarray]:
    """A model that is more accurate by `gap` on 0..255 than its 80 % on 0..1, and too confident there."""

    def model(batch: np.ndarray) -> np.ndarray:
        size = max(float(batch.max()), 1.0)
        correct = scores(batch / size)
        wrong = np.random.default_rng(1 if size > 1 else 0).random(len(batch)) < 0.2 - gap * (size > 1)
        return np.where(wrong[:, None], correct[:, ::-1] - 1, correct) * size

    return model


def test_where_accuracy_and_log_loss_disagree_beyond_noise_the_flag_is_asked_for() -> None:
    declared, hint = DeclaredSpec(shape=shape_of("nchw")), SpecHint(foreground="light")
    with pytest.raises(UserError, match="accuracy and log loss disagree") as error:
        infer_spec(disagreeing(0.15), declared, DATA, hint)
    assert "on 400 validation images: value range 255 has 9" in error.value.received
    assert ", value range 1 has 8" in error.value.received
    assert error.value.hint == "write --range 255 or --range 1, as the model was trained"
    for stated in ("255", "1"):
        given = SpecHint(foreground="light", value_range=stated)
        assert infer_spec(disagreeing(0.15), declared, DATA, given).spec.value_range == stated


def test_within_noise_the_log_loss_decides() -> None:
    result = infer_spec(disagreeing(0.01), DeclaredSpec(shape=shape_of("nchw")), DATA, SpecHint(foreground="light"))
    assert result.spec.value_range == "1"


def test_the_sentence_about_a_choice_has_its_origins_and_its_margin() -> None:
    declared = DeclaredSpec(shape=shape_of("nhwc"))
    sentence = spec_sentence(infer_spec(external_model(InputSpec("nhwc", "255")), declared, DATA))
    assert sentence.startswith(
        "layout nhwc (declared), value range 255 (inferred), foreground light (inferred), outputs logits (observed); "
        "200 of 200 validation images correct (100.0%), next best ("
    )


def test_a_model_at_chance_level_is_rejected_with_the_flags_to_write() -> None:
    def guess(batch: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).random((len(batch), 3))

    with pytest.raises(UserError, match="is correct on at most") as error:
        infer_spec(guess, DeclaredSpec(shape=shape_of("nchw")), DATA)
    assert error.value.hint.startswith("to evaluate it as it is, state how it takes images, such as --layout nchw ")
    # A complete hint is obeyed, however bad the result.
    complete = SpecHint("nchw", "1", "light", None)
    assert infer_spec(guess, DeclaredSpec(), DATA, complete).spec.outputs == "sigmoid"


def test_a_model_for_other_images_is_rejected() -> None:
    with pytest.raises(UserError, match="these images are 16 by 16 with 1 channel; expected images of 32 by 32 by 7"):
        infer_spec(external_model(InputSpec()), DeclaredSpec(shape=(None, 32, 32, 7)), DATA)
    with pytest.raises(UserError, match="has 1,000 classes; expected the 3 classes of these images"):
        infer_spec(external_model(InputSpec()), DeclaredSpec(num_classes=1000), DATA)


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ({"layout": "nchv"}, "no layout is called 'nchv'; did you mean 'nchw'"),
        ({"value_range": 256}, "no range is called '256'; did you mean '255'"),
        ({"foreground": "black"}, "no foreground is called 'black'; choose from light, dark"),
        ({"outputs": "logit"}, "no kind of output is called 'logit'; did you mean 'logits'"),
    ],
)
def test_a_misspelt_name_is_rejected_with_the_nearest(hint: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SpecHint(**hint)


def test_images_are_converted_to_each_range_exactly() -> None:
    for name, low, high in (("1", 0, 1), ("255", 0, 255), ("-1..1", -1, 1), ("mnist", -0.4242, 2.8215)):
        batch = apply_spec(np.array([0, 1], np.float32).reshape(1, 1, 1, 2), InputSpec(value_range=name))
        assert batch.dtype == np.float32
        assert np.allclose(batch.ravel(), [low, high], atol=1e-4)
    for spec in (InputSpec(layout="nhw"), InputSpec(value_range="imagenet")):
        with pytest.raises(UserError, match=r"for images with 2 channels; expected [13] channel"):
            apply_spec(np.zeros((1, 2, 4, 4), np.float32), spec)


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


def test_specs_are_plain_values_that_compare() -> None:
    assert replace(InputSpec(), layout="flat") == InputSpec("flat", "1", "light", "logits")
