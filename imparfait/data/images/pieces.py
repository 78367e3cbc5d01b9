"""The pieces of a page's foreground that are one glyph: the largest, those near it, and no ruled lines."""

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Float32

from imparfait.data.images.background import Mask

LARGE_PIXELS = 100  # of the shorter side, from which on a page may have shadows
SPECK_SHARE = 0.03  # of the glyph's foreground: a smaller piece is dirt
NEAR_SHARE = 0.25  # of the glyph's longer side, that another piece of it may lie apart
SEGMENT_SHARE = 0.1  # of the largest piece's foreground, that another segment of a display has at least
SEGMENT_GAP_SHARE = 0.4  # of the largest segment's length, that the next one lies apart at most
LINE_SHARE = 0.9  # of the page's side, that the line of a ruled sheet crosses
RULED_RUN_SHARE = 0.12  # of the page's side, over which a piece of a ruled line, which may be tilted, is straight
RULED_LINES = 2.5  # widths of the page, that lines are long together at least: no digit has so many level strokes
RULED_PIXELS = 3  # of the coarse copy, that a ruled line is thick at most


def glyph_mask(foreground: Mask, contrast: Float32[np.ndarray, "height width"]) -> Mask | None:
    """The glyph's pixels; None where there is no foreground.

    Ruled lines that a stroke joins to the glyph are left out, on pages that are large enough to be ruled.
    """
    mask = _pieces(foreground, contrast)
    if mask is None or min(mask.shape) < LARGE_PIXELS:
        return mask
    for axis in (0, 1):
        if _extent(mask, axis) > LINE_SHARE * mask.shape[1 - axis]:
            unruled = _without_lines(foreground, axis)
            freed = None if unruled is None else _pieces(unruled, contrast)
            mask = mask if freed is None else freed
    return mask


def _pieces(foreground: Mask, contrast: Float32[np.ndarray, "height width"]) -> Mask | None:
    """The largest connected piece of foreground, and the pieces near it that are not too small."""
    labels, count = scipy.ndimage.label(foreground, np.ones((3, 3)))
    if not count:
        return None
    masses = np.asarray(scipy.ndimage.sum_labels(contrast, labels, np.arange(1, count + 1)))
    boxes = scipy.ndimage.find_objects(labels)
    height, width = foreground.shape
    for index, (rows, columns) in enumerate(boxes):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        through = (wide > LINE_SHARE * width and tall < wide / 8) or (tall > LINE_SHARE * height and wide < tall / 8)
        on_edge = rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width
        if count > 1 and on_edge:
            masses[index] *= 0 if through else 0.2  # more probably something that reaches into the page
    first = int(masses.argmax())
    reach = NEAR_SHARE * _longer(boxes[first])
    near = [
        masses[i] >= SPECK_SHARE * masses[first] and _gap(boxes[first], box) <= reach for i, box in enumerate(boxes)
    ]
    chosen = {i for i, is_near in enumerate(near) if is_near}
    # A display's digit is a chain of segments, with gaps that are narrow beside the longest.
    segments = {i for i, mass in enumerate(masses) if mass >= SEGMENT_SHARE * masses[first]}
    reach = SEGMENT_GAP_SHARE * _longer(boxes[first])
    waiting = list(chosen)
    while waiting:
        here = waiting.pop()
        linked = {i for i in segments - chosen if _gap(boxes[here], boxes[i]) <= reach}
        chosen |= linked
        waiting += linked
    return np.isin(labels, [i + 1 for i in chosen])


def _gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """How far two boxes lie apart, in rows or columns; 0 where they overlap."""
    return int(max(*(max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True)), 0))


def _longer(box: tuple[slice, ...]) -> int:
    return int(max(side.stop - side.start for side in box))


def _extent(mask: Mask, axis: int) -> int:
    """How wide (axis 0) or tall (axis 1) a mask is that is not empty."""
    covered = np.flatnonzero(mask.any(axis))
    return int(covered[-1] - covered[0]) + 1


def _without_lines(foreground: Mask, axis: int) -> Mask | None:
    """The foreground without thin lines across the page: level ones (axis 0) or upright ones (axis 1).

    Where a stroke crosses a line it stays whole. None where there are too few lines for a ruled sheet.
    """
    across = foreground if axis == 0 else foreground.T
    width = across.shape[1]
    level = scipy.ndimage.binary_opening(across, np.ones((1, max(9, round(RULED_RUN_SHARE * width))), bool))
    strokes = scipy.ndimage.binary_opening(across, np.ones((RULED_PIXELS + 1, 1), bool))
    lines = np.asarray(level & ~strokes)
    length = np.count_nonzero(lines[1:] & ~lines[:-1])
    if length < RULED_LINES * width:
        return None
    left = across & ~lines
    labels, _ = scipy.ndimage.label(left, np.ones((3, 3)))
    boxes = scipy.ndimage.find_objects(labels)
    flat = [i + 1 for i, (down, _) in enumerate(boxes) if down.stop - down.start <= RULED_PIXELS]
    left &= ~np.isin(labels, flat)
    return left if axis == 0 else left.T
