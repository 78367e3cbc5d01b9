"""Parts of the detection of a sheet of paper: fast code agrees with slow code."""

import numpy as np
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.data.images.paper import convex_hull, fill_holes, polygon_area


def blobs(seed: int, height: int, width: int, smooth: float, share: float) -> np.ndarray:
    field = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), smooth)
    return np.asarray(field >= np.quantile(field, 1 - share))


masks = st.builds(
    blobs, st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 4), st.floats(0.01, 1)
)


def slow_hull(mask: np.ndarray) -> list[tuple[float, float]]:
    """Gift wrapping around the corners of all pixels."""
    rows, columns = np.nonzero(mask)
    points = sorted({(x + i, y + j) for y, x in zip(rows, columns, strict=True) for i in (0, 1) for j in (0, 1)})
    hull = [points[0]]
    while True:
        at = hull[-1]
        best = next(point for point in points if point != at)
        for point in points:
            turn = (best[0] - at[0]) * (point[1] - at[1]) - (best[1] - at[1]) * (point[0] - at[0])
            farther = sum((a - b) ** 2 for a, b in zip(point, at, strict=True)) > sum(
                (a - b) ** 2 for a, b in zip(best, at, strict=True)
            )
            if point != at and (turn < 0 or (turn == 0 and farther)):
                best = point
        if best == hull[0]:
            return hull
        hull.append(best)


@settings(max_examples=100, deadline=None)
@given(mask=masks)
def test_holes_are_filled_as_by_scipy(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_holes(mask), scipy.ndimage.binary_fill_holes(mask))


@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_the_hull_has_the_corners_of_slow_code(mask: np.ndarray) -> None:
    found = convex_hull(mask)
    expected = slow_hull(mask)
    assert {tuple(corner) for corner in found.tolist()} == {(float(x), float(y)) for x, y in expected}
    assert polygon_area(found) >= mask.sum()
