"""NRTK: its perturbers in our suites, and our corruptions where it takes a perturber."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars

import imparfait
from imparfait.core.errors import UserError
from imparfait.core.types import Logits
from imparfait.data.dataset import LabelledImages
from imparfait.interop.nrtk import NrtkPerturber, corruption_of
from imparfait.transforms import Corrupt


class Darker:
    """As NRTK's perturbers: arguments by keyword only, an image and boxes returned."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.shapes: set[tuple[int, ...]] = set()

    def perturb(self, *, image: np.ndarray, boxes: Any = None, **metadata: Any) -> tuple[np.ndarray, Any]:
        assert image.dtype == np.uint8
        self.shapes.add(image.shape)
        return (image * self.factor).astype(np.uint8), boxes

    __call__ = perturb


class Speckle(Darker):
    def perturb(self, *, image: np.ndarray, boxes: Any = None, **metadata: Any) -> tuple[np.ndarray, Any]:
        return np.random.default_rng(int(self.factor)).integers(0, 256, image.shape, np.uint8), boxes

    __call__ = perturb


def brightest(images: np.ndarray) -> Logits:
    brightness = images.mean((1, 2, 3))
    return np.stack([brightness, 0.1 - brightness, 0 * brightness], 1).astype(np.float32)


@pytest.fixture(scope="module")
def bars() -> LabelledImages:
    return draw_bars(40)


def test_a_perturber_is_a_corruption_of_one_severity(bars: LabelledImages) -> None:
    darker = Darker(0.25)
    scores = imparfait.evaluate(brightest, bars, suite=["rotate", corruption_of("darker", darker)])
    assert [score.severity for score in scores.scores if score.corruption == "darker"] == [1.0]
    assert darker.shapes == {(16, 16)}
    corruption = corruption_of("darker", darker)
    images = torch.from_numpy(bars.pixels) / 255
    rng = imparfait.CounterRng(0, "test", 0, torch.from_numpy(bars.sources))
    expected = (bars.pixels * 0.25).astype(np.uint8)
    assert np.array_equal((corruption(images, 1.0, rng) * 255).round().numpy(), expected)
    assert torch.equal(corruption(images, 0.0, rng), images)


@pytest.mark.parametrize("kind", ["sequence", "function"])
def test_perturbers_by_severity(kind: str, bars: LabelledImages) -> None:
    factors = (0.9, 0.7, 0.5, 0.3, 0.1)
    perturbers: Any = [Darker(factor) for factor in factors]
    if kind == "function":
        perturbers = lambda severity, seed: Darker(1.1 - severity)  # noqa: E731
    corruption = corruption_of("darker", perturbers)
    scores = imparfait.evaluate(brightest, bars, suite=[corruption])
    assert [score.severity for score in scores.scores] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    images = torch.full((5, 3, 4, 4), 200 / 255, dtype=torch.float64)
    rng = imparfait.CounterRng(0, "test", 0, torch.arange(5))
    found = corruption(images, torch.tensor(corruption.levels, dtype=torch.float64), rng)
    assert [round(float(each.mean()) * 255) for each in found] == pytest.approx([200 * f for f in factors], abs=1)


def test_a_random_perturber_gives_an_image_the_same_pixels_in_any_order(bars: LabelledImages) -> None:
    corruption = corruption_of("speckle", lambda severity, seed: Speckle(seed))
    images, sources = torch.from_numpy(bars.pixels) / 255, torch.from_numpy(bars.sources)
    found = corruption(images, 1.0, imparfait.CounterRng(0, "test", 0, sources))
    backwards = corruption(images.flip(0), 1.0, imparfait.CounterRng(0, "test", 0, sources.flip(0)))
    assert torch.equal(found, backwards.flip(0))
    assert len({each.numpy().tobytes() for each in found}) == len(bars)


@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 3)])
@pytest.mark.parametrize("name", ["photo.fog", "gaussian_noise"])
def test_our_corruption_is_a_perturber(name: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = image.copy()
    perturber = NrtkPerturber(name, 0.6, seed=2)
    found, boxes = perturber(image=image, boxes=["a box"], id=7)
    assert boxes == ["a box"]
    assert np.array_equal(image, before)
    suite = "photo" if name.startswith("photo.") else "digits"
    assert np.array_equal(found, Corrupt(name, 0.6, suite=suite, seed=2)(image))
    again = NrtkPerturber.from_config(perturber.get_config())
    assert np.array_equal(again.perturb(image=image)[0], found)
    assert perturber.get_type_string() == "imparfait.interop.nrtk.NrtkPerturber"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: corruption_of("darker", [Darker(1)]), "darker: 1 perturbers; expected 5"),
        (lambda: corruption_of("darker", 3), "darker: a int; expected a perturber"),
        (lambda: NrtkPerturber("fogg", 0.5), "no corruption is called 'fogg'"),
        (lambda: NrtkPerturber("rotate", 0.5)(image=np.zeros((8, 8)), boxes=[]), "boxes of objects with rotate"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_perturber_that_changes_the_size_is_refused(bars: LabelledImages) -> None:
    class Half(Darker):
        def perturb(self, *, image: np.ndarray, boxes: Any = None, **metadata: Any) -> tuple[np.ndarray, Any]:
            return image[::2], boxes

        __call__ = perturb

    with pytest.raises(UserError, match=r"half: the perturber returned uint8 of shape \(8, 16\)"):
        imparfait.evaluate(brightest, bars, suite=[corruption_of("half", Half(1))])


def test_nrtks_own_perturbers_are_corruptions(bars: LabelledImages) -> None:
    enhance = pytest.importorskip("nrtk.impls.perturb_image.photometric.enhance")
    from nrtk.impls.perturb_factory import PerturberLinspaceFactory
    from nrtk.impls.perturb_image.geometric.random import RandomTranslationPerturber

    factory = PerturberLinspaceFactory(
        perturber=enhance.BrightnessPerturber, theta_key="factor", start=0.8, stop=0.1, num=5
    )
    shift = corruption_of("shift", lambda severity, seed: RandomTranslationPerturber(seed=seed))
    scores = imparfait.evaluate(brightest, bars, suite=[corruption_of("darker", factory), shift])
    again = imparfait.evaluate(brightest, bars.select(np.arange(40)[::-1]), suite=[shift])
    assert len(scores.scores) == 11
    expected = [score.correct for score in scores.scores if score.corruption == "shift"]
    assert [score.correct for score in again.scores if score.corruption == "shift"] == expected


def test_nrtk_takes_our_corruptions() -> None:
    interfaces = pytest.importorskip("nrtk.interfaces")
    from nrtk.impls.perturb_image import ComposePerturber

    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    fog, noise = NrtkPerturber("photo.fog", 0.4), NrtkPerturber("photo.gaussian_noise", 0.2)
    found, _ = ComposePerturber([fog, noise])(image=image)
    assert np.array_equal(found, noise(image=fog(image=image)[0])[0])
    interfaces.PerturbImage.register(NrtkPerturber)
    assert isinstance(fog, interfaces.PerturbImage)


def test_nrtks_augmentation_takes_our_corruptions_and_our_images(bars: LabelledImages) -> None:
    maite = pytest.importorskip("nrtk.interop")
    from imparfait.interop.maite import MaiteDataset

    dataset, perturber = MaiteDataset(bars), NrtkPerturber("photo.fog", 0.6)
    augment = maite.MAITEImageClassificationAugmentation(augment=perturber, augment_id="fog")
    rows = [dataset[row] for row in range(6)]
    images, _, metadata = augment(tuple(map(list, zip(*rows, strict=True))))
    for (image, _, _), found, known in zip(rows, images, metadata, strict=True):
        assert np.array_equal(np.asarray(found).reshape(16, 16), perturber(image=image[0])[0])
        assert known["nrtk_perturber_config"] == [perturber.get_config()]
