"""Ruled lines of lined and squared paper: found, and removed without the strokes that cross them."""

# A ruled line is a straight or slightly bent ridge through most of the page, at most MAX_SLOPE from the horizontal;
# for vertical lines the page is transposed.
# 1. In STRIPS vertical strips the height of ridges is measured, at several widths.
# 2. For each slope, rows whose ridges continue through most strips are candidates.
# 3. Each candidate is followed with a curve of degree 2, and its cross-section (profile) measured.
# 4. A line paler than the foreground is subtracted; a line as dark is erased, except where strokes meet it.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

from imparfait.data.images.placement import Plane

MAX_SLOPE = 0.16  # rows a column: 9 degrees
STRIPS = 36  # along the page; a line must be seen in most of them
SLICES = 3  # of a strip; one in which the line is seen between strokes is enough
MIN_SEEN_SHARE = 0.72  # of the strips in which a line lies on the page: it must be seen there
MIN_ON_PAGE_SHARE = 0.25  # of all strips: a line must lie on the page there
MAX_SLOPE_DIFFERENCE = 0.07  # between the lines of a page, on a sheet photographed askew
MAX_THICKNESS_RATIO = 1.5  # of a line's thickness to the median thickness of the page's lines
MAX_OFFSET_PIXELS = 2.5  # of a line's peak in a strip from where the curve predicts it
MAX_EVIDENCE = 3.0  # times the threshold that counts in a strip; a darker ridge is not a likelier line
RIDGE_REACHES_PIXELS = (2, 5, 11)  # above and below a ridge, where there must be less contrast
MIN_LINE_STRENGTH = 0.1  # of the foreground's strength; a paler line does not look like foreground
MIN_DARK_STRENGTH = 0.55  # of the foreground's strength; from here on darkness does not tell a line from a stroke


@dataclass(frozen=True, eq=False)
class RuledLine:
    """A line through the page: its row in each column, and its cross-section."""

    rows: Float[np.ndarray, " width"]
    profile: Float[np.ndarray, " section"]
    """Contrast from `len(profile) // 2` rows above the line's middle to as many below."""

    @property
    def level(self) -> float:
        """The contrast in its middle."""
        return float(self.profile.max())

    @property
    def thickness(self) -> float:
        """Number of pixels with more than half of the contrast in the middle."""
        return float(np.count_nonzero(self.profile > self.level / 2))

    @property
    def slope(self) -> float:
        """Rows a column."""
        return float((self.rows[-1] - self.rows[0]) / max(1, len(self.rows) - 1))


def find_ruled_lines(contrast: Plane, noise: float, strength: float) -> list[RuledLine]:
    """The lines from the page's left side to its right; `contrast` is 0 on the background.

    `strength` is the approximate contrast of the foreground.
    """
    height, width = contrast.shape
    if min(height, width) < STRIPS * SLICES // 2:
        return []
    edges = np.linspace(0, width, STRIPS * SLICES + 1).round().astype(int)
    strips = np.zeros((height, STRIPS), np.float32)
    for reach in RIDGE_REACHES_PIXELS:
        if 3 * reach < height:
            padded = np.pad(contrast, ((reach, reach), (0, 0)), "edge")
            ridge = (contrast - np.maximum(padded[2 * reach :], padded[: -2 * reach])).clip(0)
            mean = np.add.reduceat(ridge, edges[:-1], axis=1) / np.maximum(np.diff(edges), 1)
            # Of a line nearly as thick as `reach`, the middle then has the highest ridge.
            mean = ndimage.uniform_filter1d(mean, reach - 1 | 1, axis=0)
            np.maximum(strips, mean.reshape(height, STRIPS, SLICES).max(2), out=strips)
    middles = (np.arange(STRIPS) + 0.5) * width / STRIPS - 0.5
    threshold = max(MIN_LINE_STRENGTH * strength, 3 * noise / (width / STRIPS / SLICES) ** 0.5)
    lines: list[RuledLine] = []
    for row, slope in _straight_lines(
        np.minimum(strips / threshold, MAX_EVIDENCE) + 0.02 * np.minimum(strips / threshold, 10 * MAX_EVIDENCE), middles
    ):
        line = _follow(contrast, strips, middles, row, slope, threshold)
        if line and all(np.median(np.abs(line.rows - other.rows)) > 2 + other.thickness / 2 for other in lines):
            lines.append(line)
    if not lines:
        return []
    slope, thickness = (
        float(np.median(values)) for values in zip(*((line.slope, line.thickness) for line in lines), strict=True)
    )
    return [
        line
        for line in lines
        if abs(line.slope - slope) < MAX_SLOPE_DIFFERENCE and line.thickness <= MAX_THICKNESS_RATIO * thickness + 2
    ]


def _straight_lines(
    strips: Float[np.ndarray, "height strips"], middles: Float[np.ndarray, " strips"]
) -> list[tuple[int, float]]:
    """Rows at the page's middle, and slopes, of straight lines seen in most strips; the clearest first.

    A line may enter the page from above or below, and its row at the middle may lie outside.
    """
    height = len(strips)
    offsets = middles - middles.mean()
    # A steeper line than that is not on the page for long enough; without it a page of 112 x 32,880 pixels takes 5 s.
    steepest = min(MAX_SLOPE, height / (MIN_ON_PAGE_SHARE * (offsets[-1] - offsets[0])))
    room = int(np.ceil(steepest * offsets[-1])) + 1
    padded = np.full((height + 4 * room, len(middles)), -1.0, np.float32)  # -1: outside the page
    padded[2 * room : -2 * room] = strips
    rows, columns = np.arange(room, height + 3 * room)[:, None], np.arange(len(middles))
    best, best_slope = np.zeros(len(rows), np.float32), np.zeros(len(rows))
    for slope in np.linspace(-steepest, steepest, room + 1 | 1):  # a step moves the line's end by two pixels
        seen = padded[rows + np.rint(slope * offsets).astype(int), columns]
        inside = (seen >= 0).sum(1)
        score = np.where(
            inside >= MIN_ON_PAGE_SHARE * len(middles), (seen.sum(1) + len(middles) - inside) / (inside + 1e-6), 0
        )
        better = score > best
        best[better], best_slope[better] = score[better], slope
    likely = np.flatnonzero((best > 0.7 * MIN_SEEN_SHARE * MAX_EVIDENCE) & (best == ndimage.maximum_filter1d(best, 5)))
    order = likely[np.argsort(-best[likely], kind="stable")]
    return [(int(row) - room, float(best_slope[row])) for row in order]


def _follow(
    contrast: Plane,
    strips: Float[np.ndarray, "height strips"],
    middles: Float[np.ndarray, " strips"],
    row: int,
    slope: float,
    threshold: float,
) -> RuledLine | None:
    """The line near a straight one, possibly a little bent; None where it is not seen in enough strips."""
    height, width = contrast.shape
    guess = row + slope * (middles - middles.mean())
    for degree in (1, 2, 2):
        near = np.rint(guess).astype(int)[None] + np.arange(-3, 4)[:, None]
        inside = (near >= 0) & (near < height)
        values = np.where(inside, strips[near.clip(0, height - 1), np.arange(len(middles))], 0)
        on_page = (guess >= 0) & (guess <= height - 1)
        peaks, at = values.max(0), (near * values**2).sum(0) / np.maximum((values**2).sum(0), 1e-9)
        if on_page.mean() < MIN_ON_PAGE_SHARE:
            return None
        clear = (peaks > max(threshold, 0.4 * float(np.median(peaks[on_page])))) & on_page
        clear &= np.abs(guess - at) <= MAX_OFFSET_PIXELS
        if clear.sum() < MIN_SEEN_SHARE * on_page.sum():
            return None
        curve = np.polynomial.Polynomial.fit(middles[clear], at[clear], degree)
        guess = curve(middles)
    rows = curve(np.arange(width))
    reach = min(RIDGE_REACHES_PIXELS[-1] + 5, height // 4)
    around = np.rint(rows).astype(int)[None] + np.arange(-reach, reach + 1)[:, None]
    section = contrast[around.clip(0, height - 1), np.arange(width)]
    profile = np.quantile(section, 0.4, axis=1).clip(0)  # not the mean: strokes cross the line
    middle = reach + int(profile[reach - 2 : reach + 3].argmax()) - 2
    low = profile < 0.25 * profile[middle]
    above, below = np.flatnonzero(low[:middle]), np.flatnonzero(low[middle:])
    profile[: above[-1] + 1 if len(above) else 0] = 0
    profile[middle + below[0] if len(below) else len(profile) :] = 0
    if profile.max() < threshold or np.count_nonzero(profile) > 2 * RIDGE_REACHES_PIXELS[-1]:
        return None
    # The curve is off by at most a pixel.
    return RuledLine(rows, np.asarray(ndimage.maximum_filter1d(profile, 3)))


def remove_ruled_lines(
    contrast: Plane, lines: list[RuledLine], strength: float, low: float
) -> tuple[Float32[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """The page without these lines, and where they were.

    `strength` is the foreground's contrast; below `low` a pixel may be background. Where a line is paler than the
    foreground, what a stroke adds to it is computed from the contrast; where it is as dark, it is kept where strokes
    meet it.
    """
    result, ruled = contrast.copy(), np.zeros(contrast.shape, bool)
    height, width = contrast.shape
    columns = np.arange(width)
    for line in lines:
        reach = len(line.profile) // 2
        around = np.rint(line.rows).astype(int)[None] + np.arange(-reach, reach + 1)[:, None]
        inside = (around >= 0) & (around < height)
        clipped = around.clip(0, height - 1)
        section, profile = result[clipped, columns], line.profile[:, None]
        if line.level < MIN_DARK_STRENGTH * strength:
            rest = strength * (section - profile) / (strength - profile)
            rest = np.where(profile > 0, rest.clip(0), section)
        else:
            strokes = np.where(_strokes_across(section, line, low), np.minimum(section, strength), 0)
            rest = np.where(profile > 0, strokes, section)
        result[clipped[inside], np.broadcast_to(columns, clipped.shape)[inside]] = rest[inside]
        core = inside & (profile > line.level / 2)
        ruled[clipped[core], np.broadcast_to(columns, clipped.shape)[core]] = True
    return result, ruled


def _strokes_across(
    section: Float[np.ndarray, "section width"], line: RuledLine, low: float
) -> Bool[np.ndarray, "section width"]:
    """The part of a dark line that belongs to strokes: all of it between two strokes, half of it beside one."""
    core = np.flatnonzero(line.profile > 0)
    first, last, height = core[0], core[-1], len(section)
    above = np.asarray((section[max(0, first - 2) : max(1, first)] > low).any(0))
    below = np.asarray((section[min(height - 1, last + 1) : last + 3] > low).any(0))
    wide = 2 * int(line.thickness / 2) + 1  # a slanted stroke leaves a line in another column than it enters
    across = ndimage.binary_dilation(above, np.ones(wide, bool)) & ndimage.binary_dilation(below, np.ones(wide, bool))
    kept = np.zeros(section.shape, bool)
    middle = (first + last) // 2
    kept[first : middle + 1], kept[middle : last + 1] = np.asarray(across) | above, np.asarray(across) | below
    return kept
