"""Out-of-distribution images: reproducible, and the sets for training share nothing with those for testing."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from string import ascii_letters

import matplotlib
import numpy as np
import pytest
from helpers.bars import draw_bars
from PIL import ImageFont

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood import LIKE, OOD_SETS, base, draw_outliers, glyphs, held_out, scrambled, synthetic
from imparfait.data.ood.outlier_exposure import LETTERS
from imparfait.data.ood.photos import _grey

every_set = pytest.mark.parametrize("name", OOD_SETS)


def draw(name: str, n: int, height: int = 28, width: int = 28, channels: int = 1, seed: int = 0) -> np.ndarray:
    pixels = OOD_SETS[name].draw(n, height, width, channels, seed)
    if pixels is None:
        pytest.skip(f"{name}: its source is not installed")
    return pixels


def by_purpose() -> tuple[list, list]:
    """The sets for training, and those for testing."""
    return tuple([s for s in OOD_SETS.values() if s.purpose == purpose] for purpose in ("fitting", "testing"))


@every_set
@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (16, 20, 3), (40, 32, 1)])
def test_images_have_the_requested_shape_and_equal_channels(name: str, height: int, width: int, channels: int) -> None:
    pixels = draw(name, 6, height, width, channels)
    assert pixels.shape == (6, channels, height, width)
    assert pixels.dtype == np.uint8
    assert (pixels == pixels[:, :1]).all()


@every_set
def test_an_image_depends_on_its_number_and_the_seed_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = draw(name, 50)
    assert np.array_equal(pixels, draw(name, 50))
    assert np.array_equal(pixels[:5], draw(name, 5))
    monkeypatch.setattr(base, "CHUNK", 7)
    assert np.array_equal(pixels, draw(name, 50))
    assert not np.array_equal(pixels, draw(name, 50, seed=1))


@every_set
def test_images_differ_and_use_the_range_of_greys(name: str) -> None:
    pixels = draw(name, 60)
    assert len(np.unique(pixels.reshape(60, -1), axis=0)) > 45  # some blank images are empty
    assert pixels.max() > 200
    assert pixels.min() < 20


def test_training_and_test_sets_share_no_function_font_family_photograph_or_file() -> None:
    training, testing = by_purpose()
    assert {ood_set.make.__name__ for ood_set in training}.isdisjoint(ood_set.make.__name__ for ood_set in testing)
    files, test_files = ({path for s in sets for path in s.made_from} for sets in (training, testing))
    assert files.isdisjoint(test_files)
    assert all(ood_set.make.__module__.endswith("synthetic") for ood_set in training)
    assert all(ood_set.make.__module__.endswith("held_out") for ood_set in testing)
    families = [{family(font) for font in fonts} for fonts in (synthetic.OTHER_FONTS, held_out.FONTS)]
    assert families == [{"DejaVu"}, {"STIXGeneral", "cm"}]


def family(font: str) -> str:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / font
    name = ImageFont.truetype(str(path), 20).getname()[0] or ""
    return "cm" if name.startswith("cm") else name.split()[0]


def test_training_and_test_modules_do_not_import_each_other() -> None:
    """What they share takes the font or photograph as an argument."""
    for module, other in ((synthetic, "held_out"), (held_out, "synthetic")):
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not any(name.endswith(other) for name in imported)


def test_every_set_is_named_like_its_function_and_lists_its_fonts() -> None:
    for name, ood_set in OOD_SETS.items():
        assert ood_set.make.__name__ == name
        assert ood_set.description
        if "letters" in name:
            assert ood_set.made_from == (held_out.FONTS if ood_set.purpose == "testing" else synthetic.OTHER_FONTS)


@pytest.mark.parametrize("photograph", [*held_out.PHOTOGRAPHS, *synthetic.OTHER_PHOTOGRAPHS])
def test_the_photographs_are_installed(photograph: str) -> None:
    assert min(_grey(photograph).size) > 300


@pytest.mark.parametrize("photograph", ["sklearn/datasets/images/none.jpg", "no_such_package/none.jpg"])
def test_a_missing_photograph_is_a_user_error(photograph: str) -> None:
    with pytest.raises(UserError, match=f"none.jpg is not installed; {re.escape(install_hint('train'))}"):
        _grey(photograph)


def test_letters_leave_out_those_like_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(glyphs.UNLIKE_DIGITS) | set(glyphs.LIKE_DIGITS) == set(ascii_letters)
    assert set("OoIlSsZzBQgqb") <= set(glyphs.LIKE_DIGITS)
    letters: dict[str, set[str]] = {}
    glyph = glyphs._glyph
    for name in ("letters", "other_letters", LIKE):
        letters[name] = set()

        def recorded(font: str, letter: str, thicker: int, into: set[str] = letters[name]):
            into.add(letter)
            return glyph(font, letter, thicker)

        monkeypatch.setattr(glyphs, "_glyph", recorded)
        draw(name, 600)
    assert letters == {
        "letters": set(glyphs.UNLIKE_DIGITS),
        "other_letters": set(glyphs.UNLIKE_DIGITS),
        LIKE: set(glyphs.LIKE_DIGITS),
    }


@pytest.mark.parametrize("name", ["letters", LIKE, "other_letters"])
def test_letters_are_about_as_large_and_as_thick_as_mnist_digits(name: str) -> None:
    """MNIST's digits fill 20 of 28 pixels and have a mean grey level of 33."""
    pixels = draw(name, 300)[:, 0]
    sides = [max(np.ptp(np.flatnonzero(image.any(axis))) + 1 for axis in (0, 1)) for image in pixels > 64]
    assert 17 <= np.median(sides) <= 23
    assert 22 <= pixels.mean() <= 45
    assert pixels[:, :2].mean() < 5  # few touch the upper edge


def test_fashion_gives_each_image_once() -> None:
    pixels = draw("fashion", 10_000)
    assert len(np.unique(pixels.reshape(10_000, -1), axis=0)) > 9990
    with pytest.raises(UserError, match="Fashion-MNIST has 10000 test images, expected 10001"):
        draw("fashion", 10_001)


def test_fashion_is_none_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(held_out, "FASHION", tmp_path / "none")
    assert OOD_SETS["fashion"].draw(5, 28, 28, 1, 0) is None


@pytest.mark.parametrize(("side", "channels"), [(16, 1), (28, 3)])
def test_scrambled_digits_keep_their_blocks_in_another_order(side: int, channels: int) -> None:
    data = draw_bars(40, side=side, channels=channels)
    pixels = scrambled(data, 0)
    assert pixels.shape == data.pixels.shape
    assert np.array_equal(np.sort(pixels.reshape(40, -1)), np.sort(data.pixels.reshape(40, -1)))
    assert (pixels != data.pixels).any((1, 2, 3)).mean() > 0.9
    block = side // 4
    for before, after in zip(data.pixels, pixels, strict=True):
        assert blocks_of(before, block) == blocks_of(after, block)


def blocks_of(image: np.ndarray, side: int) -> list[bytes]:
    places = range(0, image.shape[1], side)
    return sorted(image[:, row : row + side, column : column + side].tobytes() for row in places for column in places)


def test_a_scrambled_digit_depends_on_its_source_and_the_seed_only(bars: LabelledImages) -> None:
    whole = scrambled(bars, 0)
    rows = np.array([5, 3, 20])
    assert np.array_equal(scrambled(bars.select(rows), 0), whole[rows])
    assert not np.array_equal(scrambled(bars, 1), whole)
    assert scrambled(draw_bars(3, side=18), 0).shape == (3, 1, 18, 18)


def test_test_images_are_not_scrambled(bars: LabelledImages) -> None:
    with pytest.raises(UserError, match="not test images"):
        scrambled(bars.select(np.arange(3), "test"), 0)


def test_a_training_gets_equal_shares_of_each_set_and_letters_only_for_digits() -> None:
    digits = replace(draw_bars(30), classes=("0", "1", "2"))
    training = [name for name, ood_set in OOD_SETS.items() if ood_set.purpose == "fitting"]
    for data, omitted in ((digits, set()), (draw_bars(30), set(LETTERS))):
        sets = 1 + len(set(training) - omitted)  # and pieces of its own images
        outliers = draw_outliers(data, 0.5 * sets / 15, seed=0)
        assert outliers.shape == (sets, 1, 16, 16)
        drawn_sets = {
            name for name in training if any((outliers == OOD_SETS[name].draw(1, 16, 16, 1, 0)).all((1, 2, 3)))
        }
        assert drawn_sets == set(training) - omitted
    assert not np.array_equal(draw_outliers(digits, 0.5, seed=0), draw_outliers(digits, 0.5, seed=1))
