"""Light and colour of the photo suite: brightness, contrast, white balance, hue, exposure."""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import on_device
from imparfait.corruptions.photo.levels import Curve, by_level
from imparfait.corruptions.photo.weather import LUMA

BRIGHTNESS = Curve(0, (0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3))
CONTRAST = Curve(1, (0.4, 0.3, 0.2, 0.1, 0.05), (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15))
WHITE_BALANCE = Curve(0, (0.1, 0.2, 0.3, 0.45, 0.6))  # log2 of the gain of red, in encoded values
HUE = Curve(0, (10, 20, 35, 55, 80))  # degrees
OVEREXPOSURE = Curve(0, (0.5, 1, 1.5, 2, 2.5))  # stops
UNDEREXPOSURE = Curve(0, (1, 2, 3, 4, 5))  # stops
GAMMA = 2.2  # of the encoding: a stop more light multiplies encoded values by 2 ** (1 / 2.2)
YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@by_level
def brightness(images: Images, level: float, rng: CounterRng) -> Images:
    """Brighten each pixel, keeping its hue and saturation (HSV).

    Added to the value at levels 1 to 5: 0.1, 0.2, 0.3, 0.4, 0.5. Uses no randomness. Source: ImageNet-C.
    """
    value = images.amax(1, keepdim=True)
    brighter = (value + BRIGHTNESS.at(level, images)).clamp_(max=1)
    scaled = images * (brighter / value.clamp(min=1e-6))
    return torch.where(value > 1e-6, scaled, brighter)


@by_level
def contrast(images: Images, level: float, rng: CounterRng) -> Images:
    """Reduce the contrast: move every pixel towards its channel's mean.

    Share that is left at levels 1 to 5: 0.4, 0.3, 0.2, 0.1, 0.05. Uses no randomness. Source: ImageNet-C.
    """
    kept = CONTRAST.at(level, images)
    return torch.add(images.mean((2, 3), keepdim=True) * (1 - kept), images, alpha=kept)


@by_level
def white_balance(images: Images, level: float, rng: CounterRng) -> Images:
    """Shift the white balance: a warm or a cold cast, at random. Grey images stay as they are.

    At levels 1 to 5 red is multiplied by 2 to the power of 0.1, 0.2, 0.3, 0.45 and 0.6, and blue divided by it, or the
    reverse; white keeps its luma. Not in ImageNet-C; the levels are this package's.
    """
    if images.shape[1] != 3:
        return images.clone()
    gain = 2 ** WHITE_BALANCE.at(level, images)
    casts = torch.tensor([[gain, 1, 1 / gain], [1 / gain, 1, gain]], dtype=torch.float64)
    casts = (casts / (casts @ torch.tensor(LUMA, dtype=torch.float64))[:, None]).to(images.dtype)
    casts = on_device(casts, images)
    return images * casts[(rng.uniform("warm or cold") < 0.5).long(), :, None, None]


@by_level
def hue(images: Images, level: float, rng: CounterRng) -> Images:
    """Turn the hue of every pixel one way or the other, keeping its luma. Grey images stay as they are.

    Angle in the YIQ plane at levels 1 to 5: 10, 20, 35, 55, 80 degrees. Not in ImageNet-C; the levels are this
    package's.
    """
    if images.shape[1] != 3:
        return images.clone()
    yiq = torch.tensor(YIQ, dtype=torch.float64)
    angle = math.radians(HUE.at(level, images))
    ways = torch.stack([torch.linalg.inv(yiq) @ _turn(way * angle) @ yiq for way in (1, -1)]).to(images.dtype)
    turned = on_device(ways, images)[(rng.uniform("way of the hue") < 0.5).long()]
    return (turned @ images.flatten(2)).view_as(images)


@by_level
def overexposure(images: Images, level: float, rng: CounterRng) -> Images:
    """Expose too long: brighter, with highlights clipped to white.

    Stops at levels 1 to 5: 0.5, 1, 1.5, 2, 2.5. A power law of 2.2 stands for the encoding. Uses no randomness. Not in
    ImageNet-C; the levels are this package's.
    """
    return images * 2 ** (OVEREXPOSURE.at(level, images) / GAMMA)


@by_level
def underexposure(images: Images, level: float, rng: CounterRng) -> Images:
    """Expose too briefly: darker, down to few levels of grey.

    Stops at levels 1 to 5: 1, 2, 3, 4, 5. A power law of 2.2 stands for the encoding. Uses no randomness. Not in
    ImageNet-C; the levels are this package's.
    """
    return images * 2 ** (-UNDEREXPOSURE.at(level, images) / GAMMA)


def _turn(angle: float) -> Float64[Tensor, "3 3"]:
    """The matrix that turns the second and third coordinate."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], dtype=torch.float64)
