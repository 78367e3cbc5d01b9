"""Two models that should agree: every difference of preprocessing is found, by its name, and nothing is made up."""

from collections.abc import Callable

import numpy as np
import pytest

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.input_spec import IMAGENET, InputSpec
from imparfait.evaluation.external.preprocessing import Pages, explain
from imparfait.evaluation.external.resampling import FRAMES, KERNELS, bring_to

CLASSES = tuple("abcde")
SIDE = 12
WEIGHTS = np.random.default_rng(0).standard_normal((3 * SIDE * SIDE, len(CLASSES))).astype(np.float32)
MEAN, STD = (np.array(values, np.float32)[:, None, None] for values in IMAGENET)


def network(images: np.ndarray) -> np.ndarray:
    """Logits of images [n, 3, SIDE, SIDE] in 0..1: a linear network, which every change of its input changes."""
    assert images.shape[1:] == (3, SIDE, SIDE), images.shape
    return np.asarray(images.reshape(len(images), -1) @ WEIGHTS)


def photographs(count: int = 60) -> list[np.ndarray]:
    """Colour images of another size and shape than the network's, with sharp detail at their edges too."""
    random = np.random.default_rng(1)
    return [random.random((30, 40, 3)).astype(np.float32) ** 3 for _ in range(count)]


def pages(frame: str = "stretched", kernel: str = "area") -> Pages:
    levels = photographs()
    shown = np.stack([bring_to(each, frame, kernel, 3, SIDE, SIDE) for each in levels])
    logits = network(shown).astype(np.float64)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    return Pages(levels, shown, (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32), CLASSES)


NCHW, NHWC = DeclaredSpec(shape=(None, 3, SIDE, SIDE)), DeclaredSpec(shape=(None, SIDE, SIDE, 3))
FLAT = DeclaredSpec(shape=(None, 3 * SIDE * SIDE))
MODELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], DeclaredSpec, dict[str, str]]] = {
    "the same": (network, NCHW, {}),
    "takes 0..255": (lambda images: network(images / 255), NCHW, {"values": "0..255"}),
    "takes -1..1": (lambda images: network(images / 2 + 0.5), NCHW, {"values": "-1..1"}),
    "takes BGR": (lambda images: network(images[:, ::-1]), NCHW, {"colours": "BGR"}),
    "inverts": (lambda images: network(1 - images), NCHW, {"light and dark": "inverted"}),
    "channels last": (lambda images: network(images.transpose(0, 3, 1, 2)), NHWC, {}),
    "vectors of pixels": (lambda rows: network(rows.reshape(-1, SIDE, SIDE, 3).transpose(0, 3, 1, 2)), FLAT, {}),
    "vectors of channels, 0..255": (
        lambda rows: network(rows.reshape(-1, 3, SIDE, SIDE) / 255),
        FLAT,
        {"layout": "flat-chw", "values": "0..255"},
    ),
    "ImageNet's mean, BGR": (
        lambda images: network((images * STD + MEAN)[:, ::-1]),
        NCHW,
        {"values": "0..1 by ImageNet's mean and deviation", "colours": "BGR"},
    ),
    "another temperature": (lambda images: 2 * network(images), NCHW, {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_differs_is_named_and_nothing_else(name: str) -> None:
    function, declared, expected = MODELS[name]
    found = explain(function, declared, pages(), InputSpec())
    assert found.best.is_equal
    assert set(found.without) == set(expected)
    assert {part: found.best.preprocessing.parts[part] for part in expected} == expected
    assert found.as_reference.is_equal == (not expected)
    assert all(not each.is_equal for each in found.without.values())  # each part is needed


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("frame", FRAMES)
def test_another_crop_or_resize_kernel_is_named(frame: str, kernel: str) -> None:
    """The other model's pipeline is the reference here: what it keeps and how it resizes must be found."""
    expected = pages(frame, kernel)
    plain = pages()
    shown_otherwise = Pages(plain.levels, plain.shown, expected.probabilities, CLASSES)
    found = explain(network, NCHW, shown_otherwise, InputSpec())
    assert found.best.is_equal
    if (frame, kernel) != ("stretched", "area"):
        assert found.best.preprocessing.parts["pixels"] == f"{frame}, {kernel}"
        assert set(found.without) == {"pixels"}


def test_other_weights_are_not_explained() -> None:
    other = np.random.default_rng(7).standard_normal(WEIGHTS.shape).astype(np.float32)
    found = explain(lambda images: images.reshape(len(images), -1) @ other, NCHW, pages(), InputSpec())
    assert not found.best.is_equal


def test_a_model_of_another_number_of_classes_is_a_user_error() -> None:
    with pytest.raises(UserError, match="one for each of the classes"):
        explain(lambda images: network(images)[:, :3], NCHW, pages(), InputSpec())


def test_outputs_that_are_not_finite_are_a_user_error() -> None:
    with pytest.raises(UserError, match="not finite"):
        explain(lambda images: network(images) * np.nan, NCHW, pages(), InputSpec())


def test_a_model_of_other_channels_is_a_user_error() -> None:
    with pytest.raises(UserError, match="1 or 3 channels"):
        explain(network, DeclaredSpec(shape=(None, 4, SIDE, SIDE)), pages(), InputSpec())


def test_a_model_of_no_images_is_a_user_error() -> None:
    with pytest.raises(UserError, match="shape"):
        explain(network, DeclaredSpec(shape=(None, 7)), pages(), InputSpec())
