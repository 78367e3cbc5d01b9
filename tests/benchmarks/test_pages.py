"""Pages for a digit detector: a function of the seed, with tight boxes, one hand a line, sources held out by split."""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
from build_digit_data import METERS_HELD_OUT, Split
from pages import Page, Sources, compose, handwriting, sources, writers
from pages.canvas import IGNORED, OTHER, Canvas
from pages.composer import KINDS
from pages.glyphs import Shape
from pages.paper import random_look
from pages.scene import Scene
from pages.warp import random_warp

ROOT = Path(__file__).parents[2]
FONTS, HANDS = ROOT / "build" / "fonts", ROOT / "benchmarks" / "tools" / "hands"
SPLITS = get_args(Split)
needs_fonts = pytest.mark.skipif(not any(FONTS.glob("*.ttf")), reason="python benchmarks/tools/digit_fonts.py")


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two crops of each of 16 meters: a bar in the middle, darker from one meter to the next."""
    folder = tmp_path_factory.mktemp("meters")
    with (folder / "meters.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_path", "label", "group"])
        for number in range(16):
            pixels = np.full((40, 24, 3), 250, np.uint8)
            pixels[8:32, 10:14] = 4 * number
            Image.fromarray(pixels).save(folder / f"{number}.png")
            rows.writerow([f"{number}.png", 1, f"meter{number + 1:02}"])
    return folder


@pytest.fixture(scope="module")
def loaded(meters: Path) -> Sources:
    return Sources.load(FONTS, HANDS, meters, mnist=False)


@pytest.fixture(scope="module")
def pages(loaded: Sources) -> list[Page]:
    return [compose("fit", seed, loaded) for seed in range(30)]


@needs_fonts
def test_the_same_seed_gives_the_same_page(loaded: Sources, pages: list[Page]) -> None:
    for seed in (3, 11):
        again = compose("fit", seed, loaded)
        assert np.array_equal(again.image, pages[seed].image)
        assert np.array_equal(again.boxes, pages[seed].boxes)
        assert np.array_equal(again.labels, pages[seed].labels)
    assert not np.array_equal(compose("test", 3, loaded).image, pages[3].image)


@needs_fonts
def test_boxes_lie_on_the_page(pages: list[Page]) -> None:
    for page in pages:
        assert page.image.shape == (320, 320, 3)
        assert page.image.dtype == page.labels.dtype == np.uint8
        assert page.boxes.shape == (len(page.labels), 4)
        assert (page.boxes >= 0).all()
        assert (page.boxes[:, :2] + page.boxes[:, 2:] <= 320 + 1e-3).all()
        assert (page.boxes[:, 2:] >= 1).all()
        assert page.labels.max(initial=0) <= IGNORED
        assert len(page.line) == len(page.labels)
        assert set(page.line) == set(range(page.line.max(initial=-1) + 1))


@needs_fonts
def test_every_box_of_a_digit_contains_contrast(pages: list[Page]) -> None:
    for page in pages:
        for (left, top, width, height), label in zip(page.boxes, page.labels, strict=True):
            if label < OTHER:
                rows = slice(max(0, round(top) - 2), round(top + height) + 2)
                columns = slice(max(0, round(left) - 2), round(left + width) + 2)
                assert np.ptp(page.image[rows, columns].reshape(-1, 3), axis=0).max() > 12


@needs_fonts
def test_pages_have_digits_and_more_letters(pages: list[Page]) -> None:
    labels = np.concatenate([page.labels for page in pages])
    assert set(range(OTHER + 1)) <= set(labels)
    assert (labels < OTHER).sum() < (labels == OTHER).sum()


@needs_fonts
def test_words_have_no_digits(loaded: Sources) -> None:
    scene = scene_of(loaded, seed=1)
    letters = writers.printer(loaded, "fit", scene.rng)
    for character in "Total,€":
        glyph = letters.glyph(character, 20, 0, scene.rng)
        scene.canvas.stamp(glyph, 100, 100, (0, 0, 0), character)
    assert set(scene.canvas.glyphs()[1]) == {OTHER}


@needs_fonts
@pytest.mark.parametrize("draw", KINDS, ids=lambda draw: draw.__name__)
def test_every_kind_of_scene_is_drawn_in_every_split(draw: Any, loaded: Sources) -> None:
    for split in SPLITS:
        for seed in range(2):
            scene = scene_of(loaded, seed, split)
            draw(scene)
            digits = scene.canvas.glyphs()[1] < OTHER
            assert draw.__name__ != "ground" or not digits.any()


@needs_fonts
def test_a_line_is_written_by_one_hand(loaded: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    names = defaultdict(set)
    original = handwriting.write

    def recorded(canvas: Canvas, writer: writers.Writer, text: str, *rest: Any, **options: Any) -> float:
        if any(character.isdigit() for character in text):
            names[id(canvas), canvas.line].add(writer.name)
        return original(canvas, writer, text, *rest, **options)

    monkeypatch.setattr(handwriting, "write", recorded)
    scenes = [scene_of(loaded, seed) for seed in range(6)]
    for scene in scenes:
        handwriting.handwritten(scene)
    assert len(names) > 6
    assert all(len(found) == 1 for found in names.values())


@needs_fonts
@pytest.mark.parametrize("kind", ["handwriting", "printed", "segment"])
def test_no_font_design_is_in_two_splits(kind: Any, loaded: Sources) -> None:
    designs = [{face.design for faces in loaded.faces(split, kind) for face in faces} for split in SPLITS]
    assert all(designs)
    assert sum(map(len, designs)) == len(set.union(*designs))


def test_no_meter_is_in_two_splits(meters: Path) -> None:
    crops = sources.meter_crops(meters)
    found = {split: {crop.path.stem for device in crops[split] for crop in device} for split in SPLITS}
    assert sum(map(len, found.values())) == len(set.union(*found.values())) == 16
    assert {len(found[split]) for split in METERS_HELD_OUT} == {2, 3}


def test_no_row_of_a_real_hand_is_in_two_splits() -> None:
    for name in ("italy", "turkey"):
        hands = sources.real_digits(HANDS / f"{name}.npz", name).hands
        rows = [{row for hand in hands[split] for found in hand.values() for row in found} for split in SPLITS]
        assert sum(map(len, rows)) == len(set.union(*rows))


def test_the_last_training_images_of_mnist_are_for_choosing() -> None:
    digits = sources.mnist_digits()
    rows = {s: [row for hand in digits.hands[s] for found in hand.values() for row in found] for s in SPLITS}
    assert max(rows["fit"]) < len(digits.images) - sources.MNIST_CHOOSE <= min(rows["choose"])
    assert not rows["test"]


@pytest.mark.parametrize("seed", range(12))
def test_a_box_is_tight_after_rotation_perspective_and_bends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    canvas = Canvas(random_warp(rng, 320, 1.5))
    hand = writers.PenWriter("hand", seed, Shape())
    canvas.new_line()
    glyph = hand.glyph(str(seed % 10), rng.uniform(20, 120), rng.normal(0, 0.2), rng)
    x, y = canvas.warp.canvas_points(np.array([(160.0, 180.0)]))[0]
    canvas.stamp(glyph, x, y, (0, 0, 0), str(seed % 10))
    rows, columns = (np.flatnonzero((canvas.seen()[..., 3] > 0.4).any(axis)) for axis in (1, 0))
    (left, top, width, height), *_ = canvas.glyphs()[0]
    assert (left, top) == pytest.approx((columns[0], rows[0]), abs=1.6)
    assert (left + width, top + height) == pytest.approx((columns[-1] + 1, rows[-1] + 1), abs=1.6)


def test_the_warp_and_its_inverse_agree() -> None:
    for seed in range(8):
        warp = random_warp(np.random.default_rng(seed), 320, 1.5)
        points = np.random.default_rng(seed).uniform(0, 320, (50, 2))
        assert warp.page_points(warp.canvas_points(points)) == pytest.approx(points, abs=0.05)


def test_a_digit_that_is_cut_off_is_ignored() -> None:
    canvas = Canvas(random_warp(np.random.default_rng(0), 320, 0))
    rng = np.random.default_rng(1)
    glyph = writers.PenWriter("hand", 1, Shape()).glyph("3", 60, 0, rng)
    for x in (100, -0.2 * glyph.mask.width, -0.6 * glyph.mask.width):
        canvas.stamp(glyph, x, 150, (0, 0, 0), "3")
    assert canvas.glyphs()[1].tolist() == [3, 3, IGNORED]


def scene_of(loaded: Sources, seed: int, split: Split = "fit") -> Scene:
    rng = np.random.default_rng([seed, 4])
    return Scene(Canvas(random_warp(rng, 320)), random_look(rng), loaded, split, rng)
