"""Corruptions and augmentations on the device of their images: the CPU's pixels, and no value is read back."""

import pytest
import torch
from helpers.bars import draw_bars
from helpers.devices import DEVICES, OneDevice, on_meta

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.corruptions import ALL_CORRUPTIONS, CORRUPTIONS, edges
from imparfait.data.augmentation import AUGMENTATIONS, PHOTO_AUGMENTATIONS

READ_BACK = {
    "canny_edges": "hysteresis goes on until nothing changes, however long the strokes are",
    "photo.pixelate": "Pillow's filter",
    "photo.jpeg_compression": "Pillow's libjpeg",
    "photo.webp": "Pillow's libwebp",
}
"""The corruptions that read pixels back from the device, and why."""

DECIDED_BY_ROUNDING = {"jpeg", "canny_edges", "photo.pixelate", "photo.jpeg_compression", "photo.webp"}
"""A last bit decides about a whole grey level, or an edge: some pixels of these may differ between devices."""

SIZES = [(1, 28, 28), (3, 32, 40)]
SEVERITIES = [0.4, 1.0, torch.linspace(0, 1, 6)]
every_corruption = pytest.mark.parametrize("name", ALL_CORRUPTIONS)
every_device = pytest.mark.parametrize("device", DEVICES)


def pictures(size: tuple[int, int, int], n: int = 6) -> torch.Tensor:
    """Bars on a background that is dark, as of digits, or noise, as of photographs."""
    channels, height, width = size
    images = torch.rand(n, *size, generator=torch.Generator().manual_seed(0))
    images[: n // 2] *= images[: n // 2] > 0.7
    side = min(height, width)
    images[..., :side, :side] = torch.maximum(
        images[..., :side, :side], torch.from_numpy(draw_bars(n, side, channels).pixels) / 255
    )
    return images


def numbers(device: str, n: int = 6) -> CounterRng:
    return CounterRng(3, "test", 1, torch.arange(n) * 7).to(torch.device(device))


def assert_same(name: str, device: str, there: torch.Tensor, here: torch.Tensor) -> None:
    """Equal within arithmetic; where rounding decides and another device computes, nearly all pixels are."""
    assert there.device.type == device
    apart = (there.cpu() - here).abs() > 1e-3
    assert apart.float().mean() <= (0.01 if name in DECIDED_BY_ROUNDING and device != "cpu" else 0)


@every_device
@pytest.mark.parametrize("severity", SEVERITIES, ids=["0.4", "1", "each"])
@every_corruption
def test_a_corruption_gives_the_same_pixels_on_every_device(name, severity, device, monkeypatch) -> None:
    """The CPU takes shortcuts: what is done on other devices instead is run here too, on each."""
    for size in SIZES:
        images = pictures(size)
        here = ALL_CORRUPTIONS[name](images, severity, numbers("cpu"))
        with monkeypatch.context() as patch:
            patch.setattr(tensors, "on_cpu", lambda values: False)
            there = ALL_CORRUPTIONS[name](images.to(device), severity, numbers(device))
        assert_same(name, device, there, here)


@every_device
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_gives_the_same_pixels_on_every_device(name, device, monkeypatch) -> None:
    augmentation, images, sources = AUGMENTATIONS[name], pictures((3, 28, 28), 40), torch.arange(40)
    source, share = augmentation.rows(0, 1, sources).T
    here = augmentation.apply(images[source], share, 0, 1, sources[source])
    monkeypatch.setattr(tensors, "on_cpu", lambda values: False)
    there = augmentation.apply(images[source].to(device), share, 0, 1, sources[source])
    assert_same("jpeg" if name not in PHOTO_AUGMENTATIONS else name, device, there, here)


@pytest.mark.parametrize("severity", SEVERITIES, ids=["0.4", "1", "each"])
@every_corruption
def test_a_corruption_stays_on_the_device_and_reads_nothing_back(name, severity) -> None:
    for size in SIZES:
        images = on_meta(pictures(size))
        if name in READ_BACK:
            with pytest.raises(NotImplementedError):
                ALL_CORRUPTIONS[name](images, severity, numbers("meta"))
            continue
        with OneDevice():
            corrupted = ALL_CORRUPTIONS[name](images, severity, numbers("meta"))
        assert (corrupted.device.type, corrupted.shape, corrupted.dtype) == ("meta", images.shape, images.dtype)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_stays_on_the_device_and_reads_nothing_back(name, monkeypatch) -> None:
    """But for the hysteresis of canny_edges, which is left out here."""
    assert [name for name in READ_BACK if name in CORRUPTIONS] == ["canny_edges"]
    monkeypatch.setattr(edges, "_hysteresis", lambda strong, weak: strong)
    source, share = AUGMENTATIONS[name].rows(0, 1, torch.arange(40)).T
    images = on_meta(pictures((3, 28, 28), 40)[source])
    with OneDevice():
        assert AUGMENTATIONS[name].apply(images, share, 0, 1, source).device.type == "meta"
