"""Page layout: glyphs as lines of fields, in reading order."""

# Each glyph is linked to the nearest one to its right that stands at its height, along the slope of the page. Chains of
# links are pieces of lines; pieces beside each other are one line. A line is cut into fields at wide gaps and at other
# glyphs. Distances are in heights of the larger of two glyphs.

from itertools import pairwise

import numpy as np
from jaxtyping import Float

Boxes = Float[np.ndarray, "n 4"]
"""Left, top, right, bottom."""

MAX_SLOPE = 1.0  # down the page for one to the right: 45 degrees
MAX_LINK_HEIGHTS = 4.0  # between neighbours of a line
MAX_RISE_HEIGHTS = 0.5  # by which neighbours differ from the page's slope
MIN_HEIGHT_RATIO = 0.4  # of neighbours
FIELD_GAP_HEIGHTS = 1.6  # wider gaps always separate fields
WIDE_GAP_HEIGHTS = 0.7  # from here on a gap separates fields where the pitch is uneven:
UNEVEN_PITCH_RATIO = 1.8  # of the distance between two digits' middles to the median distance in the line
MIN_OTHER_GAPS = 5  # in a line, from which on a gap can be compared with the others, as in print:
PRINT_GAP_HEIGHTS, PRINT_GAP_RATIO = 0.25, 2.5  # of a gap in heights, and to nearly all others (80 %)
MIN_PRESENCE = 0.5  # of a glyph that is read as a digit
MAX_OTHER_PRESENCE = 0.1  # of one that separates fields; with more it may be a digit that was not made out
MIN_POSSIBLE = 0.02  # of a glyph between or beside a field's digits that may be one of them
MAX_COVERED = 0.5  # of a separator's width, by the digits beside it
SEPARATOR_HEIGHT = 0.6  # of the digits' height; a lower glyph between two digits is a separator


def find_lines(
    boxes: Boxes, min_height_ratio: float = MIN_HEIGHT_RATIO, max_rise: float = MAX_RISE_HEIGHTS
) -> list[list[int]]:
    """The glyphs of each line from left to right; the lines from top to bottom.

    The lower of two neighbours has at least `min_height_ratio` of the other's height; their middles differ by at most
    `max_rise` times this height.
    """
    if not len(boxes):
        return []
    heights, middles = boxes[:, 3] - boxes[:, 1], (boxes[:, :2] + boxes[:, 2:]) / 2
    angle = np.arctan(slope_of(boxes))
    along = middles @ [np.cos(angle), np.sin(angle)]
    below = middles @ [-np.sin(angle), np.cos(angle)]
    half = (boxes[:, 2] - boxes[:, 0]) / 2
    chains: list[list[int]] = []
    ends = np.empty(len(boxes), int)  # the last glyph of each chain
    for glyph in np.argsort(along, kind="stable").tolist():
        last = ends[: len(chains)]
        taller = np.maximum(heights[glyph], heights[last])
        rise = np.abs(below[glyph] - below[last]) / taller
        gap = (along[glyph] - half[glyph] - along[last] - half[last]) / taller
        near = (rise < max_rise) & (gap < MAX_LINK_HEIGHTS)
        near &= np.minimum(heights[glyph], heights[last]) >= min_height_ratio * taller
        if near.any():
            best = int(np.where(near, 2 * rise + np.maximum(gap, 0), np.inf).argmin())
            chains[best].append(glyph)
        else:
            best = len(chains)
            chains.append([glyph])
        ends[best] = glyph
    return _joined(chains, along, below, heights)


def slope_of(boxes: Boxes) -> float:
    """The slope of the page's lines, down for one to the right: the median over glyphs and their next to the right."""
    heights, middles = boxes[:, 3] - boxes[:, 1], (boxes[:, :2] + boxes[:, 2:]) / 2
    order = np.argsort(middles[:, 0])
    across_sorted, slopes = middles[order, 0], []
    reach = 2.5 * float(heights.max(initial=0))
    for glyph in range(len(middles)):
        first, last = np.searchsorted(across_sorted, [middles[glyph, 0], middles[glyph, 0] + reach])
        others = order[first:last]
        across, down = (middles[others] - middles[glyph]).T
        taller = np.maximum(heights[others], heights[glyph])
        near = (across > 0.2 * taller) & (np.abs(down) < MAX_SLOPE * across) & (across < 2.5 * taller)
        near &= np.minimum(heights[others], heights[glyph]) > MIN_HEIGHT_RATIO * taller
        if near.any():
            nearest = np.flatnonzero(near)[np.argmin(np.hypot(across, down)[near])]
            slopes.append(down[nearest] / across[nearest])
    return float(np.median(slopes)) if slopes else 0.0


def _joined(
    chains: list[list[int]],
    along: Float[np.ndarray, " n"],
    below: Float[np.ndarray, " n"],
    heights: Float[np.ndarray, " n"],
) -> list[list[int]]:
    """Chains that are beside each other, as lines from top to bottom."""
    lines: list[list[int]] = []
    for chain in sorted(chains, key=lambda chain: float(np.median(below[chain]))):
        middle, height = float(np.median(below[chain])), float(np.median(heights[chain]))
        if lines:
            last = lines[-1]
            other, its = float(np.median(below[last])), float(np.median(heights[last]))
            apart = all(along[chain].min() > along[glyph] or along[chain].max() < along[glyph] for glyph in last)
            if apart and abs(middle - other) < MAX_RISE_HEIGHTS * min(height, its):
                lines[-1] = sorted([*last, *chain], key=lambda glyph: along[glyph])
                continue
        lines.append(chain)
    return lines


def split_into_fields(
    line: list[int], boxes: Boxes, presence: Float[np.ndarray, " n"], join_separators: bool = False
) -> list[list[int]]:
    """The digits of a line, given the probability that each glyph is one; separated at wide gaps and at other glyphs.

    Other glyphs are left out. With `join_separators`, points, commas and dashes between digits do not separate them.
    """
    digits = [glyph for glyph in line if presence[glyph] >= MIN_PRESENCE]
    if not digits:
        return []
    height = float(np.median(boxes[digits, 3] - boxes[digits, 1]))
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    distances = np.array([np.hypot(*(middles[right] - middles[left])) for left, right in pairwise(digits)])
    gaps = np.array([max(0.0, boxes[right, 0] - boxes[left, 2]) / height for left, right in pairwise(digits)])
    pitch = float(np.median(distances)) if len(digits) > 2 else np.inf
    fields = [[digits[0]]]
    for index, (left, right) in enumerate(pairwise(digits)):
        wide = gaps[index] > WIDE_GAP_HEIGHTS and distances[index] > UNEVEN_PITCH_RATIO * pitch
        apart = gaps[index] > FIELD_GAP_HEIGHTS or wide
        others = np.delete(gaps, index)
        if len(others) >= MIN_OTHER_GAPS and gaps[index] > PRINT_GAP_HEIGHTS:
            apart |= bool(gaps[index] > PRINT_GAP_RATIO * float(np.quantile(others, 0.8)) + 0.05)
        for glyph in line[line.index(left) + 1 : line.index(right)]:
            other = presence[glyph] < MAX_OTHER_PRESENCE and not _covered(boxes[glyph], boxes[[left, right]])
            low = boxes[glyph, 3] - boxes[glyph, 1] < SEPARATOR_HEIGHT * height
            apart |= other and not (join_separators and low)
        if apart:
            fields.append([])
        fields[-1].append(right)
    return fields


def within_reach(field: list[int], line: list[int], boxes: Boxes, presence: Float[np.ndarray, " n"]) -> list[int]:
    """The glyphs of a line from a field's first digit to its last, and those beside it that would belong to it.

    The field's reach ends at a wide gap, at a digit of another field and at a glyph that is none.
    """
    first, last = line.index(field[0]), line.index(field[-1])
    height = float(np.median(boxes[field, 3] - boxes[field, 1]))

    def beside(glyphs: list[int]) -> list[int]:
        found: list[int] = []
        for glyph in glyphs:
            reached = boxes[[*field, *found]]
            gap = np.maximum(boxes[glyph, 0] - reached[:, 2], reached[:, 0] - boxes[glyph, 2]).min()
            if presence[glyph] >= MIN_PRESENCE or gap > FIELD_GAP_HEIGHTS * height:
                break
            if _covered(boxes[glyph], boxes[field]):
                continue
            if presence[glyph] < MIN_POSSIBLE:
                break
            found.append(glyph)
        return found

    return [*beside(line[:first][::-1])[::-1], *line[first : last + 1], *beside(line[last + 1 :])]


def _covered(box: Float[np.ndarray, "4"], neighbours: Boxes) -> bool:
    """Whether a neighbour is over most of a box: it is a part of a digit, or a second view of it."""
    common = np.minimum(box[2], neighbours[:, 2]) - np.maximum(box[0], neighbours[:, 0])
    return bool(common.max() > MAX_COVERED * (box[2] - box[0]))
