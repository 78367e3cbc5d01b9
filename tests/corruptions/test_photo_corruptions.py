"""Properties of every corruption of photographs, and references for those with a published algorithm."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.corruptions import ALL_CORRUPTIONS, CORRUPTIONS, PHOTO_CORRUPTIONS, CorruptionFunction
from imparfait.corruptions.base import SEVERITY_LEVELS, Corruption
from imparfait.corruptions.photo import lens, sensor, weather
from imparfait.corruptions.photo.filters import gaussian_blur, line_blur, normal
from imparfait.corruptions.photo.levels import Curve
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages

every_corruption = pytest.mark.parametrize("corruption", PHOTO_CORRUPTIONS.values(), ids=PHOTO_CORRUPTIONS.keys())
# The published levels of these are of different kinds, not of one that grows.
NOT_MONOTONE = ("photo.elastic_transform", "photo.snow", "photo.frost", "photo.glass_blur")


def photographs(n: int, height: int, width: int = 0, channels: int = 3) -> torch.Tensor:
    """Crops of two photographs, in 0..1."""
    crops = []
    for number in range(n):
        photo = Image.fromarray(load_sample_image(("china.jpg", "flower.jpg")[number % 2]))
        left, top = 37 * number % 200, 23 * number % 100
        part = photo.crop((left, top, left + 400, top + 300)).resize((width or height, height))
        crops.append(np.atleast_3d(np.asarray(part.convert("L" if channels == 1 else "RGB"))))
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous().float() / 255


def rng_for(n: int, first: int = 0, seed: int = 0) -> CounterRng:
    return CounterRng(seed, "test", 0, torch.arange(first, first + n))


@every_corruption
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (64, 40), (224, 224), (97, 512)])
def test_photographs_of_any_size_and_channels_keep_their_shape_and_range(
    corruption: Corruption, height: int, width: int, channels: int
) -> None:
    images = photographs(2, height, width, channels)
    for severity in (0.1, 0.5, 1.0):
        corrupted = corruption(images, severity, rng_for(2))
        assert corrupted.shape == images.shape
        assert corrupted.dtype == images.dtype
        assert torch.isfinite(corrupted).all()
        assert corrupted.min() >= 0
        assert corrupted.max() <= 1
        if not (corruption.only_colour and channels == 1):
            assert not torch.equal(corrupted, images)


@every_corruption
def test_severity_zero_returns_the_very_same_pixels(corruption: Corruption) -> None:
    images = photographs(6, 40)
    assert torch.equal(corruption(images, 0.0, rng_for(6)), images)
    corrupted = corruption(images, torch.tensor([0.0, 1.0]).repeat(3), rng_for(6))
    assert torch.equal(corrupted[::2], images[::2])
    assert (corrupted[1::2] != images[1::2]).any((1, 2, 3)).all()


@every_corruption
def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(corruption: Corruption) -> None:
    images = photographs(24, 48)
    whole = corruption(images, 0.7, rng_for(24))
    for size, step in ((1, 5), (7, 7)):
        for start in range(0, 24, step):
            batch = images[start : start + size]
            assert torch.equal(corruption(batch, 0.7, rng_for(len(batch), start)), whole[start : start + size])


@every_corruption
def test_one_severity_per_image_is_the_same_as_one_for_all(corruption: Corruption) -> None:
    images = photographs(8, 40)
    severity = torch.tensor([0.4, 0.8]).repeat(4)
    corrupted = corruption(images, severity, rng_for(8))
    assert torch.equal(corrupted[::2], corruption(images, 0.4, rng_for(8))[::2])
    assert torch.equal(corrupted[1::2], corruption(images, 0.8, rng_for(8))[1::2])


@every_corruption
@pytest.mark.parametrize("side", [32, 64, 224])
def test_a_higher_level_changes_more(corruption: Corruption, side: int) -> None:
    images = photographs(8, side)
    changes = [
        float((corruption(images, severity, rng_for(8)) - images).abs().mean()) for severity in (0.0, *SEVERITY_LEVELS)
    ]
    assert changes[1] > 0
    name = next(name for name, known in PHOTO_CORRUPTIONS.items() if known is corruption)
    if name not in NOT_MONOTONE:
        assert changes == sorted(changes)
    elif name != "photo.elastic_transform":
        assert changes[5] > changes[1]


@every_corruption
def test_the_input_is_not_modified(corruption: Corruption) -> None:
    for side in (32, 96):
        images = photographs(3, side)
        before = images.clone()
        for severity in (0.05, 0.2, 1.0):
            corruption(images, severity, rng_for(3))
        assert torch.equal(images, before)


@every_corruption
def test_an_empty_batch_stays_empty(corruption: Corruption) -> None:
    empty = torch.zeros(0, 3, 40, 40)
    for severity in (0.5, torch.zeros(0)):
        assert corruption(empty, severity, rng_for(0)).shape == empty.shape


@every_corruption
def test_another_seed_or_image_gives_other_pixels_where_there_is_chance(corruption: Corruption) -> None:
    images = photographs(1, 48).expand(2, -1, -1, -1)
    first, second = corruption(images, 0.6, rng_for(2))
    is_random = "Uses no randomness" not in str(corruption.function.__doc__)
    if corruption.function in (
        PHOTO_CORRUPTIONS["photo.white_balance"].function,
        PHOTO_CORRUPTIONS["photo.hue"].function,
    ):
        return  # one of two
    assert torch.equal(first, second) != is_random or corruption.function is PHOTO_CORRUPTIONS["photo.rotate"].function


@pytest.mark.parametrize("corruption", ALL_CORRUPTIONS.values(), ids=ALL_CORRUPTIONS.keys())
def test_whole_numbers_are_refused(corruption: Corruption) -> None:
    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    with pytest.raises(UserError, match=r"images of type uint8; expected floating point, 0\.\.1; divide by 255"):
        corruption(images, 0.5, rng_for(2))


def test_no_two_corruptions_draw_the_same_random_numbers() -> None:
    users: dict[str, set[str]] = {}

    class Watched(CounterRng):
        def bits(self, name: str, *shape: int) -> torch.Tensor:
            users.setdefault(name, set()).add(self.purpose)
            return super().bits(name, *shape)

    for name, corruption in PHOTO_CORRUPTIONS.items():
        corruption(photographs(2, 40), 1.0, Watched(0, name, 0, torch.arange(2)))
    assert {name: purposes for name, purposes in users.items() if len(purposes) > 1} == {}


def test_the_15_of_imagenet_c_are_there_by_name() -> None:
    names = {name.removeprefix("photo.") for name, known in PHOTO_CORRUPTIONS.items() if known.imagenet_c}
    noise, blur = {"gaussian_noise", "shot_noise", "impulse_noise"}, {"defocus_blur", "glass_blur", "motion_blur"}
    weather = {"snow", "frost", "fog", "brightness"}
    digital = {"contrast", "elastic_transform", "pixelate", "jpeg_compression"}
    assert names == noise | blur | {"zoom_blur"} | weather | digital
    assert not set(CORRUPTIONS) & set(PHOTO_CORRUPTIONS)


def test_a_curve_has_the_published_values_at_the_published_sides_and_between() -> None:
    curve = Curve(0, (1, 2, 3, 4, 5), (10, 20, 30, 40, 50), (100, 200, 300, 400, 500), is_length=True)

    def at(level: float, side: int) -> float:
        return curve.at(level, torch.zeros(1, 1, side, side + 3))

    assert [at(level, 224) for level in range(6)] == pytest.approx([0, 1, 2, 3, 4, 5])
    assert [at(level, 64) for level in range(6)] == pytest.approx([0, 10, 20, 30, 40, 50])
    assert at(3, 32) == pytest.approx(300)
    assert at(2.5, 224) == pytest.approx(2.5)
    assert at(1, 45) == pytest.approx(10 + 90 * math.log(64 / 45) / math.log(2))
    assert at(5, 448) == pytest.approx(10)
    assert at(5, 16) == pytest.approx(250)


def test_gaussian_blur_is_scipys() -> None:
    images = photographs(2, 60, 50)
    slow = scipy.ndimage.gaussian_filter(images.numpy(), (0, 0, 1.5, 1.5), mode="nearest", truncate=3)
    np.testing.assert_allclose(gaussian_blur(images, 1.5).numpy(), slow, atol=1e-5)


def test_defocus_is_a_convolution_with_the_disc() -> None:
    images = photographs(1, 64)
    kernel = lens.disc(3.0, 0.1).numpy().astype(np.float64)
    assert kernel.shape == (7, 7)
    assert np.count_nonzero(kernel) == 29  # whole pixels within a radius of 3
    slow = np.stack([scipy.ndimage.convolve(c.astype(np.float64), kernel, mode="mirror") for c in images[0].numpy()])
    fast = PHOTO_CORRUPTIONS["photo.defocus_blur"](images, 1.0, rng_for(1))  # level 5 at 64 pixels: radius 3
    np.testing.assert_allclose(fast[0].numpy(), slow.clip(0, 1), atol=1e-5)


def test_motion_at_no_angle_smears_along_the_row() -> None:
    images = torch.zeros(1, 1, 21, 41)
    images[0, 0, 10, 30] = 1
    row = line_blur(images, 10, 3, torch.zeros(1))[0, 0, 10]
    weights = np.exp(-(np.arange(11) ** 2) / 18)
    np.testing.assert_allclose(row[20:31].numpy()[::-1], weights / weights.sum(), atol=1e-6)
    assert row[31:].abs().sum() == 0


def test_glass_copies_pixels_as_the_published_loop_does() -> None:
    reach, height, width = 2, 12, 15
    bits = torch.randint(0, 1 << 16, (2, height, width), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    fast = lens._neighbours(bits, reach).reshape(2, -1)
    for image in range(2):
        source = np.arange(height * width).reshape(height, width)
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                if row < height and column < width:
                    value = int(bits[image, row, column])
                    down, right = ((part * 2 * reach >> 8) - reach for part in (value >> 8, value & 255))
                    source[row, column] = source[row + down, column + right]
        np.testing.assert_array_equal(fast[image] - image * height * width, source.reshape(-1))


def test_shot_noise_has_the_mean_and_variance_of_photons() -> None:
    for mean, most in ((0.4, 3.0), (2.5, 3.0), (20.0, 60.0), (300.0, 500.0)):
        chance = torch.randint(0, 1 << 16, (200_000,), dtype=torch.int32, generator=torch.Generator().manual_seed(1))
        counts = sensor._poisson(torch.full((200_000,), mean), chance, most)
        assert float(counts.mean()) == pytest.approx(mean, abs=0.02 * mean + 0.005)
        assert float(counts.var()) == pytest.approx(mean, rel=0.04)
        assert torch.equal(counts, counts.round())


def test_noise_is_normal() -> None:
    drawn = normal(rng_for(4), "noise", 100_000)
    assert abs(float(drawn.mean())) < 0.005
    assert float(drawn.std()) == pytest.approx(1, abs=0.005)
    assert float(torch.corrcoef(drawn).sub(torch.eye(4)).abs().max()) < 0.02


def test_plasma_is_the_diamond_square_fractal() -> None:
    side, decay = 16, 2.0
    field = weather.plasma(rng_for(3), side, decay)
    assert field.shape == (3, side, side)
    assert field.amin((1, 2)).tolist() == [0, 0, 0]
    assert field.amax((1, 2)).tolist() == [1, 1, 1]
    smooth, rough = (float(weather.plasma(rng_for(20), 64, d).diff(dim=2).abs().mean()) for d in (3.0, 1.4))
    assert smooth < rough


def test_photographs_are_corrupted_to_the_same_pixels_in_any_chunks() -> None:
    pixels = (photographs(9, 40) * 255).round().to(torch.uint8).numpy()
    data = LabelledImages(pixels, np.arange(9) % 2, np.arange(9), ("a", "b"), "photos", "validation")
    whole = corrupt(data, "photo.fog", 0.6).pixels
    few = corrupt(data.select(np.array([7, 2])), "photo.fog", 0.6).pixels
    assert np.array_equal(whole[[7, 2]], few)
    with pytest.raises(
        UserError, match=r"no corruption of digits is called 'frost'; write photo\.frost for photographs"
    ):
        corrupt(data, "frost", 0.6)


def test_grey_photographs_keep_equal_channels_where_chance_is_shared() -> None:
    """A grey image in three channels stays grey under light and weather that have no colour of their own."""
    images = photographs(2, 40, channels=1).expand(-1, 3, -1, -1)
    for name in ("fog", "snow", "brightness", "contrast", "overexposure", "zoom_blur", "pixelate"):
        corrupted = PHOTO_CORRUPTIONS[f"photo.{name}"](images, 0.6, rng_for(2))
        torch.testing.assert_close(corrupted[:, 0], corrupted[:, 2], atol=1e-5, rtol=0)


def functions() -> list[CorruptionFunction]:
    return [known.function for known in PHOTO_CORRUPTIONS.values()]


def test_every_function_says_its_parameters_and_source() -> None:
    for function in functions():
        text = " ".join(str(function.__doc__).split())
        assert "evels 1 to 5" in text
        assert "ImageNet-C" in text
