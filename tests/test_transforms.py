"""Corruptions as transforms: the kind of image given is the kind returned, with the same pixels for every kind."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from imparfait.core.errors import UserError
from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS
from imparfait.transforms import Corrupt

SOME = ("fog", "gaussian_noise", "glass_blur", "jpeg_compression", "elastic_transform")


@pytest.fixture
def photo() -> np.ndarray:
    return np.array(Image.fromarray(load_sample_image("china.jpg")).resize((48, 40)))


@pytest.mark.parametrize("name", SOME)
def test_every_kind_of_image_gets_the_same_corruption(name: str, photo: np.ndarray) -> None:
    corrupt = Corrupt(name, severity=(0.2, 0.6))
    expected = corrupt(photo)
    assert expected.shape == photo.shape
    assert expected.dtype == np.uint8
    assert not np.array_equal(expected, photo)
    chw = torch.from_numpy(photo).permute(2, 0, 1)
    assert np.array_equal(corrupt(chw).permute(1, 2, 0).numpy(), expected)
    assert np.array_equal(corrupt(chw.expand(2, -1, -1, -1))[1].permute(1, 2, 0).numpy(), expected)
    image = corrupt(Image.fromarray(photo))
    assert isinstance(image, Image.Image)
    assert np.array_equal(np.asarray(image), expected)
    as_float = corrupt(photo.astype(np.float32) / 255)
    assert as_float.dtype == np.float32
    np.testing.assert_allclose(as_float, expected / 255, atol=0.51 / 255)
    assert np.array_equal(corrupt(np.stack([photo, photo]))[0], expected)


def test_grey_images_of_every_kind(photo: np.ndarray) -> None:
    corrupt = Corrupt("motion_blur", severity=0.6)
    grey = Image.fromarray(photo).convert("L")
    image = corrupt(grey)
    assert image.mode == "L"
    assert np.array_equal(corrupt(np.asarray(grey)), np.asarray(image))
    assert np.array_equal(corrupt(torch.from_numpy(np.array(grey))[None])[0].numpy(), np.asarray(image))


@pytest.mark.parametrize("name", [name.removeprefix("photo.") for name in PHOTO_CORRUPTIONS])
def test_every_corruption_of_photographs_is_a_transform(name: str, photo: np.ndarray) -> None:
    assert Corrupt(name, severity=0.0)(photo).tolist() == photo.tolist()
    assert Corrupt(name, severity=1.0)(photo).tolist() != photo.tolist()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_of_digits_is_a_transform(name: str, photo: np.ndarray) -> None:
    assert Corrupt(name, severity=1.0, suite="digits")(photo).shape == photo.shape


def test_it_is_pickled_and_repeats(photo: np.ndarray) -> None:
    corrupt = Corrupt("snow", severity=(0.2, 0.8), seed=3)
    copy = pickle.loads(pickle.dumps(corrupt))
    assert copy == corrupt
    assert np.array_equal(copy(photo), corrupt(photo))
    assert not np.array_equal(Corrupt("snow", severity=(0.2, 0.8), seed=4)(photo), corrupt(photo))


def test_severities_are_drawn_over_the_range() -> None:
    images = torch.rand(400, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.1
    brighter = Corrupt("brightness", severity=(0.2, 0.6), suite="digits")(images)
    added = (brighter - images).mean((1, 2, 3)) / 0.98
    assert 0.2 <= float(added.min()) < 0.21
    assert 0.59 < float(added.max()) <= 0.6
    assert float(added.mean()) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Corrupt("fogg"), r"no corruption is called 'photo\.fogg'; did you mean 'photo\.fog'"),
        (lambda: Corrupt("fog", severity=1.5), r"severity 1\.5; expected a number in 0\.\.1"),
        (lambda: Corrupt("fog", severity=(0.6, 0.2)), "expected a number in"),
        (lambda: Corrupt("fog", suite="full"), "suite 'full'; expected photo or digits"),
        (lambda: Corrupt("fog")("photo.jpg"), "a str; expected a tensor, an array or a PIL image"),
        (lambda: Corrupt("fog")(torch.zeros(4, 8, 8)), "images of shape"),
        (lambda: Corrupt("fog")(torch.zeros(3, 8, 8, dtype=torch.int32)), "images of type int32"),
        (lambda: Corrupt("fog")(Image.new("RGBA", (8, 8))), "a PIL image of mode RGBA; expected L or RGB"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()  # type: ignore[operator]
