"""Fast corruptions agree with slow references, most of them SciPy's; others keep what their docstrings promise."""

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage
import torch
from helpers.bars import draw_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imparfait.core.rng import CounterRng
from imparfait.corruptions import blur, edges, geometry, stroke_width

SHAPES = [(28, 28), (21, 34)]
every_shape = pytest.mark.parametrize(("height", "width"), SHAPES)


def rng_for(n: int, first: int = 0) -> CounterRng:
    return CounterRng(0, "test", 0, torch.arange(first, first + n))


def soft_noise(n: int, height: int, width: int, channels: int = 1, seed: int = 0) -> torch.Tensor:
    """Smooth images with values over all of 0..1, also at the edges."""
    noise = np.random.default_rng(seed).standard_normal((n, channels, height, width))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 0, 1.2, 1.2))
    return torch.from_numpy((0.5 + 2 * smooth).clip(0, 1))


def signs(name: str, n: int, *shape: int) -> np.ndarray:
    return np.where(rng_for(n).uniform(name, *shape).numpy() < 0.5, 1, -1)


def about_the_centre(image: np.ndarray, matrix: np.ndarray, offset: tuple[float, float] = (0, 0)) -> np.ndarray:
    centre = (np.array(image.shape) - 1) / 2
    return scipy.ndimage.affine_transform(
        image, matrix, centre - matrix @ centre + offset, order=1, mode="grid-constant"
    )


@every_shape
def test_rotate_shear_scale_and_translate_equal_scipys_affine_transform(height: int, width: int) -> None:
    images = soft_noise(12, height, width)
    severity = torch.linspace(0.1, 1, 12, dtype=torch.float64)
    turns, slants = signs("turned left or right", 12), signs("slanted left or right", 12)
    directions = signs("moved up or down, left or right", 12, 2)
    rotated, sheared, scaled, shifted = (
        corrupt(images, severity, rng_for(12)).numpy()
        for corrupt in (geometry.rotate, geometry.shear, geometry.scale, geometry.translate)
    )
    for i, s in enumerate(severity.tolist()):
        image = images[i, 0].numpy()
        angle, slant = s * turns[i] * geometry.MAX_ROTATION_RAD, s * slants[i] * geometry.MAX_SHEAR_RAD
        cos, sin = math.cos(angle), math.sin(angle)
        references = [
            (rotated, np.array([[cos, -sin], [sin, cos]]), (0, 0)),
            (sheared, np.array([[math.cos(slant), 0], [-math.sin(slant), 1]]), (0, 0)),
            (scaled, np.eye(2) / (1 - s * geometry.MAX_SHRINKING), (0, 0)),
            (shifted, np.eye(2), directions[i] * s * geometry.MAX_SHIFT * np.array([height, width])),
        ]
        for corrupted, matrix, offset in references:
            np.testing.assert_allclose(corrupted[i, 0], about_the_centre(image, matrix, offset), atol=1e-9)


@every_shape
def test_perspective_is_a_pinhole_camera(height: int, width: int) -> None:
    images, n = soft_noise(8, height, width), 8
    directions = rng_for(n).uniform("direction of the tilt").double() * 2 * math.pi
    corrupted = geometry.perspective(images, 0.7, rng_for(n)).numpy()
    down, right = np.indices((height, width)) - np.array([height - 1, width - 1])[:, None, None] / 2
    eye, tilt = 1.5 * min(height, width), 0.7 * geometry.MAX_TILT_RAD
    for i, direction in enumerate(directions.tolist()):
        # The image's plane goes through the origin; its normal leans from the eye's axis towards the direction.
        axis = np.array([math.cos(direction), math.sin(direction)])
        normal = np.array([*(axis * math.sin(tilt)), -math.cos(tilt)])
        rays = np.stack([down, right, np.full_like(down, eye)], -1)
        length = normal[2] * eye / (rays @ normal)  # of each ray, from the eye at depth -eye to the plane
        points = rays * length[..., None] - [0, 0, eye]
        along_axis = points @ [*(axis * math.cos(tilt)), math.sin(tilt)]
        across_axis = points @ [-axis[1], axis[0], 0]
        positions = along_axis * axis[:, None, None] + across_axis * np.array([-axis[1], axis[0]])[:, None, None]
        positions += np.array([height - 1, width - 1])[:, None, None] / 2
        reference = scipy.ndimage.map_coordinates(images[i, 0].numpy(), positions, order=1, mode="grid-constant")
        np.testing.assert_allclose(corrupted[i, 0], reference, atol=1e-9)


def test_elastic_displaces_pixels_by_its_documented_distance() -> None:
    # On a linear ramp the grey level shows where a pixel came from; severity 0.1 displaces by a tenth of the maximum.
    slope = (torch.arange(28, dtype=torch.float64) / 27).expand(2000, 1, 28, 28)
    for images in (slope, slope.mT):
        shifted = (geometry.elastic(images, 0.1, rng_for(2000)) - images)[..., 1:-1, 1:-1] * 27
        assert shifted.std() == pytest.approx(2.8 * geometry.MAX_DISPLACEMENT, rel=0.02)
        # Neighbouring pixels are displaced nearly alike.
        assert (shifted[..., 1:] - shifted[..., :-1]).std() < 0.06


def test_canny_edges_are_those_of_the_algorithm_pixel_by_pixel() -> None:
    bars = torch.from_numpy(draw_bars(6, 20, 3).pixels).double() / 255
    for images in (soft_noise(6, 28, 28), 0.3 * soft_noise(6, 19, 30, 3, seed=1), bars):
        corrupted = edges.canny_edges(images, 0.5, rng_for(6)).numpy()
        for image, fast in zip(images.flatten(0, 1).numpy(), corrupted.reshape(-1, *corrupted.shape[2:]), strict=True):
            np.testing.assert_array_equal(fast, slow_canny(image))
        assert 0 < corrupted.mean() < 0.5


def slow_canny(image: np.ndarray) -> np.ndarray:
    """Canny's steps as scikit-image describes them, for one image."""
    smooth = scipy.ndimage.gaussian_filter(image, 1, mode="constant")
    smooth /= scipy.ndimage.gaussian_filter(np.ones_like(image), 1, mode="constant")
    down, right = scipy.ndimage.sobel(smooth, 0), scipy.ndimage.sobel(smooth, 1)
    length = np.hypot(down, right)
    thin = np.zeros(image.shape, bool)
    for i, j in np.ndindex(*np.subtract(image.shape, 2)):
        row, column = i + 1, j + 1
        dy, dx = abs(down[row, column]), abs(right[row, column])
        if length[row, column] < 0.1:
            continue
        same = 1 if down[row, column] * right[row, column] >= 0 else -1
        step = (same, 0) if dy > dx else (0, 1)
        share = min(dy, dx) / max(dy, dx)
        thin[row, column] = all(
            (1 - share) * length[row + way * step[0], column + way * step[1]]
            + share * length[row + way * same, column + way]
            <= length[row, column] + 1e-6  # a tie is an edge; rounding must not decide
            for way in (1, -1)
        )
    labels, _ = scipy.ndimage.label(thin, np.ones((3, 3)))
    return np.isin(labels, labels[thin & (length >= 0.2)]) & thin


@every_shape
def test_motion_blur_is_scipys_correlation_with_a_trail(height: int, width: int) -> None:
    images = soft_noise(12, height, width, channels=2)
    severity = torch.linspace(0.05, 1, 12, dtype=torch.float64)
    angles = np.radians(90 * (rng_for(12).uniform("angle of motion").double().numpy() - 0.5))
    corrupted = blur.motion_blur(images, severity, rng_for(12)).numpy()
    for i, s in enumerate(severity.tolist()):
        sigma = blur.MAX_MOTION_SIGMA_PX * s * min(height, width) / 28
        reach = math.floor(10 / 3 * sigma)
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
        for step in range(reach + 1):
            row, column = (math.ceil(step * part - 0.5) for part in (math.sin(angles[i]), math.cos(angles[i])))
            kernel[reach + row, reach + column] += math.exp(-(step**2) / (2 * sigma**2))
        for image, fast in zip(images[i].numpy(), corrupted[i], strict=True):
            slow = scipy.ndimage.correlate(image, kernel / kernel.sum(), mode="nearest")
            np.testing.assert_allclose(fast, slow, atol=1e-9)


@every_shape
def test_defocus_blur_is_scipys_convolution_with_a_disc(height: int, width: int) -> None:
    images = soft_noise(8, height, width)
    severity = torch.linspace(0.1, 1, 8, dtype=torch.float64)
    corrupted = blur.defocus_blur(images, severity, rng_for(8)).numpy()
    for i, s in enumerate(severity.tolist()):
        radius = 0.5 + s * (blur.MAX_DEFOCUS_PX * min(height, width) / 28 - 0.5)
        offsets = np.arange(-10, 11)
        disc = (radius + 0.5 - np.hypot(offsets[:, None], offsets)).clip(0, 1)
        slow = scipy.ndimage.convolve(images[i, 0].numpy(), disc / disc.sum(), mode="reflect")
        np.testing.assert_allclose(corrupted[i, 0], slow, atol=1e-9)


@every_shape
def test_glass_blur_smooths_displaces_and_smooths(height: int, width: int) -> None:
    images, sigma = soft_noise(4, height, width), 0.5 * blur.MAX_GLASS_SIGMA_PX * min(height, width) / 28
    corrupted = blur.glass_blur(images, 0.5, rng_for(4)).numpy()

    def smooth(image: np.ndarray) -> np.ndarray:
        radius = math.floor(4 * sigma)
        filtered, weight = (
            scipy.ndimage.gaussian_filter(part, sigma, radius=radius, mode="constant")
            for part in (image, np.ones_like(image))
        )
        return np.asarray(filtered / weight)

    bits = rng_for(4).bits("where each pixel looks", height * width // 2).numpy()
    displacements = (
        bits.view(np.int16).reshape(4, height, width, 2)[..., ::-1] / 2**15 * (blur.GLASS_REACH_SIGMAS * sigma)
    )
    assert displacements.std() == pytest.approx(blur.GLASS_REACH_SIGMAS * sigma / math.sqrt(3), rel=0.03)
    for image, fast, offsets in zip(images[:, 0].numpy(), corrupted[:, 0], displacements, strict=True):
        positions = np.indices((height, width)) + offsets.transpose(2, 0, 1)
        seen = scipy.ndimage.map_coordinates(smooth(image), positions, order=1, mode="nearest")
        np.testing.assert_allclose(fast, smooth(seen), atol=1e-9)


@pytest.mark.parametrize(("block", "finer"), [(4, 1), (2, 1), (7, 2), (7, 5)])
def test_pixelate_averages_blocks_and_repeats_them(block: int, finer: int) -> None:
    """The slow reference cuts each pixel into `finer` x `finer`, of which whole numbers make a block."""
    images, severity = soft_noise(4, 28, 28, channels=2), (block / finer - 1) / (blur.MAX_BLOCK_PX - 1)
    fine = images.numpy().repeat(finer, 2).repeat(finer, 3)
    blocks = fine.reshape(4, 2, 28 * finer // block, block, 28 * finer // block, block).mean((3, 5))
    repeated = blocks.repeat(block, 2).repeat(block, 3)
    slow = repeated.reshape(4, 2, 28, finer, 28, finer).mean((3, 5))
    np.testing.assert_allclose(blur.pixelate(images, severity, rng_for(4)).numpy(), slow, atol=1e-9)


@pytest.mark.parametrize("quality", [50, 25, 20, 10])
@every_shape
def test_jpeg_agrees_with_an_encoder(height: int, width: int, quality: int) -> None:
    pixels = (soft_noise(12, height, width) * 255).round().byte()
    severity = (100 - quality) / (100 - blur.MIN_JPEG_QUALITY)
    corrupted = 255 * blur.jpeg(pixels.double() / 255, severity, rng_for(12))[:, 0].numpy()
    decoded = []
    for image in pixels[:, 0].numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(file)))
    errors = np.abs(corrupted - np.stack(decoded))
    # The decoder rounds to whole greys. The encoder computes with whole numbers: in one block of 12 to 100 a frequency
    # that lies between two steps goes to the other one.
    assert np.quantile(errors, 0.9) < 0.5
    assert errors.mean() < 0.5


batch = st.tuples(st.integers(0, 1000), st.sampled_from(SHAPES), st.floats(0.01, 2))


@given(batch)
@settings(max_examples=30, deadline=None)
def test_thin_only_darkens_and_never_erases(example: tuple[int, tuple[int, int], float]) -> None:
    seed, shape, severity = example
    images = soft_noise(2, *shape, channels=3, seed=seed)
    corrupted = stroke_width.thin(images, severity, rng_for(2))
    assert (corrupted <= images + 1e-6).all()
    # A pixel is what erosion removes plus what it leaves; of the larger half at least 0.4 ** severity remains.
    assert (corrupted.amax((2, 3)) >= 0.5 * 0.4**severity * images.amax((2, 3)) - 1e-6).all()


@given(batch)
@settings(max_examples=20, deadline=None)
def test_thicken_takes_the_brightest_within_reach(example: tuple[int, tuple[int, int], float]) -> None:
    seed, (height, width), severity = example
    image = soft_noise(1, height, width, seed=seed)
    radius = severity * stroke_width.MAX_THICKENING * min(height, width)
    offsets = np.arange(-10, 11)
    padded, slow = np.pad(image[0, 0].numpy(), 10), np.zeros((height, width))
    for row in offsets:
        for column in offsets:
            weight = min(1, max(0, radius + 1 - math.hypot(row, column)))
            shifted = padded[10 + row : 10 + row + height, 10 + column : 10 + column + width]
            slow = np.maximum(slow, weight * shifted)
    np.testing.assert_allclose(stroke_width.thicken(image, severity, rng_for(1))[0, 0].numpy(), slow, atol=1e-6)


def test_thin_fades_a_thin_stroke_and_keeps_the_core_of_a_broad_one() -> None:
    images = torch.zeros(1, 1, 28, 28)
    images[..., 4:24, 6] = 1
    images[..., 4:24, 14:22] = 1
    corrupted = stroke_width.thin(images, 1.0, rng_for(1))[0, 0, 14]
    assert corrupted[6] == pytest.approx(0.4)
    assert corrupted[17] == 1
    assert corrupted[14] < 0.11


def test_outline_leaves_a_line_around_each_stroke() -> None:
    images = torch.zeros(1, 1, 28, 28)
    images[..., 8:20, 8:20] = 1
    half, whole = (edges.outline(images, severity, rng_for(1))[0, 0] for severity in (0.5, 1.0))
    assert whole[8:20, 8:20].max() == 0
    torch.testing.assert_close(half[8:20, 8:20], torch.full((12, 12), 0.5))
    for corrupted in (half, whole):
        assert corrupted[10:18, [7, 20]].min() == corrupted[[7, 20], 10:18].min() == 1
        assert corrupted[:6].max() == 0


WITHOUT_RANDOMNESS: list[Callable[..., torch.Tensor]] = [
    geometry.scale, stroke_width.thin, stroke_width.thicken, edges.canny_edges, edges.outline,
    blur.defocus_blur, blur.pixelate, blur.jpeg,
]  # fmt: skip


@pytest.mark.parametrize("corrupt", WITHOUT_RANDOMNESS)
def test_corruptions_without_randomness_ignore_the_seed(
    corrupt: Callable[..., torch.Tensor], images: torch.Tensor
) -> None:
    assert torch.equal(corrupt(images, 0.8, rng_for(32)), corrupt(images, 0.8, rng_for(32, first=99)))


@pytest.mark.parametrize("n", [0, 1])
def test_batches_of_no_or_one_image_are_allowed(n: int) -> None:
    images = soft_noise(n, 8, 8)
    for corrupt in (*WITHOUT_RANDOMNESS, geometry.rotate, geometry.elastic, blur.glass_blur, blur.motion_blur):
        for severity in (0.5, torch.full((n,), 0.5)):
            assert corrupt(images, severity, rng_for(n)).shape == images.shape
