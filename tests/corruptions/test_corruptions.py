"""Properties of every corruption, and exact references for the two of the core suite."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from helpers.bars import draw_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.rng import CounterRng
from imparfait.corruptions import CORRUPTIONS, CorruptionFunction, geometric, shrunk

every_corruption = pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())


def rng_for(n: int, first: int = 0, seed: int = 0) -> CounterRng:
    return CounterRng(seed, "test", 0, torch.arange(first, first + n))


def draw_discs(n: int) -> torch.Tensor:
    """Centred discs of different widths and heights: moved or shrunk, a disc always uncovers some of its pixels."""
    across = torch.arange(28) - 13.5
    tall, wide = 6 + 4 * torch.rand(2, n, 1, 1, generator=torch.Generator().manual_seed(0))
    distance = ((across[:, None] / tall) ** 2 + (across / wide) ** 2).sqrt()
    return (4 * (1.2 - distance)).clamp(0, 1)[:, None]


@every_corruption
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 28, 33])
def test_images_of_any_size_and_channels_keep_their_shape(
    corrupt: CorruptionFunction, side: int, channels: int
) -> None:
    images = torch.from_numpy(draw_bars(6, side, channels).pixels) / 255
    corrupted = corrupt(images, 1.0, rng_for(6))
    assert corrupted.shape == images.shape
    assert corrupted.dtype == images.dtype
    assert corrupted.min() >= 0
    assert corrupted.max() <= 1 + 1e-6


@every_corruption
def test_severity_zero_returns_the_very_same_pixels(corrupt: CorruptionFunction, images: torch.Tensor) -> None:
    assert torch.equal(corrupt(images, 0.0, rng_for(32)), images)
    severity = torch.tensor([0.0, 1.0]).repeat(16)
    corrupted = corrupt(images, severity, rng_for(32))
    assert torch.equal(corrupted[::2], images[::2])
    assert not torch.equal(corrupted[1::2], images[1::2])


@every_corruption
def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(corrupt: CorruptionFunction) -> None:
    """Batches of 1 and 7 are samples of the 1000 images; batches of 256 are all of them."""
    images = torch.from_numpy(draw_bars(1000).pixels) / 255
    whole = corrupt(images, 0.7, rng_for(1000))
    for size, step in ((1, 111), (7, 83), (256, 256), (1000, 1000)):
        for start in range(0, 1000, step):
            batch = images[start : start + size]
            assert torch.equal(corrupt(batch, 0.7, rng_for(len(batch), start)), whole[start : start + size])


@every_corruption
def test_one_severity_per_image_is_the_same_as_one_for_all(corrupt: CorruptionFunction, images: torch.Tensor) -> None:
    assert torch.equal(corrupt(images, torch.full((32,), 0.4), rng_for(32)), corrupt(images, 0.4, rng_for(32)))


@every_corruption
def test_more_severity_never_changes_less(corrupt: CorruptionFunction) -> None:
    images = draw_discs(128)
    severities = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    changes = [float((corrupt(images, severity, rng_for(128)) - images).abs().mean()) for severity in severities]
    assert changes == sorted(changes)


def test_no_two_corruptions_draw_the_same_random_numbers(images: torch.Tensor) -> None:
    """Applied in sequence to the same images, they are independent."""
    users: dict[str, set[str]] = {}

    class Watched(CounterRng):
        def bits(self, name: str, *shape: int) -> torch.Tensor:
            users.setdefault(name, set()).add(self.purpose)
            return super().bits(name, *shape)

    for name, corruption in CORRUPTIONS.items():
        corruption(images, 1.0, Watched(0, name, 0, torch.arange(32)))
    assert {name: purposes for name, purposes in users.items() if len(purposes) > 1} == {}


@every_corruption
def test_float32_and_float64_agree(corrupt: CorruptionFunction, images: torch.Tensor) -> None:
    torch.testing.assert_close(
        corrupt(images, 0.8, rng_for(32)).double(), corrupt(images.double(), 0.8, rng_for(32)), atol=1e-4, rtol=0
    )


@every_corruption
def test_an_empty_batch_stays_empty(corrupt: CorruptionFunction) -> None:
    empty = torch.zeros(0, 1, 28, 28)
    for severity in (0.5, torch.zeros(0)):
        assert corrupt(empty, severity, rng_for(0)).shape == empty.shape


@every_corruption
def test_the_input_is_not_modified(corrupt: CorruptionFunction, images: torch.Tensor) -> None:
    before = images.clone()
    corrupt(images, 1.0, rng_for(32))
    assert torch.equal(images, before)


def test_geometric_is_what_keras_does() -> None:
    """The slow reference: Keras's matrices, one image at a time, applied by SciPy as Keras does."""
    images = torch.from_numpy(draw_bars(20, 28).pixels).double() / 255
    random = rng_for(20)
    angle, down, right, tall, wide = 2 * random.uniform("angle, down, right, tall, wide", 5).double().numpy().T - 1
    severity = 0.5
    corrupted = geometric(images, severity, random)
    for index in range(20):
        theta = math.radians(30 * severity * angle[index])
        shift = 0.2 * severity * 28 * np.array([down[index], right[index]])
        turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
        matrix = turn @ np.diag([1 + 0.2 * severity * tall[index], 1 + 0.2 * severity * wide[index]])
        centre = np.array([13.5, 13.5])
        offset = turn @ shift + centre - matrix @ centre
        slow = scipy.ndimage.affine_transform(images[index, 0].numpy(), matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(corrupted[index, 0].numpy(), slow, atol=1e-9)


@given(st.integers(2, 40), st.floats(0.01, 1), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_shrunk_is_a_canvas_averaged_over_areas(side: int, severity: float, source: int) -> None:
    """The slow reference: paste, repeat each pixel `side` times, and average blocks of `canvas_side` pixels."""
    image = torch.rand(1, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(source))
    random = rng_for(1, source)
    canvas_side = round(side * (1 + severity))
    row, column = (int(share * (canvas_side - side + 1)) for share in random.uniform("row, column", 2)[0])
    canvas = np.zeros((canvas_side, canvas_side))
    canvas[row : row + side, column : column + side] = image[0, 0].numpy()
    fine = canvas.repeat(side, 0).repeat(side, 1)
    slow = fine.reshape(side, canvas_side, side, canvas_side).mean((1, 3))
    np.testing.assert_allclose(shrunk(image, severity, random)[0, 0].numpy(), slow, atol=1e-12)


def test_shrunk_keeps_the_foreground_and_uses_the_whole_canvas() -> None:
    images = torch.zeros(4000, 1, 28, 28)
    images[:, :, 10:18, 10:18] = 1
    corrupted = shrunk(images, 1.0, rng_for(4000))
    torch.testing.assert_close(corrupted.sum((1, 2, 3)), torch.full((4000,), 16.0))  # a quarter of 64
    rows = corrupted.sum((1, 3)).argmax(1)
    assert rows.min() == 5
    assert rows.max() >= 19
