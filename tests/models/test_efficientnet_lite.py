"""EfficientNet-Lite0: images of any size, grey ones, and its graph of features."""

import numpy as np
import pytest
import torch
from torch import nn

from imparfait.core.compute import onnx_session
from imparfait.models.efficientnet_graph import feature_graph
from imparfait.models.efficientnet_lite import EfficientNetLite0
from imparfait.models.registry import build


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    """With normalisations that matter."""
    network = build("efficientnet_lite0", channels=3, classes=4)
    assert isinstance(network, EfficientNetLite0)
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, middle in (
                (module.weight, 1.0), (module.bias, 0.1), (module.running_mean, 0.0), (module.running_var, 0.6),
            ):  # fmt: skip
                assert tensor is not None
                tensor.data.copy_(middle + 0.1 * torch.rand(tensor.shape, generator=random))
    return network.eval()


def with_channels(network: EfficientNetLite0, channels: int) -> EfficientNetLite0:
    other = EfficientNetLite0(channels=channels, classes=4).eval()
    other.load_state_dict(network.state_dict())
    return other


def test_it_has_the_published_number_of_parameters(network: EfficientNetLite0) -> None:
    with_1000_classes = sum(p.numel() for p in network.parameters()) + 996 * 1281
    assert with_1000_classes == 4_652_008


def test_grey_images_are_repeated_to_three_channels(network: EfficientNetLite0) -> None:
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(with_channels(network, 1)(images), network(images.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 64, 64), (1, 28, 28), (3, 45, 70), (2, 33, 32)])
def test_the_graph_has_the_features_of_the_network(
    network: EfficientNetLite0, channels: int, height: int, width: int
) -> None:
    """Even and odd sides are padded as TensorFlow does, in both."""
    own = with_channels(network, channels)
    pixels = np.random.default_rng(0).integers(0, 256, (3, channels, height, width), dtype=np.uint8)
    (found,) = onnx_session(feature_graph(own), 1).run(None, {"images": pixels})
    with torch.inference_mode():
        expected = own.features(torch.from_numpy(pixels) / 255).numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_making_the_graph_leaves_the_network_as_it_is(network: EfficientNetLite0) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    feature_graph(network)
    assert network.training
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.eval().state_dict().items())
