"""Augmentation of photographs: mild, drawn image by image, exactly nothing at severity 0."""

import pytest
import torch

from imparfait.core.rng import CounterRng
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.photo_augmentation import mirrored_photo, mirrored_recoloured_photo, photo, recoloured_photo

VARIANTS = pytest.mark.parametrize("vary", [photo, mirrored_photo, recoloured_photo, mirrored_recoloured_photo])
SHAPES = pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 48), (4, 9, 9)])


def gradients(n: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Images that get lighter from left to right, each channel from another level."""
    channels, height, width = shape
    ramp = torch.linspace(0.2, 0.6, width).expand(n, channels, height, width)
    return ramp + 0.1 * torch.arange(channels)[:, None, None]


def stream(sources: torch.Tensor, epoch: int = 0) -> CounterRng:
    return CounterRng(0, "train", epoch, sources)


@SHAPES
def test_severity_0_changes_nothing(shape: tuple[int, ...]) -> None:
    images = gradients(5, shape)
    assert torch.equal(photo(images.clone(), 0.0, stream(torch.arange(5))), images)


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
    varied = recoloured_photo(gradients(400, (1, 24, 24)), 1.0, stream(torch.arange(400)))
    lighter_on_the_right = (varied[..., -6:].mean((1, 2, 3)) > varied[..., :6].mean((1, 2, 3))).float().mean()
    assert 0.4 < lighter_on_the_right < 0.6


def test_half_of_the_images_are_mirrored_only_where_that_was_asked_for() -> None:
    """Light on the right and at the bottom: a negative changes both, a mirror the first only."""
    images = torch.linspace(0, 0.4, 24) + torch.linspace(0, 0.4, 24)[:, None]
    images = images.expand(400, 1, 24, 24)
    for vary, share in ((photo, 0.0), (mirrored_photo, 0.5)):
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
