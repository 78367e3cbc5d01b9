"""The study's networks have Keras's layers, parameter counts, feature order and initial weights."""

import numpy as np
import pytest
import torch
from torch import nn

from imparfait.core.errors import UserError
from imparfait.models import keras_layers as layers
from imparfait.models.gru import Gru
from imparfait.models.registry import MODELS, build
from imparfait.training.recipes import RECIPES, recipe_of

# Copied from `model.summary()` of the annexes' code: Keras 3.15.1, TensorFlow 2.21.0, images of 28 by 28 by 1.
TRUNK = [320, 128, 9248, 128, 18496, 256, 36928, 256, 73856, 512, 147584, 512]
IN_KERAS = {
    "cnn": ([*TRUNK, 590336, 2048, 262656, 2048, 5130], 1_150_442),
    "cnn_gru": ([*TRUNK, 1972224, 1969152, 5130], 4_234_730),
    "cnn_gru_tanh": ([*TRUNK, 1972224, 1969152, 5130], 4_234_730),
    "cnn_no_dropout": ([*TRUNK, 590336, 2048, 262656, 2048, 5130], 1_150_442),
    "cnn_no_normalisation": ([320, 9248, 18496, 36928, 73856, 147584, 590336, 262656, 5130], 1_144_554),
    "cnn_one_convolution": ([320, 128, 18496, 256, 73856, 512, 590336, 2048, 262656, 2048, 5130], 955_786),
    "rnn": ([219648, 2570], 222_218),
}


def network(name: str, height: int = 28, width: int = 28, channels: int = 1, classes: int = 10) -> nn.Module:
    return build(name, channels=channels, classes=classes, height=height, width=width)


@pytest.mark.parametrize("name", IN_KERAS)
def test_each_layer_has_as_many_parameters_as_in_keras(name: str) -> None:
    """Weights and running statistics; PyTorch also counts batches, Keras does not."""
    counts = [
        sum(tensor.numel() for key, tensor in layer.state_dict().items() if key != "num_batches_tracked")
        for layer in network(name).modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d | Gru)
    ]
    assert (counts, sum(counts)) == IN_KERAS[name]


def test_every_network_of_the_study_is_in_the_table() -> None:
    assert set(IN_KERAS) == set(MODELS) - {"petit", "grand", "duo", "resnet", "efficientnet_lite0"}


def test_features_are_flattened_by_row_then_column_then_channel() -> None:
    planes = torch.arange(2 * 5 * 3 * 4).view(2, 5, 3, 4).float()
    as_keras = planes.numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(layers.flatten(planes).numpy(), as_keras.reshape(2, -1))
    assert np.array_equal(layers.in_steps(planes).numpy(), as_keras.reshape(2, -1, 5))


def test_layers_have_the_constants_and_initial_weights_of_keras() -> None:
    model = network("cnn")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.01)}
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.bias is not None
            assert not layer.bias.any()
            size = layer.weight[0, 0].numel()
            limit = (6 / (size * sum(layer.weight.shape[:2]))) ** 0.5  # Glorot's, uniform
            assert 0.9 * limit < layer.weight.abs().max() <= limit
    assert [m.limit for m in model.modules() if isinstance(m, layers.Dropout)] == [
        round(share * 2**16) for share in (0.3, 0.3, 0.3, 0.25, 0.5)
    ]
    gru = network("cnn_gru").first_reader
    units = gru.recurrent.shape[1]
    torch.testing.assert_close(gru.recurrent[0] @ gru.recurrent[0].T, torch.eye(units), atol=1e-4, rtol=0)


def test_the_order_of_the_layers_is_that_of_the_annexes() -> None:
    kinds = [type(layer).__name__ for layer in network("cnn").modules() if not list(layer.children())]
    block = ["Conv2d", "ReLU", "BatchNorm2d"] * 2 + ["MaxPool2d", "Dropout"]
    assert kinds == block * 3 + ["Linear", "ReLU", "Dropout", "BatchNorm1d"] * 2 + ["Linear"]


@pytest.mark.parametrize("name", IN_KERAS)
def test_another_image_size_is_a_user_error(name: str) -> None:
    model = network(name, 32, 24).eval()
    assert model(torch.rand(2, 1, 32, 24)).shape == (2, 10)
    with pytest.raises(UserError, match=r"images of 28×28; expected 32×24, which this .* was built for; train one"):
        model(torch.rand(2, 1, 28, 28))


@pytest.mark.parametrize("name", IN_KERAS)
def test_an_image_size_must_be_given(name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} is built for one image size; give build\(…\) height and width"):
        build(name, channels=1, classes=10)


@pytest.mark.parametrize("name", [name for name in IN_KERAS if name != "rnn"])
def test_an_image_too_small_for_three_poolings_is_a_user_error(name: str) -> None:
    with pytest.raises(
        UserError, match=r"images of 7×28 are too small .* expected 8×8 pixels or more; use --model petit"
    ):
        network(name, 7, 28)


def test_dropout_drops_its_rate_and_keeps_the_mean() -> None:
    dropout = layers.Dropout(0.3)
    ones = torch.ones(4, 8, 25, 25).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    dropped = dropout(ones)
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 0.01
    torch.testing.assert_close(dropped[dropped != 0], torch.full(((dropped != 0).sum(),), 1 / 0.7), atol=1e-4, rtol=0)
    assert dropped.stride() == ones.stride()
    assert torch.equal(dropout.eval()(ones), ones)


def test_dropout_of_an_odd_count_and_of_bfloat16_works() -> None:
    dropout = layers.Dropout(0.5)
    assert dropout(torch.ones(3, 7)).shape == (3, 7)
    assert dropout(torch.ones(3, 7, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("name", "size"), [("petit", "filters"), ("duo", "depth"), ("cnn", "convolutions"), ("rnn", "units")]
)
def test_an_absurd_size_is_refused_before_the_network_is_built(name: str, size: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: {size} was given as 1,000,000; expected at most 4,096"):
        build(name, channels=1, classes=3, height=28, width=28, model_args={size: 10**6})


def test_a_network_that_does_not_fit_into_memory_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(channels: int, classes: int, filters: int) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setitem(MODELS, "petit", full)
    with pytest.raises(UserError, match="petit with filters = 4,000: needs more memory than there is"):
        build("petit", channels=1, classes=3, model_args={"filters": 4000})


@pytest.mark.parametrize("model_args", [{"widht": 3}, {"channels": 3}, {"height": 9}])
def test_an_unknown_model_argument_is_a_user_error(model_args: dict[str, int]) -> None:
    with pytest.raises(
        UserError, match=f"petit has no argument called '{next(iter(model_args))}'; it has filters, depth, frame"
    ):
        build("petit", channels=1, classes=3, model_args=model_args)


def test_each_model_has_a_recipe_and_each_recipe_a_model() -> None:
    ours = {"petit": "default", "grand": "best", "duo": "default", "resnet": "photo", "efficientnet_lite0": "default"}
    assert {name: recipe_of(name) for name in MODELS} == {
        name: ours.get(name, "study-gru" if "gru" in name or name == "rnn" else "study") for name in MODELS
    }
    assert {name: recipe.settings.model for name, recipe in RECIPES.items()} == {
        "quick": "petit", "default": "duo", "best": "grand", "photo": "resnet", "study": "cnn", "study-gru": "cnn_gru",
        "follow-up": "cnn", "follow-up-gru": "cnn_gru",
    }  # fmt: skip


def test_the_recipes_of_the_study_are_those_of_the_annexes() -> None:
    study, gru, follow_up = (RECIPES[name].settings for name in ("study", "study-gru", "follow-up"))
    assert (study.augmentation, study.epochs, study.batch_size, study.learning_rate) == ("study", 10, 32, 1e-4)
    assert (gru.augmentation, gru.epochs, gru.batch_size, gru.learning_rate) == ("study", 10, 32, 1e-3)
    assert gru.weight_decay == 1e-4
    assert (follow_up.augmentation, follow_up.epochs, follow_up.schedule) == ("balanced", 20, "plateau")
    assert {recipe.settings.optimizer for name, recipe in RECIPES.items() if "study" in name} == {"keras"}
