"""The manifest of the digit fonts is well-formed and keeps every design in one split."""

import importlib.util
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest
from PIL import ImageFont

from imparfait.core.errors import UserError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tools" / "digit_fonts.py"
FREE_LICENCES = {"OFL-1.0", "OFL-1.1", "Apache-2.0", "UFL-1.0", "BSD-3-Clause", "public-domain"}


@pytest.fixture(scope="module")
def fonts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digit_fonts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["digit_fonts"] = module  # pydantic resolves annotations there
    spec.loader.exec_module(module)
    return module


def test_every_font_is_pinned_and_free(fonts: ModuleType) -> None:
    for font in fonts.manifest():
        assert len(font.sha256) == 64
        assert set(font.sha256) <= set("0123456789abcdef")
        assert font.version[0].isdigit()
        assert font.licence in FREE_LICENCES
        assert not Path(font.file).is_absolute()
        assert ".." not in Path(font.file).parts


def test_names_and_files_are_unique(fonts: ModuleType) -> None:
    entries = fonts.manifest()
    assert len({font.path(Path("fonts")) for font in entries}) == len(entries)
    assert len({font.name for font in entries}) == len(entries)
    assert len({font.sha256 for font in entries}) == len(entries)


@pytest.mark.parametrize("part", ["split", "kind"])
def test_no_design_is_in_two_parts(fonts: ModuleType, part: str) -> None:
    parts = defaultdict(set)
    for font in fonts.manifest():
        parts[font.design].add(getattr(font, part))
    assert all(len(names) == 1 for names in parts.values())


@pytest.mark.parametrize("part", ["design", "kind"])
def test_a_family_is_one_design(fonts: ModuleType, part: str) -> None:
    parts = defaultdict(set)
    for font in fonts.manifest():
        parts[font.family].add(getattr(font, part))
    assert {family: found for family, found in parts.items() if len(found) > 1} == {}


def test_every_kind_is_in_every_split(fonts: ModuleType) -> None:
    present = {(font.kind, font.split) for font in fonts.manifest()}
    assert present == {(kind, split) for kind in get_args(fonts.Kind) for split in get_args(fonts.Split)}


def test_the_test_split_has_european_ones_and_sevens(fonts: ModuleType) -> None:
    forms = {font.family for font in fonts.manifest() if font.split == "test" and font.upstroke_1 and font.barred_7}
    assert "Ecolier_court" in forms  # the digits of French schools
    assert len(forms) >= 3


def test_load_says_how_to_get_fonts_that_are_absent(fonts: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        fonts.load(tmp_path, "fit", "handwriting")
    assert str(tmp_path) in error.value.received
    assert "digit_fonts.py" in error.value.hint


def test_a_failing_download_is_one_sentence(fonts: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as error:
        fonts.fetch(tmp_path / "fonts")
    assert error.value.received == "npm is not installed"


@pytest.mark.parametrize("height", [8, 20, 61])
def test_a_glyph_has_the_height_asked_for_and_no_margin(
    fonts: ModuleType, monkeypatch: pytest.MonkeyPatch, height: int
) -> None:
    monkeypatch.setattr(fonts, "_font", lambda path, size: ImageFont.load_default(size))
    face = fonts.Face("default", "default", 0, "printed", "fit", Path("none"), "OFL-1.1", False, False)
    for digit in range(10):
        drawn = fonts.glyph(face, digit, height)
        assert drawn.dtype == np.uint8
        assert drawn.shape[0] == height
        assert drawn[0].any()
        assert drawn[-1].any()
        assert drawn[:, 0].any()
        assert drawn[:, -1].any()
