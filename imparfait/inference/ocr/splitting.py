"""Splitting of touching digits: paths from top to bottom of a component that cross as little foreground as possible."""

# Dynamic programming gives, for every column of the middle row, the cheapest path through it. Paths are taken in the
# order of their costs, as long as each part on their sides has enough foreground.

import numpy as np
from jaxtyping import Bool, Float, Int

from imparfait.data.images.placement import stroke_width

Foreground = Float[np.ndarray, "height width"]
Steps = Int[np.ndarray, "height width"]

PATH_ROWS = 48  # approximate height at which paths are searched; finer is not better
SIDE_STEP_COST = 0.25  # pixels of foreground that a step to the side costs
MAX_STROKES_CROSSED = 4.0  # by a path
MIN_PART_AREA = 0.04  # of the squared digit height, on each side of a cut and between two: a third of a 1
MAX_CUTS_PER_HEIGHT = 4  # for each digit height of width


def split_component(
    foreground: Foreground, mask: Bool[np.ndarray, "height width"], digit_height: float
) -> tuple[Int[np.ndarray, "height width"], list[float]]:
    """The part of a component (0..1) that each pixel belongs to, from left to right, and the strokes each cut crosses.

    Pixels outside the mask are -1. `digit_height` is in pixels.
    """
    step = -(-foreground.shape[0] // PATH_ROWS)
    coarse = _averaged(np.where(mask, foreground, 0), step)
    height, width = coarse.shape
    down, first_steps = _cheapest_paths(coarse)
    up, last_steps = _cheapest_paths(coarse[::-1])
    middle = height // 2
    costs_through = down[middle] + up[height - 1 - middle] - coarse[middle]
    columns = np.arange(width)
    paths = np.empty(coarse.shape, int)  # one for each column of the middle row
    paths[: middle + 1] = _traced(first_steps, middle, columns)[::-1]
    paths[middle:] = _traced(last_steps, height - 1 - middle, columns)
    before = np.cumsum(coarse, 1) - coarse / 2
    area_left = np.take_along_axis(before, paths, 1).sum(0)
    stroke = max(1.0, stroke_width(mask) / step)
    min_area, total = MIN_PART_AREA * (digit_height / step) ** 2, float(coarse.sum())
    max_cuts = max(1, round(MAX_CUTS_PER_HEIGHT * width * step / digit_height))
    chosen: list[int] = []
    for x in np.argsort(costs_through, kind="stable"):
        if costs_through[x] > MAX_STROKES_CROSSED * stroke or len(chosen) >= max_cuts:
            break
        if all(
            abs(area_left[x] - other) >= min_area for other in (0.0, total, *(area_left[other] for other in chosen))
        ):
            chosen.append(int(x))
    chosen.sort(key=lambda x: area_left[x])
    rows = np.minimum(np.arange(foreground.shape[0]) // step, height - 1)
    parts = np.where(mask, 0, -1)
    crossed: list[float] = []
    for x in chosen:
        current = parts == len(crossed)
        right = mask & (np.arange(foreground.shape[1]) >= (paths[rows, x][:, None] + 0.5) * step) & current
        if right.any() and (mask & ~right & current).any():
            crossed.append(float(costs_through[x]) / stroke)
            parts[right] = len(crossed)
    return parts, crossed


def _averaged(foreground: Foreground, step: int) -> Float[np.ndarray, "rows columns"]:
    if step == 1:
        return foreground
    foreground = np.pad(foreground, [(0, -side % step) for side in foreground.shape])
    return np.asarray(foreground.reshape(foreground.shape[0] // step, step, -1, step).mean((1, 3)))


def _cheapest_paths(cost: Foreground) -> tuple[Foreground, Steps]:
    """The cost of the cheapest path from the first row to each pixel, and the side step by which it arrives."""
    total = cost.copy()
    arrived_by = np.zeros(cost.shape, int)
    steps, columns = np.array([0, -1, 1]), np.arange(cost.shape[1])
    options = np.full((3, cost.shape[1]), np.inf)
    for row in range(1, len(cost)):
        options[0] = total[row - 1]
        options[1, 1:] = total[row - 1, :-1] + SIDE_STEP_COST
        options[2, :-1] = total[row - 1, 1:] + SIDE_STEP_COST
        best = options.argmin(0)
        total[row] += options[best, columns]
        arrived_by[row] = steps[best]
    return total, arrived_by


def _traced(arrived_by: Steps, row: int, columns: Int[np.ndarray, " width"]) -> Int[np.ndarray, "rows width"]:
    """The columns of the paths that end at `row`, from their ends back to the first row."""
    path = [columns]
    for y in range(row, 0, -1):
        columns = columns + arrived_by[y, columns]
        path.append(columns)
    return np.array(path)
