"""Properties of our networks: spatial normalisation, any image size, seeded weights, bfloat16 checks."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from imparfait.core.errors import UserError
from imparfait.core.hardware import bf16_agrees, choose_compute
from imparfait.models.duo import local_contrast, standardised
from imparfait.models.petit import JITTER_ANGLE_RAD, JITTER_SCALE, JITTER_SHEAR, JITTER_SHIFT, SpatialNormalizer
from imparfait.models.registry import MODELS, build


def blob(side: int, row: float, column: float, size: float, slant: float = 0.0) -> torch.Tensor:
    """A soft bright ellipse, twice as tall as wide, on an image of this side: float32 [1, 1, side, side]."""
    across = torch.arange(side, dtype=torch.float64)
    down, right = across[:, None] - row, across - column
    return torch.exp(-((down / size) ** 2) - ((right - slant * down) / (size / 2)) ** 2).float()[None, None]


@pytest.mark.parametrize(
    "other",
    [
        blob(40, 9, 27, 4),
        blob(40, 20, 20, 6),
        blob(61, 30, 12, 8),
        blob(40, 21, 19, 5, slant=0.3),
        0.4 * blob(40, 20, 20, 4),
    ],
    ids=["moved", "larger", "another canvas", "slanted", "paler"],
)
def test_normalised_objects_are_alike_whatever_their_position_and_size(other: torch.Tensor) -> None:
    normalizer = SpatialNormalizer(24).eval()
    expected, result = normalizer(blob(40, 20, 20, 4)), normalizer(other)
    assert (result / result.max() - expected / expected.max()).abs().max() < 0.06


def test_large_images_are_averaged_before_they_are_sampled() -> None:
    fine = blob(400, 120, 260, 40)
    noise = torch.rand(fine.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    normalizer = SpatialNormalizer(24).eval()
    noisy = (fine + 0.5 * noise * (fine > 0.1)).clamp(min=0)
    assert (normalizer(noisy) - normalizer(fine)).abs().mean() < 0.02


def test_an_empty_image_stays_empty() -> None:
    for normalizer in (SpatialNormalizer(24).eval(), SpatialNormalizer(24).train()):
        assert torch.equal(normalizer(torch.zeros(2, 1, 28, 28)), torch.zeros(2, 1, 24, 24))


def test_jitter_in_training_is_centred_and_within_its_bounds() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        right, down = SpatialNormalizer(24).train().sampling_grid(torch.zeros(4000, 1, 28, 28))
    line = torch.arange(24) - 11.5
    # The corner of the frame at the largest rotation, scale, shear and shift.
    limit = 11.5 * (1 + JITTER_SCALE) * (1 + math.sin(JITTER_ANGLE_RAD)) * (1 + JITTER_SHEAR) + 24 * JITTER_SHIFT
    for grid, exact in ((right, line[None, :].expand(24, 24)), (down, line[:, None].expand(24, 24))):
        assert grid.abs().max() < limit
        assert (grid.mean(0) - exact).abs().max() < 0.2
        assert grid.std(0).min() > 0.5
        assert grid.std(0).max() < 2.5


def test_jitter_is_off_in_evaluation_mode() -> None:
    normalizer, image = SpatialNormalizer(24).eval(), blob(28, 12, 17, 4)
    assert torch.equal(normalizer(image), normalizer(image))
    assert not torch.equal(normalizer.train()(image), normalizer.eval()(image))


def test_local_contrast_as_saliency_ignores_a_light_background() -> None:
    image, by_contrast = blob(40, 12, 26, 4), SpatialNormalizer(24, saliency=local_contrast, padding="border").eval()
    expected = by_contrast(image)
    assert (by_contrast(0.5 + 0.5 * image) - (0.5 + 0.5 * expected)).abs().max() < 0.02
    assert (by_contrast(1 - image) - (1 - expected)).abs().max() < 0.02
    by_brightness = SpatialNormalizer(24).eval()  # this one the background does shift
    assert (by_brightness(0.5 + 0.5 * image) - (0.5 + 0.5 * by_brightness(image))).abs().max() > 0.2


def test_standardised_images_are_alike_whatever_their_brightness_and_contrast() -> None:
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    result = standardised(images)
    assert result.mean((1, 2, 3)).abs().max() < 1e-9
    assert result.square().mean((1, 2, 3)).sqrt() == pytest.approx(1, abs=0.01)
    assert (standardised(0.3 + 0.5 * images) - result).abs().max() < 0.02
    one_grey = torch.full((1, 1, 8, 8), 0.3) + 1e-6 * torch.rand(1, 1, 8, 8)
    assert standardised(one_grey).abs().max() < 0.01


@pytest.mark.parametrize("name", ["petit", "grand", "duo"])
@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (17, 23, 3), (9, 8, 1)])
def test_our_networks_take_images_of_any_size(name: str, height: int, width: int, channels: int) -> None:
    model = build(name, channels=channels, classes=4, model_args={"filters": 4}).eval()
    assert model(torch.rand(3, channels, height, width)).shape == (3, 4)


@pytest.mark.parametrize("frame", [0, 4, 22, 260, 4096])
def test_an_impossible_frame_is_rejected(frame: int) -> None:
    with pytest.raises(UserError, match=f"frame was given as {frame}; expected a multiple of 4 from 8 to 256"):
        build("duo", channels=1, classes=3, model_args={"frame": frame})


@pytest.mark.parametrize("name", MODELS)
def test_initial_weights_are_a_function_of_the_seed(name: str) -> None:
    first, again, other = (
        build(name, channels=1, classes=10, height=28, width=28, seed=seed).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())


@pytest.mark.parametrize("name", MODELS)
def test_a_correct_bfloat16_is_accepted(name: str) -> None:
    images = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    model = build(name, channels=1, classes=10, height=28, width=28)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert bf16_agrees(model, images)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_wrong_bfloat16_is_rejected() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = self.head(images.flatten(1))
            return logits.flip(1) if logits.dtype == torch.bfloat16 else logits

    assert not bf16_agrees(Wrong(), torch.rand(8, 1, 8, 8))


def test_the_compute_configuration_is_deterministic() -> None:
    model, images = build("petit", channels=1, classes=3), torch.rand(8, 1, 16, 16)
    assert choose_compute(model, images, "cpu") == choose_compute(model, images, "cpu")
    assert 1 <= choose_compute(model, images, "cpu").threads <= 8
    assert np.isfinite(model(images).detach().numpy()).all()


def test_local_contrast_is_the_squared_difference_from_the_mean_of_the_surround() -> None:
    images = torch.rand(3, 2, 13, 18, generator=torch.Generator().manual_seed(0))
    grey = images.mean(1, keepdim=True)
    padded = torch.nn.functional.pad(grey, (4, 4, 4, 4), mode="replicate")
    surround = padded.unfold(2, 9, 1).unfold(3, 9, 1).mean((4, 5))
    assert torch.allclose(local_contrast(images), (grey - surround).square()[:, 0], atol=1e-6)
