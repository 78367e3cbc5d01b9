"""Lines of ruled and squared paper: found, and taken away without the strokes that cross them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

from imparfait.data.images.placement import Plane

STEEPEST = 0.16  # of a line, to the page's side: 9 degrees
STRIPS = 36  # along the page, in each of which a line must be seen
WITHIN = 3  # parts of a strip: it is enough that a line is seen in one, between strokes
COVERED = 0.72  # of the strips in which a line is seen, of those in which it lies on the page
ASKEW = 0.07  # that a line's slope differs from the others' at most: of a sheet seen askew
THICKEST = 1.5  # times as thick as most of the page's lines is one of them
LEAST_SEEN = 0.25  # of the strips, in which a line lies on the page
OFF = 2.5  # pixels, that a line lies off where it is thought to be
CLEAR = 3.0  # times as much as may be noise: more does not make a line more probable
REACHES = (2, 5, 11)  # pixels, beyond which on both sides there must be less ink than on a line
PALEST = 0.1  # of the ink's strength: a paler line is not seen as ink
AS_DARK = 0.55  # of the ink's strength, from which on a line's darkness tells nothing


@dataclass(frozen=True, eq=False)
class RuledLine:
    """A line through the page: at which row it is in each column, and what its cross-section looks like."""

    rows: Float[np.ndarray, " width"]
    profile: Float[np.ndarray, " section"]
    """Levels from `len(profile) // 2` rows above its middle to as many below."""

    @property
    def level(self) -> float:
        """How far it lies from its ground."""
        return float(self.profile.max())

    @property
    def thickness(self) -> float:
        """Pixels in which it is more than half as dark as in its middle."""
        return float(np.count_nonzero(self.profile > self.level / 2))

    @property
    def slope(self) -> float:
        """Rows for one column."""
        return float((self.rows[-1] - self.rows[0]) / max(1, len(self.rows) - 1))


def find_ruled_lines(beside: Plane, noise: float, strength: float) -> list[RuledLine]:
    """The lines that go from the page's left side to its right, at most STEEPEST; `beside` is 0 on the ground.

    `strength` is about the ink's.
    """
    height, width = beside.shape
    if min(height, width) < STRIPS * WITHIN // 2:
        return []
    edges = np.linspace(0, width, STRIPS * WITHIN + 1).round().astype(int)
    strips = np.zeros((height, STRIPS), np.float32)
    for reach in REACHES:
        if 3 * reach < height:
            padded = np.pad(beside, ((reach, reach), (0, 0)), "edge")
            ridge = (beside - np.maximum(padded[2 * reach :], padded[: -2 * reach])).clip(0)
            mean = np.add.reduceat(ridge, edges[:-1], axis=1) / np.maximum(np.diff(edges), 1)
            # Of a line nearly as thick as that, its middle is then the highest.
            mean = ndimage.uniform_filter1d(mean, reach - 1 | 1, axis=0)
            np.maximum(strips, mean.reshape(height, STRIPS, WITHIN).max(2), out=strips)
    middles = (np.arange(STRIPS) + 0.5) * width / STRIPS - 0.5
    least = max(PALEST * strength, 3 * noise / (width / STRIPS / WITHIN) ** 0.5)
    found: list[RuledLine] = []
    for row, slope in _straight(
        np.minimum(strips / least, CLEAR) + 0.02 * np.minimum(strips / least, 10 * CLEAR), middles
    ):
        rule = _followed(beside, strips, middles, row, slope, least)
        if rule and all(np.median(np.abs(rule.rows - other.rows)) > 2 + other.thickness / 2 for other in found):
            found.append(rule)
    if not found:
        return []
    slope, thickness = (float(np.median(each)) for each in zip(*((r.slope, r.thickness) for r in found), strict=True))
    return [rule for rule in found if abs(rule.slope - slope) < ASKEW and rule.thickness <= THICKEST * thickness + 2]


def _straight(
    strips: Float[np.ndarray, "height strips"], middles: Float[np.ndarray, " strips"]
) -> list[tuple[int, float]]:
    """Rows at the page's middle, and slopes, of straight lines that may be seen in most strips; the clearest first.

    A line may enter the page from above or below, and its row lie outside.
    """
    height = len(strips)
    away = middles - middles.mean()
    room = int(np.ceil(STEEPEST * away[-1])) + 1
    padded = np.full((height + 4 * room, len(middles)), -1.0, np.float32)  # -1: outside the page
    padded[2 * room : -2 * room] = strips
    rows, columns = np.arange(room, height + 3 * room)[:, None], np.arange(len(middles))
    best, which = np.zeros(len(rows), np.float32), np.zeros(len(rows))
    for slope in np.linspace(-STEEPEST, STEEPEST, room + 1 | 1):  # two pixels at the page's side from one to the next
        seen = padded[rows + np.rint(slope * away).astype(int), columns]
        inside = (seen >= 0).sum(1)
        score = np.where(
            inside >= LEAST_SEEN * len(middles), (seen.sum(1) + len(middles) - inside) / (inside + 1e-6), 0
        )
        better = score > best
        best[better], which[better] = score[better], slope
    likely = np.flatnonzero((best > 0.7 * COVERED * CLEAR) & (best == ndimage.maximum_filter1d(best, 5)))
    order = likely[np.argsort(-best[likely], kind="stable")]
    return [(int(row) - room, float(which[row])) for row in order]


def _followed(
    beside: Plane,
    strips: Float[np.ndarray, "height strips"],
    middles: Float[np.ndarray, " strips"],
    row: int,
    slope: float,
    least: float,
) -> RuledLine | None:
    """The line near a straight one, which may be bent a little; None where it is not seen in enough strips."""
    height, width = beside.shape
    guess = row + slope * (middles - middles.mean())
    for degree in (1, 2, 2):
        near = np.rint(guess).astype(int)[None] + np.arange(-3, 4)[:, None]
        there = (near >= 0) & (near < height)
        values = np.where(there, strips[near.clip(0, height - 1), np.arange(len(middles))], 0)
        on_page = (guess >= 0) & (guess <= height - 1)
        peaks, at = values.max(0), (near * values**2).sum(0) / np.maximum((values**2).sum(0), 1e-9)
        if on_page.mean() < LEAST_SEEN:
            return None
        clear = (peaks > max(least, 0.4 * float(np.median(peaks[on_page])))) & on_page
        clear &= np.abs(guess - at) <= OFF
        if clear.sum() < COVERED * on_page.sum():
            return None
        curve = np.polynomial.Polynomial.fit(middles[clear], at[clear], degree)
        guess = curve(middles)
    rows = curve(np.arange(width))
    reach = min(REACHES[-1] + 5, height // 4)
    around = np.rint(rows).astype(int)[None] + np.arange(-reach, reach + 1)[:, None]
    section = beside[around.clip(0, height - 1), np.arange(width)]
    profile = np.quantile(section, 0.4, axis=1).clip(0)  # strokes cross it
    middle = reach + int(profile[reach - 2 : reach + 3].argmax()) - 2
    low = profile < 0.25 * profile[middle]
    above, below = np.flatnonzero(low[:middle]), np.flatnonzero(low[middle:])
    profile[: above[-1] + 1 if len(above) else 0] = 0
    profile[middle + below[0] if len(below) else len(profile) :] = 0
    if profile.max() < least or np.count_nonzero(profile) > 2 * REACHES[-1]:
        return None
    # It is within a pixel of where it is thought to be.
    return RuledLine(rows, np.asarray(ndimage.maximum_filter1d(profile, 3)))


def remove_ruled_lines(
    beside: Plane, rules: list[RuledLine], strength: float, low: float
) -> tuple[Float32[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """A page without these lines, and where they were; `strength` is the ink's, and what is under `low` may be ground.

    Where a line is paler than ink, what a stroke across it covers is reckoned from the levels; where it is as dark,
    it stays where strokes meet it.
    """
    after, ruled = beside.copy(), np.zeros(beside.shape, bool)
    height, width = beside.shape
    columns = np.arange(width)
    for rule in rules:
        reach = len(rule.profile) // 2
        around = np.rint(rule.rows).astype(int)[None] + np.arange(-reach, reach + 1)[:, None]
        inside = (around >= 0) & (around < height)
        there = around.clip(0, height - 1)
        section, profile = after[there, columns], rule.profile[:, None]
        if rule.level < AS_DARK * strength:
            left = strength * (section - profile) / (strength - profile)
            left = np.where(profile > 0, left.clip(0), section)
        else:
            kept = np.where(_kept(section, rule, low), np.minimum(section, strength), 0)
            left = np.where(profile > 0, kept, section)
        after[there[inside], np.broadcast_to(columns, there.shape)[inside]] = left[inside]
        core = inside & (profile > rule.level / 2)
        ruled[there[core], np.broadcast_to(columns, there.shape)[core]] = True
    return after, ruled


def _kept(
    section: Float[np.ndarray, "section width"], rule: RuledLine, low: float
) -> Bool[np.ndarray, "section width"]:
    """What of a line as dark as ink is ink: between strokes on both sides of it, and half of it where there is one."""
    core = np.flatnonzero(rule.profile > 0)
    first, last, height = core[0], core[-1], len(section)
    above = np.asarray((section[max(0, first - 2) : max(1, first)] > low).any(0))
    below = np.asarray((section[min(height - 1, last + 1) : last + 3] > low).any(0))
    wide = 2 * int(rule.thickness / 2) + 1  # a slanted stroke leaves a line beside where it entered it
    across = ndimage.binary_dilation(above, np.ones(wide, bool)) & ndimage.binary_dilation(below, np.ones(wide, bool))
    kept = np.zeros(section.shape, bool)
    middle = (first + last) // 2
    kept[first : middle + 1], kept[middle : last + 1] = np.asarray(across) | above, np.asarray(across) | below
    return kept
