"""Where ink that may be two digits could be cut: paths from top to bottom through as little of it as possible."""

import numpy as np
from jaxtyping import Bool, Float, Int

from imparfait.data.images.placement import stroke_width

Foreground = Float[np.ndarray, "height width"]
Paths = Int[np.ndarray, "height width"]

ROWS = 48  # at about so many the paths are looked for: they need not be finer
SLANTED = 0.25  # pixels of ink that a step to the side costs
MOST_CROSSED = 4.0  # strokes that a path may cross
LEAST_PART = 0.04  # of the digits' height squared, that lies on each side of a cut and between two: a third of a 1
MOST_CUTS = 4  # for each height of width


def cut(
    ink: Foreground, mask: Bool[np.ndarray, "height width"], tall: float
) -> tuple[Int[np.ndarray, "height width"], list[float]]:
    """Which part each pixel of a piece (0..1) would belong to, from left to right, and the strokes each cut crosses.

    -1 are pixels outside the mask. `tall` is the digits' height in pixels.
    """
    step = -(-ink.shape[0] // ROWS)
    less = _averaged(np.where(mask, ink, 0), step)
    height, width = less.shape
    down, first = _paths(less)
    up, last = _paths(less[::-1])
    middle = height // 2
    through = down[middle] + up[height - 1 - middle] - less[middle]
    columns = np.arange(width)
    seams = np.empty(less.shape, int)  # one for each column of the middle row
    seams[: middle + 1] = _traced(first, middle, columns)[::-1]
    seams[middle:] = _traced(last, height - 1 - middle, columns)
    before = np.cumsum(less, 1) - less / 2
    left = np.take_along_axis(before, seams, 1).sum(0)
    strokes = max(1.0, stroke_width(mask) / step)
    least, total = LEAST_PART * (tall / step) ** 2, float(less.sum())
    chosen: list[int] = []
    for x in np.argsort(through, kind="stable"):
        if through[x] > MOST_CROSSED * strokes or len(chosen) >= max(1, round(MOST_CUTS * width * step / tall)):
            break
        if all(abs(left[x] - edge) >= least for edge in (0.0, total, *(left[other] for other in chosen))):
            chosen.append(int(x))
    chosen.sort(key=lambda x: left[x])
    rows = np.minimum(np.arange(ink.shape[0]) // step, height - 1)
    parts = np.where(mask, 0, -1)
    costs: list[float] = []
    for x in chosen:
        right = mask & (np.arange(ink.shape[1]) >= (seams[rows, x][:, None] + 0.5) * step) & (parts == len(costs))
        if right.any() and (mask & ~right & (parts == len(costs))).any():
            costs.append(float(through[x]) / strokes)
            parts[right] = len(costs)
    return parts, costs


def _averaged(ink: Foreground, step: int) -> Float[np.ndarray, "rows columns"]:
    if step == 1:
        return ink
    room = [(0, -side % step) for side in ink.shape]
    ink = np.pad(ink, room)
    return np.asarray(ink.reshape(ink.shape[0] // step, step, -1, step).mean((1, 3)))


def _paths(cost: Foreground) -> tuple[Foreground, Paths]:
    """The least that a path from the first row to each pixel crosses, and by which step it came."""
    total = cost.copy()
    came = np.zeros(cost.shape, int)
    steps, columns = np.array([0, -1, 1]), np.arange(cost.shape[1])
    three = np.full((3, cost.shape[1]), np.inf)
    for row in range(1, len(cost)):
        three[0] = total[row - 1]
        three[1, 1:] = total[row - 1, :-1] + SLANTED
        three[2, :-1] = total[row - 1, 1:] + SLANTED
        which = three.argmin(0)
        total[row] += three[which, columns]
        came[row] = steps[which]
    return total, came


def _traced(came: Paths, row: int, columns: Int[np.ndarray, " width"]) -> Int[np.ndarray, "rows width"]:
    """The columns of the paths that end there, from their ends back to the first row."""
    path = [columns]
    for y in range(row, 0, -1):
        columns = columns + came[y, columns]
        path.append(columns)
    return np.array(path)
