"""Another's way to be asked and to answer: as stated, read from the model, or found by trying, with the margin."""

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
from imparfait.evaluation.external.adapter import adapt, logits, outputs_of
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import GIVEN, SAID, SEEN, TRIED, infer_spec
from imparfait.evaluation.external.input_spec import INKS, LAYOUTS, RANGES, InputSpec, SpecHint, as_wanted
from imparfait.evaluation.scores import evaluate

SIDE = 16
DATA = draw_bars(400, SIDE)
IMAGES = DATA.pixels.astype(np.float32) / 255


def scores(images: np.ndarray) -> np.ndarray:
    """Logits of someone who knows bars, if they are shown as we show them: ink of 0.55 to 1 on a ground of 0."""
    ink = ((images > 0.55) & (images < 1.01)).any(1) & (np.abs(images.min()) < 0.01)
    flat, steep = ink.mean(2).max(1) > 0.7, ink.mean(1).max(1) > 0.7
    return np.stack([flat & ~steep, ~flat & steep, flat & steep], 1).astype(np.float32) * 5


def someone(conventions: InputSpec, channels: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """A model that wants to be asked, and answers, as `conventions` say."""
    shift, factor = RANGES[conventions.range]

    def model(batch: np.ndarray) -> np.ndarray:
        back = {
            "nchw": lambda: batch,
            "nhwc": lambda: batch.transpose(0, 3, 1, 2),
            "nhw": lambda: batch[:, None],
            "flat": lambda: batch.reshape(-1, SIDE, SIDE, channels).transpose(0, 3, 1, 2),
        }[conventions.layout]()
        images = back / factor + shift
        answers = scores(INKS[conventions.ink](images))
        powers = np.exp(answers)
        return {
            "logits": lambda: answers,
            "probabilities": lambda: powers / powers.sum(1, keepdims=True),
            "labels": lambda: answers.argmax(1),
        }[conventions.outputs]()

    return model


def shape_of(layout: str, channels: int = 1) -> tuple[int | None, ...]:
    return (None, *LAYOUTS[layout](np.zeros((1, channels, SIDE, SIDE))).shape[1:])


EVERY = [
    InputSpec(layout, way, ink, outputs)
    for layout, way, ink, outputs in product(LAYOUTS, RANGES, INKS, ("logits", "probabilities", "labels"))
    if way != "imagenet"
]


@pytest.mark.parametrize("conventions", EVERY, ids=lambda each: "-".join(vars(each).values()))
def test_every_convention_is_found_from_the_shape_and_some_pictures(conventions: InputSpec) -> None:
    told = DeclaredSpec(shape=shape_of(conventions.layout), classes=3)
    result = infer_spec(someone(conventions), told, DATA)
    assert result.conventions == conventions
    assert result.accuracy == 1
    assert result.margin is not None
    assert result.margin > 0.2
    assert result.origins == {"layout": SAID, "range": TRIED, "ink": TRIED, "outputs": SEEN}


def test_colour_pictures_may_be_asked_as_imagenet_is() -> None:
    data = draw_bars(300, SIDE, channels=3)
    conventions = InputSpec("nhwc", "imagenet", "light", "logits")
    result = infer_spec(someone(conventions, channels=3), DeclaredSpec(shape=(None, SIDE, SIDE, 3)), data)
    assert result.conventions == conventions


def test_where_the_shape_says_nothing_layouts_are_tried_too() -> None:
    def picky(batch: np.ndarray) -> np.ndarray:
        if batch.ndim != 2:
            raise ValueError("expected 2 dimensions")
        return someone(InputSpec("flat", "255"))(batch)

    result = infer_spec(picky, DeclaredSpec(), DATA)
    assert (result.conventions.layout, result.conventions.range) == ("flat", "255")
    assert result.origins["layout"] == TRIED


def test_what_is_given_or_said_is_not_tried() -> None:
    conventions = InputSpec("nhwc", "255", "dark", "probabilities")
    asked: list[int] = []

    def counted(batch: np.ndarray) -> np.ndarray:
        asked.append(len(batch))
        return someone(conventions)(batch)

    told = DeclaredSpec(shape=shape_of("nhwc"), range="255", outputs="probabilities")
    result = infer_spec(counted, told, DATA, SpecHint(ink="dark"))
    assert result.conventions == conventions
    assert result.origins == {"layout": SAID, "range": SAID, "ink": GIVEN, "outputs": SAID}
    assert result.margin is None
    assert asked == [200]


def test_what_is_given_overrides_what_is_said() -> None:
    told = DeclaredSpec(shape=shape_of("nhwc"), range="255", outputs="probabilities")
    known = SpecHint(layout="flat", range=1, ink="light", outputs="logits")
    result = infer_spec(someone(InputSpec("flat")), told, DATA, known)
    assert result.conventions == InputSpec("flat", "1", "light", "logits")
    assert set(result.origins.values()) == {GIVEN}


def test_among_equals_the_likelihood_of_the_labels_decides() -> None:
    """Rectifiers without offsets answer the same at every scale, but 255 times as sure of themselves."""

    def unsure(batch: np.ndarray) -> np.ndarray:
        size = batch.max()
        wrong = np.arange(len(batch)) % 20 == 0
        right = scores(batch / size)
        return np.where(wrong[:, None], right[:, ::-1], right) * size

    result = infer_spec(unsure, DeclaredSpec(shape=shape_of("nchw")), DATA, SpecHint(ink="light"))
    assert result.conventions.range == "1"
    assert result.margin == 0


def test_where_accuracy_and_likelihood_disagree_it_is_said() -> None:
    def more_accurate_but_surer(batch: np.ndarray) -> np.ndarray:
        every = 20 if batch.max() > 1 else 5
        right = scores(batch / batch.max()) * batch.max()
        return np.where((np.arange(len(batch)) % every == 0)[:, None], right[:, ::-1], right)

    doubtful = infer_spec(more_accurate_but_surer, DeclaredSpec(shape=shape_of("nchw")), DATA, SpecHint(ink="light"))
    assert doubtful.conventions.range == "255"
    assert doubtful.is_doubtful
    assert str(doubtful).endswith("accuracy and log loss disagree: better state them")
    certain = infer_spec(someone(InputSpec()), DeclaredSpec(shape=shape_of("nchw")), DATA)
    assert not certain.is_doubtful
    assert "disagree" not in str(certain)


def test_the_choice_is_told_with_its_margin() -> None:
    said = str(infer_spec(someone(InputSpec("nhwc", "255")), DeclaredSpec(shape=shape_of("nhwc")), DATA))
    start = (
        "layout nhwc (said by the model), range 255 (found by trying), ink light (found by trying), "
        "outputs logits (seen in its answers); 200 of 200 validation images right (100.0%), the next best ("
    )
    assert said.startswith(start)


def test_a_model_that_only_guesses_is_refused_with_the_flags_to_give() -> None:
    def guess(batch: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).random((len(batch), 3))

    with pytest.raises(
        UserError, match=r"at best, however it is asked; .* say how it is asked: --layout, --range, --ink"
    ):
        infer_spec(guess, DeclaredSpec(shape=shape_of("nchw")), DATA)
    complete = SpecHint("nchw", "1", "light", None)
    assert (
        infer_spec(guess, DeclaredSpec(), DATA, complete).conventions.outputs == "logits"
    )  # what is stated is measured as it is


def test_a_model_for_other_pictures_is_refused() -> None:
    with pytest.raises(UserError, match="takes images of 32 by 32 by 3; these are 16 by 16 with 1 channel; load them"):
        infer_spec(someone(InputSpec()), DeclaredSpec(shape=(None, 32, 32, 3)), DATA)
    with pytest.raises(UserError, match="knows 1000 classes; these images have 3"):
        infer_spec(someone(InputSpec()), DeclaredSpec(classes=1000), DATA)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"layout": "nchv"}, "no layout is called 'nchv'; did you mean 'nchw'"),
        ({"range": 256}, "no range is called '256'; did you mean '255'"),
        ({"ink": "black"}, "no ink is called 'black'; choose from light, dark"),
        ({"outputs": "logit"}, "no outputs is called 'logit'; did you mean 'logits'"),
    ],
)
def test_a_convention_there_is_not_says_which_was_meant(known: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        SpecHint(**known)


def test_pictures_are_turned_into_each_range_exactly() -> None:
    for name, low, high in (("1", 0, 1), ("255", 0, 255), ("-1..1", -1, 1), ("mnist", -0.4242, 2.8215)):
        asked = as_wanted(np.array([0, 1], np.float32).reshape(1, 1, 1, 2), InputSpec(range=name))
        assert asked.dtype == np.float32
        assert np.allclose(asked.ravel(), [low, high], atol=1e-4)
    for conventions in (InputSpec(layout="nhw"), InputSpec(range="imagenet")):
        with pytest.raises(UserError, match="these have"):
            as_wanted(np.zeros((1, 2, 4, 4), np.float32), conventions)


def line_for(function: Callable[[np.ndarray], Any], conventions: InputSpec) -> str:
    with pytest.raises(UserError) as error:
        adapt(function, conventions, CLASSES)(IMAGES)
    return str(error.value)


class NhwcOnly:
    """As a model of Keras is: it takes what it was built for."""

    def predict(self, batch: np.ndarray) -> np.ndarray:
        if batch.shape[1:] != (SIDE, SIDE, 1):
            raise ValueError(f"expected shape=(None, {SIDE}, {SIDE}, 1), found shape={batch.shape}")
        return someone(InputSpec("nhwc"))(batch)


def test_a_batch_in_the_wrong_layout_is_refused_with_the_line_to_write() -> None:
    model = NhwcOnly()
    said = line_for(model.predict, InputSpec())
    assert said == (
        "the model does not take images of shape (400, 1, 16, 16) but does as nhwc; "
        'write evaluate(model.predict, layout="nhwc")'
    )
    assert line_for(model.predict, InputSpec(range="255")).endswith('evaluate(model.predict, layout="nhwc", range=255)')
    right = adapt(model.predict, InputSpec("nhwc"), CLASSES)
    assert (right(IMAGES).argmax(1) == DATA.labels).all()

    def broken(batch: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of order")

    assert line_for(broken, InputSpec()).endswith("nor in another layout: RuntimeError: out of order")


def test_the_models_of_scikit_learn_pytorch_and_keras_are_asked_as_they_want() -> None:
    features = StandardScaler().fit(IMAGES.reshape(len(IMAGES), -1))
    model = LogisticRegression(max_iter=200).fit(features.transform(IMAGES.reshape(len(IMAGES), -1)), DATA.labels)

    def predict(rows: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(features.transform(rows)))

    assert 'write evaluate(predict, layout="flat")' in line_for(predict, InputSpec())
    part = ConditionImages("clean", 0.0, DATA)
    for function, outputs in ((predict, "labels"), (lambda rows: model.predict_proba(features.transform(rows)), None)):
        known = SpecHint("flat", 1, "light", outputs)
        classifier = adapt(function, infer_spec(function, DeclaredSpec(), DATA, known).conventions, CLASSES)
        assert (
            evaluate(classifier, [part]).each[0].right
            == (predict(IMAGES.reshape(len(IMAGES), -1)) == DATA.labels).sum()
        )

    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
    assert "model(torch.from_numpy(images)).detach().cpu().numpy()" in line_for(
        lambda batch: network(torch.from_numpy(batch)), InputSpec()
    )
    asked = adapt(lambda batch: network(torch.from_numpy(batch)).detach().numpy(), InputSpec(), CLASSES)
    assert asked(IMAGES).shape == (len(IMAGES), 3)


def test_answers_become_logits() -> None:
    shares = np.array([[0.2, 0.8, 0.0], [1, 0, 0]])
    assert np.allclose(np.exp(logits(shares, "probabilities", CLASSES, 2)), shares)
    for labels in ([1, 0], [[1], [0]], [1.0, 0.0], ["steep", "flat"], np.array(["steep", "flat"], object)):
        assert logits(labels, "labels", CLASSES, 2).argmax(1).tolist() == [1, 0]
    for answer, outputs, words in (
        ([3, 0], "labels", "the model answers 3; expected one of the classes flat, steep, cross, or its index"),
        (["flag", "flat"], "labels", "the model answers flag; expected one of"),
        ([1.5, 0], "labels", "the model answers 1.5"),
        ([[1, 2]], "labels", r"shape \(1, 2\); expected a label for each"),
        (
            [[1, 2], [3, 4]],
            "logits",
            r"float64|int64 of shape \(2, 2\); expected numbers of shape \(2, 3\), one for each",
        ),
        ([["a", "b", "c"]] * 2, "logits", "expected numbers"),
        ([[1, 2], [3]], "logits", "the model's answer is no array"),
    ):
        with pytest.raises(UserError, match=words):
            logits(answer, outputs, CLASSES, 2)


def test_outputs_are_seen_in_answers() -> None:
    sure = np.eye(3)[[0, 1, 2, 2]]
    assert outputs_of(sure) == outputs_of(sure.astype(np.float16)) == outputs_of(sure * 0.4 + 0.2) == "probabilities"
    assert outputs_of(sure * 5) == outputs_of(sure - 0.1) == outputs_of(np.log(sure + 0.1)) == "logits"
    assert outputs_of([1, 2, 0]) == outputs_of(["a", "b"]) == outputs_of([[1], [2]]) == "labels"


def test_conventions_are_plain_and_compare() -> None:
    assert replace(InputSpec(), layout="flat") == InputSpec("flat", "1", "light", "logits")
