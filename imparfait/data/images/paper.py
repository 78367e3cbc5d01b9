"""Detection of a sheet of paper in a photograph."""

# The image is divided by lightness (Otsu). The largest area of the lighter, or else the darker, part is a sheet if it
# is large, nearly convex, four-cornered, and differs from what lies around it along a sharp rim.

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Bool, Float, Float32, Int
from PIL import Image, ImageDraw

Mask = Bool[np.ndarray, "height width"]

MIN_SIDE_PIXELS = 40  # in a smaller image a sheet looks like a thick stroke
AREA_SHARES = (0.12, 0.97)  # of the image, that a sheet covers
MIN_PAPER_SHARE = 0.75  # of the sheet, that is not foreground; of a thick 0 it is half
MIN_HULL_SHARE = 0.92  # of its convex hull, that the sheet fills
MIN_QUADRILATERAL_SHARE = 0.8  # of its hull, that the largest quadrilateral fills: 1 of a sheet, 0.64 of an ellipse
MIN_RIM_CONTRAST = 0.08  # of lightness, between the sheet's rim and what lies around it
HISTOGRAM_BINS = 128  # of the histogram for a threshold
DENT_ROUNDS = 8  # after which few points are left, for the exact algorithm
EDGE_SHARE = 0.02  # of the image's longer side, cut off the sheet: shadows, and pixels that are half desk


def find_paper(light: Float32[np.ndarray, "height width"]) -> Mask | None:
    """The sheet in an image's lightness (0..1), without its edge; None where the image shows nothing else.

    A sheet is a large four-cornered area, lighter (or, as slate, darker) than its surroundings; it may reach out of the
    image. What is written on it belongs to it.
    """
    if min(light.shape) < MIN_SIDE_PIXELS:
        return None
    smooth = scipy.ndimage.uniform_filter(light, 3)
    threshold = otsu(smooth)
    for bright in (smooth > threshold, smooth <= threshold):
        sheet = _sheet(bright)
        if sheet is None:
            continue
        edge = max(2, round(EDGE_SHARE * max(light.shape)))
        within, beyond = _depth(sheet), _depth(~sheet)
        rim, outside = light[(within > 0) & (within <= edge)], light[(beyond > 0) & (beyond <= edge)]
        # A gradient of light has equal lightness on both sides.
        if (
            outside.size
            and abs(float(np.median(rim)) - float(np.median(outside))) > MIN_RIM_CONTRAST
            and (within > edge).any()
        ):
            return np.asarray(within > edge)
    return None


def _depth(mask: Mask) -> Float[np.ndarray, "height width"]:
    """Distance of each pixel from the mask's edge; the image's border is no edge."""
    return np.asarray(scipy.ndimage.distance_transform_edt(np.pad(mask, 1, "edge")))[1:-1, 1:-1]


def otsu(values: Float[np.ndarray, "..."]) -> float:
    """The threshold with the largest variance between two groups of values (Otsu 1979)."""
    try:
        counts, edges = np.histogram(values, HISTOGRAM_BINS)
    except ValueError:  # fewer floats than bins lie between the least and the largest
        return float(values.max())
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * middles)
    total, whole = below[-1], sums[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (whole * below / total - sums) ** 2 / (below * (total - below))
    return float(edges[1:][np.nanargmax(np.where(np.isfinite(apart), apart, -1))])


def _sheet(bright: Mask) -> Mask | None:
    labels, count = scipy.ndimage.label(bright)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    largest = int(sizes.argmax())
    if not AREA_SHARES[0] < sizes[largest] / bright.size < AREA_SHARES[1]:
        return None
    paper = labels == 1 + largest
    if all(side.all() for side in (paper[0], paper[-1], paper[:, 0], paper[:, -1])):
        return None  # it would fill the image
    filled = fill_holes(paper)
    if paper.sum() < MIN_PAPER_SHARE * filled.sum() or filled.mean() > AREA_SHARES[1]:
        return None
    corners = convex_hull(filled)
    around = polygon_area(corners)
    if filled.sum() < MIN_HULL_SHARE * around or largest_quadrilateral(corners) < MIN_QUADRILATERAL_SHARE * around:
        return None
    # Filled to its hull: a stroke may reach from the sheet to the image's border.
    drawing = Image.new("1", filled.shape[::-1])
    ImageDraw.Draw(drawing).polygon([(x - 0.5, y - 0.5) for x, y in corners], fill=1)
    return np.asarray(np.asarray(drawing) | filled)


def fill_holes(mask: Mask) -> Mask:
    """The mask with its holes, as `scipy.ndimage.binary_fill_holes` gives it, several times as fast."""
    beyond, count = scipy.ndimage.label(~mask)
    is_hole = np.ones(count + 1, np.bool_)
    for side in (beyond[0], beyond[-1], beyond[:, 0], beyond[:, -1]):
        is_hole[side] = False
    is_hole[0] = True  # the mask itself
    return np.asarray(is_hole[beyond])


def convex_hull(mask: Mask) -> Float[np.ndarray, "corners 2"]:
    """The corners, in turn, of the convex hull of a mask's pixels with their outer edges (Andrew 1979)."""
    rows = np.flatnonzero(mask.any(1))
    first, last = mask[rows].argmax(1), mask.shape[1] - mask[rows, ::-1].argmax(1)
    chains: list[tuple[int, int]] = []
    for side, columns in ((1, first), (-1, last)):  # down the left side, up the right one
        chain: list[tuple[int, int]] = []
        outer = _without_dents(np.repeat(columns, 2), np.stack([rows, rows + 1], 1).ravel(), side)
        for x, y in outer.tolist():
            while len(chain) > 1:
                (x0, y0), (x1, y1) = chain[-2:]
                if side * ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) < 0:
                    break
                chain.pop()
            chain.append((x, y))
        chains += chain[::side]
    return np.array(chains, float)


def _without_dents(x: Int[np.ndarray, " n"], y: Int[np.ndarray, " n"], side: int) -> Int[np.ndarray, "m 2"]:
    """A chain without points that lie inside the line of their neighbours: no corner of the hull is one of them."""
    points = np.stack([x, y], 1)
    for _ in range(DENT_ROUNDS):
        (x0, y0), (x1, y1), (x2, y2) = points[:-2].T, points[1:-1].T, points[2:].T
        corner = side * ((x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)) < 0
        if corner.all():
            break
        points = points[np.concatenate([[True], corner, [True]])]
    return points


def polygon_area(corners: Float[np.ndarray, "corners 2"]) -> float:
    """The area of the polygon with these corners."""
    x, y = corners.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def largest_quadrilateral(corners: Float[np.ndarray, "corners 2"]) -> float:
    """The area of the largest quadrilateral whose corners are corners of a convex polygon."""
    corners = corners[:: len(corners) // 64 + 1]
    x, y = (corners[None, :] - corners[:, None]).transpose(2, 0, 1)  # from corner to corner
    doubled = x[:, :, None] * y[:, None, :] - y[:, :, None] * x[:, None, :]  # triangles on both sides of a diagonal
    return float((doubled.max(2) - doubled.min(2)).max() / 2)
