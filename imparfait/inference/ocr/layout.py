"""Layout of a page: connected components of the foreground, grouped into text lines."""

# 1. Components that are specks, ruled lines, or reach in from the page's edge are left out.
# 2. Neighbours of similar height that overlap vertically are linked; linked components are a group.
# 3. The slope of the page is that of its ruled lines, or of most groups.
# 4. Groups at the same height, without the slope, are one text line; small components near a line join it.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from imparfait.data.images.foreground import Box
from imparfait.data.images.placement import stroke_width
from imparfait.inference.ocr.binarize import EDGE_PIXELS, BinarizedPage

ComponentMap = Int32[np.ndarray, "height width"]
"""The number of the component (or, later, of the segment) that each pixel belongs to; 0 is none."""

MAX_COMPONENTS = 2000  # the largest ones on a page; a page of text has as many
MIN_HEIGHT_PIXELS = 8  # of the tallest component of a text line
MIN_AREA_PIXELS = 4  # of a component
MIN_PEAK_SHARE = 0.5  # of the foreground's strength, which a component must reach somewhere
MAX_RULED_SHARE = 0.7  # of a component's pixels where ruled lines were removed; more is a remnant of a line
MIN_HEIGHT_RATIO = 0.45  # of neighbours in a text line, the lower to the taller
MIN_OVERLAP_SHARE = 0.5  # of the lower neighbour's height that both have in common
MAX_GAP_HEIGHTS = 2.0  # between neighbours of a text line, in heights of the taller one
LINE_MARGIN_HEIGHTS = 0.3  # above and below a text line, within which small components belong to it
SMALL_HEIGHT_RATIO = 0.67  # of the line's digit height; lower components are small
MIN_LINE_HEIGHT_RATIO = 0.35  # of the tallest line's digit height; a lower line of few components is dirt
MIN_LOW_LINE_COMPONENTS = 3  # with so many, a low line is kept
SAME_LINE_HEIGHTS = 0.4  # by which two groups of one text line may differ in position
MIN_EDGE_SHARE = 0.5  # of a component's longer side, or of its area, along the page's edge: it reaches in from outside
RULED_LINE_ASPECT = 4.0  # length to thickness, from which on a component may be a ruled line
BAR_ASPECT = 2.5  # width to height, from which on a solid component is a bar


@dataclass(frozen=True)
class Component:
    """Connected foreground pixels."""

    number: int
    """In the page's `ComponentMap`."""
    left: int
    top: int
    right: int
    bottom: int
    area: int
    """Number of pixels."""

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left


@dataclass(frozen=True)
class TextLine:
    """Components of one line of text, from left to right."""

    components: tuple[Component, ...]
    digit_height: float
    """In pixels."""
    position: float
    """The row of its middle at the page's left side, with the page's slope removed."""


def find_lines(page: BinarizedPage) -> tuple[list[TextLine], ComponentMap]:
    """The text lines of a page from top to bottom, and its component map."""
    component_map, count = ndimage.label(page.foreground, np.ones((3, 3)))
    if not count:
        return [], component_map
    areas = np.bincount(component_map.ravel(), minlength=count + 1)[1:]
    peaks = np.asarray(ndimage.maximum(page.contrast, component_map, np.arange(1, count + 1)))
    ruled = np.bincount(component_map.ravel(), page.ruled.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(component_map)
    at_edge = np.bincount(component_map[page.edge], minlength=count + 1)[1:]
    free = [box for index, box in enumerate(boxes) if areas[index] > MIN_AREA_PIXELS and not at_edge[index]]
    is_tight = bool(free) and min(box[0].start for box in free) < 2 * EDGE_PIXELS

    def reaches_in(down: slice, across: slice, number: int) -> bool:
        """Whether it is part of what lies outside the page, or the end of a ruled line."""
        along = at_edge[number - 1] / max(down.stop - down.start, across.stop - across.start)
        if along == 0:
            return False
        is_line_end = page.line_thickness > 0 and (
            stroke_width(component_map[down, across] == number) <= page.line_thickness
        )
        is_outside = along > MIN_EDGE_SHARE * EDGE_PIXELS or at_edge[number - 1] > MIN_EDGE_SHARE * areas[number - 1]
        return is_line_end or (bool(is_outside) and not is_tight)

    components = [
        Component(index + 1, across.start, down.start, across.stop, down.stop, int(areas[index]))
        for index in np.argsort(-areas, kind="stable")[:MAX_COMPONENTS].tolist()
        if areas[index] >= MIN_AREA_PIXELS
        and peaks[index] > MIN_PEAK_SHARE * page.strength
        and ruled[index] < MAX_RULED_SHARE * areas[index]
        for down, across in [boxes[index]]
        if not _is_ruled_line(down, across, page, int(areas[index])) and not reaches_in(down, across, index + 1)
    ]
    if not components:
        return [], component_map
    groups = _groups(components)
    lines = _assembled(groups, _slope(groups, page))
    tallest = max((line.digit_height for line in lines if len(line.components) > 1), default=0.0)
    lines = [
        line
        for line in lines
        if any(min(c.width, c.height) > page.line_thickness for c in line.components)  # else remnants of ruled lines
        and (line.digit_height > MIN_LINE_HEIGHT_RATIO * tallest or len(line.components) >= MIN_LOW_LINE_COMPONENTS)
    ]
    return lines, component_map


def _is_ruled_line(down: slice, across: slice, page: BinarizedPage, area: int) -> bool:
    """Whether a component is one or more ruled lines through most of the page."""
    height, width = page.foreground.shape
    tall, wide = down.stop - down.start, across.stop - across.start
    is_flat, is_upright = tall < wide / RULED_LINE_ASPECT, wide < tall / RULED_LINE_ASPECT
    if (is_flat and wide > 0.6 * width) or (is_upright and tall > 0.8 * height):
        return True
    return bool(wide > 0.8 * width and tall > 0.5 * height and area < 0.2 * wide * tall)


def _is_bar(component: Component) -> bool:
    """Whether it is flat and solid: a dash, or a remnant of a ruled line."""
    area = component.width * component.height
    return component.width > BAR_ASPECT * component.height and component.area > 0.4 * area


def _groups(components: list[Component]) -> list[list[Component]]:
    """Components that stand next to each other and have similar heights."""
    left, top, right, bottom = np.array([[c.left, c.top, c.right, c.bottom] for c in components], np.float32).T
    heights = bottom - top
    lower, taller = np.minimum(heights[:, None], heights), np.maximum(heights[:, None], heights)
    overlap = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    gap = np.maximum(left[:, None] - right, left - right[:, None])
    linked = (lower >= MIN_HEIGHT_RATIO * taller) & (overlap >= MIN_OVERLAP_SHARE * lower)
    linked &= gap <= MAX_GAP_HEIGHTS * taller
    count, group_of = connected_components(coo_array(linked), directed=False)
    return [[components[i] for i in np.flatnonzero(group_of == group)] for group in range(count)]


def _slope(groups: list[list[Component]], page: BinarizedPage) -> float:
    """The slope of the text lines, rows a column: the ruled lines' if there are any, else the groups' median."""
    if page.horizontal_slopes or page.vertical_slopes:
        return float(np.median([*page.horizontal_slopes, *(-slope for slope in page.vertical_slopes)]))
    slopes: list[tuple[float, float]] = []  # and the width that each is measured over
    for group in groups:
        if len(group) >= 3:
            x = np.array([(c.left + c.right) / 2 for c in group])
            y = np.array([(c.top + c.bottom) / 2 for c in group])
            if np.ptp(x) > 2 * max(c.height for c in group):
                slopes.append((float(np.polyfit(x, y, 1)[0]), float(np.ptp(x))))
    if not slopes:
        return 0.0
    slopes.sort()
    weight = np.cumsum([width for _, width in slopes])
    return float(np.clip(slopes[int(np.searchsorted(weight, weight[-1] / 2))][0], -0.2, 0.2))


def _assembled(groups: list[list[Component]], slope: float) -> list[TextLine]:
    """Text lines of groups at the same position, with the small components in and near them."""

    def position_of(component: Component) -> float:
        return (component.top + component.bottom) / 2 - slope * (component.left + component.right) / 2

    heights = [float(np.median([c.height for c in group])) for group in groups]
    order = sorted(range(len(groups)), key=lambda i: -heights[i] * len(groups[i]) ** 0.5)
    lines: list[tuple[float, float, list[Component]]] = []  # digit height, position, components
    for i in order:
        middle = float(np.median([position_of(c) for c in groups[i]]))
        for index, (height, position, members) in enumerate(lines):
            is_similar = 1 / 2 < heights[i] / height < 2
            is_same = is_similar and abs(middle - position) < SAME_LINE_HEIGHTS * min(height, heights[i])
            if is_same and heights[i] >= MIN_HEIGHT_PIXELS:
                lines[index] = height, position, members + groups[i]
                break
        else:
            rest = []
            for component in groups[i]:
                near = _line_near(component, position_of(component), lines)
                if near is not None and component.height < SMALL_HEIGHT_RATIO * lines[near][0]:
                    lines[near][2].append(component)
                else:
                    rest.append(component)
            if any(c.height >= MIN_HEIGHT_PIXELS and not _is_bar(c) for c in rest):
                lines.append((heights[i], middle, rest))
    result = [
        TextLine(tuple(sorted(members, key=lambda c: c.left + c.right)), height, position)
        for height, position, members in lines
    ]
    return sorted(result, key=lambda line: line.position)


def _line_near(component: Component, middle: float, lines: list[tuple[float, float, list[Component]]]) -> int | None:
    """The index of the text line in or near which a small component lies."""
    best: tuple[float, int] | None = None
    for index, (height, position, members) in enumerate(lines):
        if abs(middle - position) > (0.5 + LINE_MARGIN_HEIGHTS) * height:
            continue
        gap = min(max(c.left - component.right, component.left - c.right, 0) for c in members)
        if gap <= height and (best is None or abs(middle - position) / height < best[0]):
            best = abs(middle - position) / height, index
    return None if best is None else best[1]
