"""The way a scene lies before the camera: rotation, perspective and a smooth bend."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pages.glyphs import Points

STEP = 40  # pixels between the nodes of the mesh that draws a bend


@dataclass(frozen=True, eq=False)
class Warp:
    """A map between a page and the canvas of its scene."""

    to_canvas: np.ndarray
    """Homography from the page to the canvas."""
    waves: np.ndarray
    """Rows of x and y amplitude, x and y frequency, phase: a displacement on the canvas, in pixels of it."""
    page: int
    """Side of the page."""
    width: int
    height: int
    """Of the canvas: what the page shows."""

    def canvas_points(self, points: Points) -> Points:
        """Where points of the page lie on the canvas."""
        return np.asarray(_projected(self.to_canvas, points) + self._bend(points))

    def page_points(self, points: Points) -> Points:
        """Where points of the canvas lie on the page."""
        back = np.linalg.inv(self.to_canvas)
        found = _projected(back, points)
        for _ in range(4 if len(self.waves) else 0):  # bends are small: this converges within 0.01 pixels
            found = _projected(back, points - self._bend(found))
        return found

    def seen(self, canvas: Image.Image) -> Image.Image:
        """The page that shows this canvas."""
        size = (self.page, self.page)
        if not len(self.waves):
            matrix = (self.to_canvas / self.to_canvas[2, 2]).ravel()[:8]
            return canvas.transform(size, Image.Transform.PERSPECTIVE, tuple(matrix), Image.Resampling.BILINEAR)
        sides = [*range(0, self.page, STEP), self.page]
        nodes = np.stack(np.meshgrid(sides, sides), -1).reshape(-1, 2).astype(float)
        at = self.canvas_points(nodes).reshape(len(sides), len(sides), 2).tolist()
        mesh = [
            (
                (sides[i], sides[j], sides[i + 1], sides[j + 1]),
                (*at[j][i], *at[j + 1][i], *at[j + 1][i + 1], *at[j][i + 1]),
            )
            for j in range(len(sides) - 1)
            for i in range(len(sides) - 1)
        ]
        return canvas.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)

    def _bend(self, points: Points) -> Points:
        moved = np.zeros_like(points, float)
        for across, down, x, y, phase in self.waves:
            wave = np.sin(points[:, 0] * x + points[:, 1] * y + phase)
            moved += np.stack([across * wave, down * wave], 1)
        return moved


def _projected(matrix: np.ndarray, points: Points) -> Points:
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def random_warp(rng: np.random.Generator, page: int, strength: float = 1.0) -> Warp:
    """Mostly straight; one in seven turned up to 30 degrees; half in perspective, a third bent.

    Strength 0 is the identity, above 1 perspective and bends are stronger.
    """
    degrees = rng.uniform(-30, 30) if rng.random() < 0.15 else rng.normal(0, 2.5)
    angle = math.radians(float(degrees)) * min(strength, 1)
    corners = np.array([(0, 0), (page, 0), (page, page), (0, page)], float)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    away = rng.normal(0, 0.035 * page * strength, (4, 2)) * (rng.random() < 0.5)
    canvas = (corners - page / 2) @ turn.T + np.clip(away, -0.12 * page, 0.12 * page)
    waves = np.zeros((0, 5))
    if rng.random() < 0.33 and strength:
        amplitudes = rng.normal(0, 0.004 * page * strength, (2, 2))
        frequencies = rng.normal(0, 4 / page, (2, 2))
        waves = np.concatenate([amplitudes, frequencies, rng.uniform(0, 2 * math.pi, (2, 1))], 1)
    margin = float(np.abs(waves[:, :2]).sum(0).max(initial=0))
    canvas += margin - canvas.min(0)
    width, height = (math.ceil(side + margin) for side in canvas.max(0))
    return Warp(_homography(corners, canvas), waves, page, width, height)


def _homography(start: Points, end: Points) -> np.ndarray:
    """The projective map that takes four points to four others."""
    rows = []
    for (x, y), (u, v) in zip(start, end, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return np.append(np.linalg.solve(np.array(rows), end.ravel()), 1).reshape(3, 3)
