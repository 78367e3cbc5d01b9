"""What a sign is written on: its colour, as light falls on it unevenly, and to which side of it the ink lies."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Bool, Float, Float32

from imparfait.data.images.levels import Levels
from imparfait.data.images.paper import otsu

SURFACE_SAMPLES = 64  # rows and columns that a surface is fitted to
MIN_CURVED_SAMPLES = 400  # samples that a curved surface is fitted to; to fewer, a plane
FIT_ROUNDS = 8
TUKEY_SIGMAS = 4.685  # standard deviations from which on a pixel has no weight (Tukey's biweight, 95 % efficient)
TERMS = 6  # of a surface: 1, x, y, x², xy, y²
MIN_NOISE = 0.004  # a grey of 255
MAX_WITHIN_SHARE = 0.3  # of the variance lies within two levels at most: of noise 0.36, of a slope 0.25
WIDE_SHARE, NARROW_SHARE = 0.08, 0.03  # of the page's longer side: strokes are narrower than the one; the other tells ink's side

Mask = Bool[np.ndarray, "height width"]
Plane = Float32[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class Background:
    """What is written on, taken away from a page."""

    direction: Float32[np.ndarray, " channels"]
    """From the ground's colour to the ink's, of length 1."""
    beside: Plane
    """How far each pixel lies from the ground, along that direction; about 0 on the ground."""
    noise: float
    """Standard deviation of `beside` on the ground."""
    exact: bool = False
    """Whether it is one colour to the bit: nothing of it is left in `beside`."""


def flat(levels: Levels) -> Background | None:
    """The ground of a page that is one colour to the bit all around and on most of it, as what is drawn on a screen.

    None for other pages; where there is one, a fitted ground would be the same, ten times as slow.
    """
    colour = levels[0, 0]
    if any((side != colour).any() for side in (levels[0], levels[-1], levels[:, 0], levels[:, -1])):
        return None
    beside = levels - colour
    inked = beside[beside.any(2)]
    if not 0 < 2 * len(inked) < levels.shape[0] * levels.shape[1]:
        return None
    direction, _ = _direction(inked.astype(np.float64), 0.0)
    return Background(direction, beside @ direction, MIN_NOISE, exact=True)


def fitted(levels: Levels, valid: Mask) -> Background:
    """A ground that changes smoothly over the page: fitted to the border of its valid part, then to all but the ink."""
    rows, columns = (np.arange(0, side, max(1, side // SURFACE_SAMPLES)) for side in levels.shape[:2])
    few, inside = levels[np.ix_(rows, columns)].astype(np.float64), valid[np.ix_(rows, columns)]
    thick = max(1, min(inside.shape) // 12)
    ring = inside & ~np.asarray(scipy.ndimage.binary_erosion(inside, iterations=thick))
    y, x = (np.linspace(-1, 1, side) for side in levels.shape[:2])
    basis = _basis(y[rows], x[columns])
    pixels, places, bordering = few[inside], basis[inside], ring[inside]
    # A plane through the border, which strokes cross but do not fill; then a curved surface through all.
    plane, noise = _robust(places[bordering, :3], pixels[bordering], None)
    terms = np.zeros((TERMS, pixels.shape[1]))
    terms[:3] = plane
    far = np.abs(pixels - places @ terms).max(1)
    if len(pixels) > MIN_CURVED_SAMPLES and (far < TUKEY_SIGMAS * max(noise, 0.02)).mean() > 0.5:
        terms, noise = _robust(places, pixels, terms)
    direction, noise = _direction(pixels - places @ terms, noise)
    beside = levels @ direction - (_basis(y, x) @ (terms @ direction)).astype(np.float32)
    return Background(direction, beside, noise)


def even(levels: Levels, noise: float) -> Background | None:
    """The one colour behind a sign that fills its page, so that a border is no ground; None where two are not seen.

    `noise` is that of a smoother ground: where it is about the pixels' own, that ground was right. Of the two levels
    the one that has more of the corners, the border and the page is the ground.
    """
    own = max(_pixel_noise(levels), MIN_NOISE)
    if noise < 3 * own:
        return None
    pixels = levels.reshape(-1, levels.shape[2])
    _, directions = np.linalg.eigh(np.cov(pixels.T).reshape(pixels.shape[1], -1))
    direction = directions[:, -1].astype(np.float32)
    onto = levels @ direction
    light = onto > otsu(onto)
    corner = max(1, min(light.shape) // 8)
    corners = [
        end[:, sides] for end in (light[:corner], light[-corner:]) for sides in (slice(corner), slice(-corner, None))
    ]
    border = (light[0], light[-1], light[:, 0], light[:, -1])
    votes = sum(float(np.concatenate([part.ravel() for part in parts]).mean()) for parts in (corners, border, [light]))
    above, below = float(np.median(onto[light])), float(np.median(onto[~light]))
    within = np.where(light, onto - above, onto - below).var()
    if within > MAX_WITHIN_SHARE * onto.var():
        return None
    if votes > 1.5:
        return Background(-direction, above - onto, own)
    return Background(direction, onto - below, own)


def local(levels: Levels, valid: Mask) -> Background:
    """A ground with edges in it, such as a shadow's: whatever is wider than a stroke."""
    wide, narrow = (max(3, round(share * max(levels.shape[:2]))) | 1 for share in (WIDE_SHARE, NARROW_SHARE))
    smooth = scipy.ndimage.uniform_filter(levels, (3, 3, 1))
    smooth[~valid] = np.median(smooth[valid], 0)
    sharp = smooth - scipy.ndimage.uniform_filter(smooth, (wide, wide, 1))
    direction, _ = _direction(sharp[valid].astype(np.float64), 0.0)
    onto = smooth @ direction
    lower, upper = scipy.ndimage.grey_opening(onto, narrow), scipy.ndimage.grey_closing(onto, narrow)
    if ((onto - lower)[valid] ** 3).sum() < ((upper - onto)[valid] ** 3).sum():
        direction, onto = -direction, -onto
    beside = levels @ direction - scipy.ndimage.grey_opening(onto, wide)
    beside -= np.median(beside[valid])  # an opening lies at the lower side of the noise
    return Background(direction, beside, max(1.4826 * float(np.median(np.abs(beside[valid]))), MIN_NOISE))


def without_rest(ground: Background, ink: Mask, size: int) -> Background:
    """A ground after what is left of it is taken away: the mean of the pixels around that are not ink."""
    free = (~ink).astype(np.float32)
    total, weight = ground.beside * free, free
    for _ in range(2):
        total, weight = (scipy.ndimage.uniform_filter(each, size, mode="nearest") for each in (total, weight))
    return Background(ground.direction, ground.beside - total / (weight + np.float32(0.02)), ground.noise)


def _pixel_noise(levels: Levels) -> float:
    """The standard deviation of a pixel beside its neighbour: of the tenth that differ least, for edges differ more."""
    steps = np.abs(np.diff(levels.mean(2), axis=1))
    return float(np.quantile(steps, 0.1)) / 0.1257 / 2**0.5 if steps.size else 0.0


def _basis(y: Float[np.ndarray, " height"], x: Float[np.ndarray, " width"]) -> Float[np.ndarray, "height width 6"]:
    """1, x, y, x², xy, y² of each place; -1..1 over the page."""
    y, x = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)


def _robust(
    places: Float[np.ndarray, "n terms"],
    pixels: Float[np.ndarray, "n channels"],
    terms: Float[np.ndarray, "terms channels"] | None,
) -> tuple[Float[np.ndarray, "terms channels"], float]:
    """The surface that most pixels lie on, and how far they lie off it."""
    if terms is None:
        terms = np.zeros((places.shape[1], pixels.shape[1]))
        terms[0] = np.median(pixels, 0)
    noise = MIN_NOISE
    for _ in range(FIT_ROUNDS):
        far = np.linalg.norm(pixels - places @ terms, axis=1)
        noise = max(1.4826 * float(np.median(far)), MIN_NOISE)
        weights = np.clip(1 - (far / (TUKEY_SIGMAS * noise)) ** 2, 0, None) ** 2
        weighted = places * weights[:, None]
        # A little towards no slope: where all else is ink, a surface must not follow it.
        flat = 1e-3 * weights.sum() * np.diag([0.0] + [1.0] * (places.shape[1] - 1))
        terms = np.linalg.solve(places.T @ weighted + flat, weighted.T @ pixels)
    return terms, noise


def _direction(beside: Float[np.ndarray, "n channels"], noise: float) -> tuple[Float32[np.ndarray, " channels"], float]:
    """The way from ground to ink, in which the largest differences lie, and the noise along it."""
    far = np.linalg.norm(beside, axis=1)
    inked = beside[far >= max(4 * noise, far.max() / 3)]
    if not len(inked):
        inked = beside
    _, directions = np.linalg.eigh(inked.T @ inked)
    direction = directions[:, -1]
    onto = beside @ direction
    if (onto**3).sum() < 0:  # cubes: strokes are few but strong, shadows wide but weak
        direction, onto = -direction, -onto
    return direction.astype(np.float32), max(1.4826 * float(np.median(np.abs(onto))), MIN_NOISE)
