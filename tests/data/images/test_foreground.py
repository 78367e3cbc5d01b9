"""The foreground is found on any paper, in any ink; where there is none, nothing is."""

import io

import numpy as np
import pytest
from helpers.normalized import SEVEN, alike, decoded
from helpers.photos import SCENES, file
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imparfait.data.images.foreground import find_foreground
from imparfait.data.images.paper import find_paper
from imparfait.data.images.placement import place


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_glyph_is_found_on_any_paper_in_any_ink(scene: str, kind: str) -> None:
    got = decoded(file(SCENES[scene](SEVEN, np.random.default_rng(0)), kind))
    assert alike(got.pixels) > 0.85, got.preprocessing
    assert not got.unchanged


@given(
    st.floats(0.25, 0.7), st.integers(60, 500), st.tuples(*[st.floats(0, 1)] * 6), st.sampled_from([1, 3]),
    st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_on_a_uniform_background_the_fast_path_agrees_with_the_slow_one(
    share: float, side: int, colours: tuple[float, ...], channels: int, across: float, down: float
) -> None:
    ground, ink = np.float32(colours[:channels]), np.float32(colours[3 : 3 + channels])
    if np.abs(ground - ink).max() < 0.3:
        return
    tall = round(share * side)
    sign = np.asarray(Image.fromarray(SEVEN).resize((tall, tall), Image.Resampling.BICUBIC)) / np.float32(255)
    covered = np.zeros((side, side, 1), np.float32)
    top, left = 1 + round(down * (side - tall - 2)), 1 + round(across * (side - tall - 2))
    covered[top : top + tall, left : left + tall, 0] = sign
    levels = (ground + (ink - ground) * covered).astype(np.float32)
    quick = find_foreground(levels)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("imparfait.data.images.foreground.flat_background", lambda levels: None)
        slow = find_foreground(levels)
    assert quick
    assert slow
    assert quick.polarity == slow.polarity
    assert quick.box == pytest.approx(slow.box, abs=2 * quick.reduced)
    both = [place(each.pixels, each.edges, 28, 28)[0] for each in (quick, slow)]
    assert np.abs(both[0] - both[1]).mean() < 0.01


@pytest.mark.parametrize("height", [9, 12, 20])
@pytest.mark.parametrize("margin", [0, 2])
def test_tiny_images_are_enlarged(height: int, margin: int) -> None:
    cut = Image.fromarray(255 - SEVEN[7:28, 6:21]).resize((round(height * 0.7), height), Image.Resampling.BOX)
    image = np.pad(np.asarray(cut), margin, constant_values=255)
    assert alike(decoded(file(image, "PNG")).pixels) > 0.75


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (3, 3), (28, 28), (200, 300)])
@pytest.mark.parametrize("noise", [0, 12])
def test_an_empty_page_has_no_glyph(shape: tuple[int, int], noise: int) -> None:
    if noise and min(shape) < 9:  # a few pixels of noise are as good as a sign
        return
    image = np.random.default_rng(0).normal(128, noise, shape)
    got = decoded(file(image, "PNG"))
    assert not got.pixels.any()
    assert got.polarity is None
    assert got.preprocessing == "no foreground found"


def test_a_thick_nought_is_no_sheet_of_paper() -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:160j]
    ring = (np.hypot(x, y) < 0.95) & (np.hypot(x, y) > 0.45)
    assert find_paper(ring.astype(np.float32)) is None
    found = find_foreground(ring.astype(np.float32)[..., None])
    assert found is not None
    assert found.polarity == "light on dark"
    assert found.paper is None


def test_light_that_fades_is_no_sheet_of_paper() -> None:
    assert find_paper(np.broadcast_to(np.linspace(0.2, 0.9, 300, dtype=np.float32), (200, 300)).copy()) is None


SEGMENTS = {  # row, column, tall, wide in units of a segment's width; a gap of 2 pixels between them
    "top": (0, 1, 1, 4), "upper left": (1, 0, 4, 1), "upper right": (1, 5, 4, 1), "middle": (5, 1, 1, 4),
    "lower left": (6, 0, 4, 1), "lower right": (6, 5, 4, 1), "bottom": (10, 1, 1, 4),
}  # fmt: skip
LIT = {
    0: "top, upper left, upper right, lower left, lower right, bottom", 1: "upper right, lower right",
    2: "top, upper right, middle, lower left, bottom", 3: "top, upper right, middle, lower right, bottom",
    5: "top, upper left, middle, lower right, bottom", 8: ", ".join(SEGMENTS),
}  # fmt: skip


@pytest.mark.parametrize("digit", LIT)
@pytest.mark.parametrize("margin", [2, 30])
@pytest.mark.parametrize("dark", [True, False])
def test_a_digit_of_separate_segments_is_one_glyph(digit: int, margin: int, dark: bool) -> None:
    unit, gap = 14, 2
    segments = np.zeros((11 * unit + 2 * margin, 6 * unit + 2 * margin), np.uint8)
    for name in LIT[digit].split(", "):
        row, column, tall, wide = (margin + unit * n if i < 2 else unit * n for i, n in enumerate(SEGMENTS[name]))
        segments[row + gap : row + tall - gap, column + gap : column + wide - gap] = 255
    rows, columns = (np.flatnonzero(segments.any(axis)) for axis in (1, 0))
    buffer = io.BytesIO()
    Image.fromarray(255 - segments if dark else segments).save(buffer, "PNG")
    box = decoded(buffer.getvalue()).box
    expected = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert np.abs(np.subtract(box, expected)).max() <= 1


@pytest.mark.parametrize("upright", [False, True])
def test_a_digit_on_ruled_paper_is_cut_out_without_the_lines_it_crosses(upright: bool) -> None:
    paper = np.full((400, 240, 3), 235, np.uint8)
    for row in range(20, 400, 24):
        paper[row : row + 2] = (170, 185, 215)
    image = Image.fromarray(paper)
    draw = ImageDraw.Draw(image)
    draw.ellipse((95, 120, 145, 175), outline=(40, 50, 120), width=4)
    draw.line((144, 150, 140, 240), fill=(40, 50, 120), width=4)
    expected = (95, 120, 146, 241)
    if upright:
        image, expected = image.transpose(Image.Transpose.TRANSPOSE), (120, 95, 241, 146)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert np.abs(np.subtract(decoded(buffer.getvalue()).box, expected)).max() <= 3
