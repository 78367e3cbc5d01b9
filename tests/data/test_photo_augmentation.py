"""Augmentation of photographs: drawn image by image, exactly nothing at severity 0."""

import pytest
import torch

from imparfait.core.rng import CounterRng
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.photo_augmentation import MAX_SHIFT, PHOTO_AUGMENTATIONS, STRENGTHS, photo_augmentation

VARIANTS = pytest.mark.parametrize("vary", PHOTO_AUGMENTATIONS.values(), ids=PHOTO_AUGMENTATIONS)
photo, shifted_photo = PHOTO_AUGMENTATIONS["photo"], PHOTO_AUGMENTATIONS["shifted_photo"]
SHAPES = pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 48), (4, 9, 9)])


def gradients(n: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Images that get lighter from left to right, each channel from another level."""
    channels, height, width = shape
    ramp = torch.linspace(0.2, 0.6, width).expand(n, channels, height, width)
    return ramp + 0.1 * torch.arange(channels)[:, None, None]


def stream(sources: torch.Tensor, epoch: int = 0) -> CounterRng:
    return CounterRng(0, "train", epoch, sources)


@pytest.mark.parametrize("vary", STRENGTHS.values(), ids=STRENGTHS)
@SHAPES
def test_severity_0_changes_nothing(vary, shape: tuple[int, ...]) -> None:
    images = gradients(5, shape)
    assert torch.allclose(vary(images.clone(), 0.0, stream(torch.arange(5))), images, atol=1e-6)


def test_a_weaker_augmentation_changes_an_image_less() -> None:
    images = gradients(200, (3, 24, 24))
    changes = [
        (vary(images.clone(), 1.0, stream(torch.arange(200))) - images).abs().mean().item()
        for vary in STRENGTHS.values()
    ]
    assert changes == sorted(changes, reverse=True)
    assert len(set(changes)) == 3


def test_shifted_images_are_shifted_by_a_tenth_of_the_side_at_most_and_are_otherwise_the_same() -> None:
    images = torch.linspace(0, 1, 40).expand(200, 1, 40, 40)  # a pixel to the right is 1/39 lighter
    shifted = shifted_photo(images.clone(), 1.0, stream(torch.arange(200)))[:, 0, :, 8:32]
    steps = (shifted - images[:, 0, :, 8:32]) * 39
    assert steps.std((1, 2)).max() < 1e-3
    assert 0.9 * MAX_SHIFT < steps.abs().max() / 40 <= MAX_SHIFT
    assert steps.mean((1, 2)).std() > 1


def test_the_name_of_an_augmentation_tells_its_strength_and_its_changes() -> None:
    assert photo_augmentation() == "photo"
    assert photo_augmentation("mild_photo", mirrored=True, recoloured=True) == "mirrored_recoloured_mild_photo"
    assert set(PHOTO_AUGMENTATIONS) < set(AUGMENTATIONS)
    assert "half mirrored" not in AUGMENTATIONS["shifted_photo"].summary
    assert "half mirrored" in AUGMENTATIONS["mirrored_shifted_photo"].summary


@VARIANTS
@SHAPES
def test_every_image_stays_an_image_and_differs_from_epoch_to_epoch(vary, shape: tuple[int, ...]) -> None:
    images = gradients(20, shape)
    first, second = (vary(images.clone(), 1.0, stream(torch.arange(20), epoch)) for epoch in (0, 1))
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert all(not torch.equal(one, other) for one, other in zip(first, second, strict=True))


@VARIANTS
def test_an_image_is_varied_alike_whatever_is_in_its_batch(vary) -> None:
    images = gradients(30, (3, 24, 24))
    together = vary(images.clone(), 1.0, stream(torch.arange(30)))
    alone = vary(images[7:8].clone(), 1.0, stream(torch.tensor([7])))
    assert torch.allclose(together[7:8], alone, atol=1e-6)


def test_half_of_the_images_become_negatives() -> None:
    varied = PHOTO_AUGMENTATIONS["recoloured_photo"](gradients(400, (1, 24, 24)), 1.0, stream(torch.arange(400)))
    lighter_on_the_right = (varied[..., -6:].mean((1, 2, 3)) > varied[..., :6].mean((1, 2, 3))).float().mean()
    assert 0.4 < lighter_on_the_right < 0.6


def test_half_of_the_images_are_mirrored_only_where_that_was_asked_for() -> None:
    """Light on the right and at the bottom: a negative changes both, a mirror the first only."""
    images = torch.linspace(0, 0.4, 24) + torch.linspace(0, 0.4, 24)[:, None]
    images = images.expand(400, 1, 24, 24)
    for vary, share in ((photo, 0.0), (PHOTO_AUGMENTATIONS["mirrored_photo"], 0.5)):
        varied = vary(images.clone(), 1.0, stream(torch.arange(400)))
        right = varied[..., -6:].mean((1, 2, 3)) > varied[..., :6].mean((1, 2, 3))
        bottom = varied[:, :, -6:].mean((1, 2, 3)) > varied[:, :, :6].mean((1, 2, 3))
        assert (right != bottom).float().mean().item() == pytest.approx(share, abs=0.08)


def test_the_report_says_that_no_corruption_was_seen() -> None:
    assert (
        describe_overlap(AUGMENTATIONS["photo"])
        == "No corruption was seen in training, only mild changes of photographs."
    )
    assert AUGMENTATIONS["photo"].images_per_epoch(100) == 100
