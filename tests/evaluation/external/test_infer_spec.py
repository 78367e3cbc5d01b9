"""The input specification of an external model: given, declared, observed or inferred, with its margin."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.external_specs import DATA, SIDE, external_model, scores

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.infer_spec import infer_spec
from imparfait.evaluation.external.input_spec import FOREGROUNDS, LAYOUTS, OUTPUTS, VALUE_RANGES, InputSpec, SpecHint
from imparfait.reports.text import spec_sentence


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
