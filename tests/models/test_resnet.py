"""`resnet`: any image size and number of channels; light and contrast do not matter to it."""

import pytest
import torch

from imparfait.models.registry import build
from imparfait.models.resnet import ResNet


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (31, 45), (64, 64), (96, 80), (224, 224)])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_takes_images_of_any_size(height: int, width: int, channels: int) -> None:
    network = build("resnet", channels=channels, classes=7, height=height, width=width, model_args={"filters": 4})
    assert network.eval()(torch.rand(2, channels, height, width)).shape == (2, 7)


def test_larger_images_get_more_stages_and_keep_their_detail() -> None:
    stages = [
        len(ResNet(channels=3, classes=2, height=side, width=side, filters=4).stages) for side in (16, 32, 64, 224)
    ]
    assert stages == sorted(stages)
    assert stages[-1] > stages[0]
    network = ResNet(channels=1, classes=2, height=64, width=64, filters=4).eval()
    fine = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(
        network(fine), network(torch.nn.functional.avg_pool2d(fine, 2).repeat_interleave(2, 2).repeat_interleave(2, 3))
    )


def test_brightness_and_contrast_do_not_change_its_logits() -> None:
    network = ResNet(channels=3, classes=4, height=32, width=32, filters=4).eval()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(network(images), network(0.3 * images + 0.2), atol=1e-2)
