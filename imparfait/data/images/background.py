"""Background estimation under uneven illumination, and the polarity of the foreground."""

# A page is background plus foreground. An estimate gives each pixel a contrast: its distance from the background,
# along the direction in colour in which the foreground differs most. Four estimates, from cheap and strict to costly
# and tolerant; find_foreground chooses among them:
#   flat_background       one colour to the bit, as drawn on a screen
#   fitted_background     a plane, then a quadratic surface, fitted robustly: paper under uneven light
#   two_level_background  one colour behind a foreground that fills the page, so that its border tells nothing
#   local_background      whatever is wider than a stroke, for hard shadows

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Bool, Float, Float32

from imparfait.data.images.levels import Levels
from imparfait.data.images.paper import otsu

SURFACE_SAMPLES = 64  # rows and columns to which a surface is fitted
MIN_CURVED_SAMPLES = 400  # for a quadratic surface; with fewer, a plane
FIT_ROUNDS = 8  # of reweighted least squares
TUKEY_SIGMAS = 4.685  # from which on a pixel has no weight (Tukey's biweight, 95 % efficient)
TERMS = 6  # of a surface: 1, x, y, x², xy, y²
MIN_NOISE = 0.004  # of white: about one level of 255
MAX_WITHIN_SHARE = 0.3  # of the variance within two levels; noise has 0.36, a slope 0.25
WIDE_SHARE = 0.08  # of the page's longer side: strokes are narrower
NARROW_SHARE = 0.03  # of it: the window in which polarity is decided

Mask = Bool[np.ndarray, "height width"]
Plane = Float32[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class Background:
    """A page's contrast: how its pixels differ from the estimated background."""

    direction: Float32[np.ndarray, " channels"]
    """The unit vector from the background's colour to the foreground's."""
    contrast: Plane
    """Distance of each pixel from the background along that direction; about 0 on the background."""
    noise: float
    """Standard deviation of `contrast` on the background."""
    exact: bool = False
    """Whether the background is one colour to the bit, so that `contrast` is 0 there."""


def flat_background(levels: Levels) -> Background | None:
    """A background of exactly one colour, all around the page and on most of it; None for other pages.

    Gives what `fitted_background` would, ten times as fast.
    """
    colour = levels[0, 0]
    if any((side != colour).any() for side in (levels[0], levels[-1], levels[:, 0], levels[:, -1])):
        return None
    contrast = levels - colour
    marked = contrast[contrast.any(2)]
    if not 0 < 2 * len(marked) < levels.shape[0] * levels.shape[1]:
        return None
    direction, _ = _direction(marked.astype(np.float64), 0.0)
    return Background(direction, contrast @ direction, MIN_NOISE, exact=True)


def fitted_background(levels: Levels, valid: Mask) -> Background:
    """A smooth background: fitted to the border of the valid part, then to all of it but the foreground."""
    rows, columns = (np.arange(0, side, max(1, side // SURFACE_SAMPLES)) for side in levels.shape[:2])
    sampled, inside = levels[np.ix_(rows, columns)].astype(np.float64), valid[np.ix_(rows, columns)]
    thick = max(1, min(inside.shape) // 12)
    ring = inside & ~np.asarray(scipy.ndimage.binary_erosion(inside, iterations=thick))
    y, x = (np.linspace(-1, 1, side) for side in levels.shape[:2])
    basis = _basis(y[rows], x[columns])
    pixels, bases, bordering = sampled[inside], basis[inside], ring[inside]
    # A plane through the border, which strokes cross but do not fill; then a curved surface through all.
    plane, noise = _robust(bases[bordering, :3], pixels[bordering], None)
    terms = np.zeros((TERMS, pixels.shape[1]))
    terms[:3] = plane
    far = np.abs(pixels - bases @ terms).max(1)
    if len(pixels) > MIN_CURVED_SAMPLES and (far < TUKEY_SIGMAS * max(noise, 0.02)).mean() > 0.5:
        terms, noise = _robust(bases, pixels, terms)
    direction, noise = _direction(pixels - bases @ terms, noise)
    contrast = levels @ direction - (_basis(y, x) @ (terms @ direction)).astype(np.float32)
    return Background(direction, contrast, noise)


def two_level_background(levels: Levels, noise: float) -> Background | None:
    """The colour behind a foreground that fills its page; None where the page has not two levels.

    `noise` is that of a smooth background: if it is about the pixels' own noise, that background was right. Of the two
    levels, the background is the one with more of the corners, the border and the page.
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


def local_background(levels: Levels, valid: Mask) -> Background:
    """A background with edges, such as a shadow's: whatever is wider than a stroke."""
    wide, narrow = (max(3, round(share * max(levels.shape[:2]))) | 1 for share in (WIDE_SHARE, NARROW_SHARE))
    smooth = scipy.ndimage.uniform_filter(levels, (3, 3, 1))
    smooth[~valid] = np.median(smooth[valid], 0)
    sharp = smooth - scipy.ndimage.uniform_filter(smooth, (wide, wide, 1))
    direction, _ = _direction(sharp[valid].astype(np.float64), 0.0)
    onto = smooth @ direction
    lower, upper = scipy.ndimage.grey_opening(onto, narrow), scipy.ndimage.grey_closing(onto, narrow)
    if ((onto - lower)[valid] ** 3).sum() < ((upper - onto)[valid] ** 3).sum():
        direction, onto = -direction, -onto
    contrast = levels @ direction - scipy.ndimage.grey_opening(onto, wide)
    contrast -= np.median(contrast[valid])  # an opening lies at the lower side of the noise
    return Background(direction, contrast, max(1.4826 * float(np.median(np.abs(contrast[valid]))), MIN_NOISE))


def remove_residual(background: Background, foreground: Mask, size: int) -> Background:
    """The background corrected by the local mean contrast of the pixels that are not foreground."""
    free = (~foreground).astype(np.float32)
    total, weight = background.contrast * free, free
    for _ in range(2):
        total, weight = (scipy.ndimage.uniform_filter(each, size, mode="nearest") for each in (total, weight))
    return Background(background.direction, background.contrast - total / (weight + np.float32(0.02)), background.noise)


def _pixel_noise(levels: Levels) -> float:
    """The pixel noise, from the tenth of neighbours that differ least: edges differ more."""
    steps = np.abs(np.diff(levels.mean(2), axis=1))
    return float(np.quantile(steps, 0.1)) / 0.1257 / 2**0.5 if steps.size else 0.0


def _basis(y: Float[np.ndarray, " height"], x: Float[np.ndarray, " width"]) -> Float[np.ndarray, "height width 6"]:
    """1, x, y, x², xy, y² of each pixel; -1..1 over the page."""
    y, x = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)


def _robust(
    bases: Float[np.ndarray, "n terms"],
    pixels: Float[np.ndarray, "n channels"],
    terms: Float[np.ndarray, "terms channels"] | None,
) -> tuple[Float[np.ndarray, "terms channels"], float]:
    """The surface on which most pixels lie, and their spread around it."""
    if terms is None:
        terms = np.zeros((bases.shape[1], pixels.shape[1]))
        terms[0] = np.median(pixels, 0)
    noise = MIN_NOISE
    for _ in range(FIT_ROUNDS):
        far = np.linalg.norm(pixels - bases @ terms, axis=1)
        noise = max(1.4826 * float(np.median(far)), MIN_NOISE)
        weights = np.clip(1 - (far / (TUKEY_SIGMAS * noise)) ** 2, 0, None) ** 2
        weighted = bases * weights[:, None]
        # Where all else is foreground, a small penalty keeps the surface from following it.
        slope_penalty = 1e-3 * weights.sum() * np.diag([0.0] + [1.0] * (bases.shape[1] - 1))
        terms = np.linalg.solve(bases.T @ weighted + slope_penalty, weighted.T @ pixels)
    return terms, noise


def _direction(
    contrast: Float[np.ndarray, "n channels"], noise: float
) -> tuple[Float32[np.ndarray, " channels"], float]:
    """The direction from background to foreground, that of the largest differences, and the noise along it."""
    far = np.linalg.norm(contrast, axis=1)
    marked = contrast[far >= max(4 * noise, far.max() / 3)]
    if not len(marked):
        marked = contrast
    _, directions = np.linalg.eigh(marked.T @ marked)
    direction = directions[:, -1]
    onto = contrast @ direction
    if (onto**3).sum() < 0:  # cubes: strokes are few but strong, shadows wide but weak
        direction, onto = -direction, -onto
    return direction.astype(np.float32), max(1.4826 * float(np.median(np.abs(onto))), MIN_NOISE)
