"""A small depth-buffered renderer: shaded capsules and slabs over a background.

Camera coordinates are pixels: x to the right, y down, z towards the viewer (orthographic).
"""

from dataclasses import dataclass

import numpy as np

NOBODY = -1
"""Owner of the pixels of background and objects."""


@dataclass(frozen=True, slots=True)
class Paint:
    """A matt surface: a colour, RGB 0..255, with optional bands of a second one along the capsule.

    bands counts the pairs of bands over a whole garment, of which the capsule covers the share span.
    """

    color: tuple[float, float, float]
    second: tuple[float, float, float] | None = None
    bands: float = 0.0
    span: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Capsule:
    """A rounded cone between two points [3] with a radius at each, in the units of the caller."""

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    paint: Paint


class Canvas:
    """Picture, depth and owner of every pixel.

    Attributes:
        pixels: float32 [H, W, 3], 0..255.
        depth: float32 [H, W], z of the nearest surface; -inf where there is only background.
        owner: int16 [H, W], index of the person whose surface is nearest, or NOBODY.
    """

    def __init__(self, background: np.ndarray, light: np.ndarray) -> None:
        self.pixels = background.astype(np.float32)
        height, width = background.shape[:2]
        self.depth = np.full((height, width), -np.inf, np.float32)
        self.owner = np.full((height, width), NOBODY, np.int16)
        self._light = (light / np.linalg.norm(light)).astype(np.float32)

    def _window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice] | None:
        height, width = self.depth.shape
        x0, x1 = max(int(left) - 1, 0), min(int(right) + 2, width)
        y0, y1 = max(int(top) - 1, 0), min(int(bottom) + 2, height)
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None

    def draw_capsule(self, capsule: Capsule, owner: int) -> None:
        """Draws a capsule given in camera coordinates where it is nearer than what is there."""
        start, end = capsule.start, capsule.end
        reach = max(capsule.start_radius, capsule.end_radius)
        low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
        window = self._window(low[0], low[1], high[0], high[1])
        if window is None:
            return
        rows, columns = window
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + np.float32(0.5 - start[0])
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
        axis = (end - start).astype(np.float32)
        t = np.clip((x * axis[0] + y * axis[1]) / max(float(axis[0] ** 2 + axis[1] ** 2), 1e-6), 0.0, 1.0)
        if axis[0] ** 2 + axis[1] ** 2 < 1e-3:  # seen end on: the nearer end is what shows
            t = np.full_like(t, 1.0 if axis[2] > 0 else 0.0)
        radius = capsule.start_radius + t * np.float32(capsule.end_radius - capsule.start_radius)
        normal_x, normal_y = (x - t * axis[0]) / radius, (y - t * axis[1]) / radius
        distance = np.sqrt(normal_x**2 + normal_y**2)
        normal_z = np.sqrt(np.maximum(1.0 - distance**2, 0.0))
        z = np.float32(start[2]) + t * axis[2] + radius * normal_z
        cover = np.clip((1.0 - distance) * radius + 0.5, 0.0, 1.0)
        shade = 0.5 + 0.6 * np.maximum(
            normal_x * self._light[0] + normal_y * self._light[1] + normal_z * self._light[2], 0.0
        )
        self._blend(window, _color(capsule.paint, t) * shade[..., None], z, cover, owner)

    def draw_slab(self, box: tuple[float, float, float, float], z: float, paint: np.ndarray) -> None:
        """Draws an upright rectangle (left, top, right, bottom) of a texture [h, w, 3] that fits its window."""
        window = self._window(*box)
        if window is None:
            return
        rows, columns = window
        x = np.arange(columns.start, columns.stop)[None, :] + 0.5
        y = np.arange(rows.start, rows.stop)[:, None] + 0.5
        edge = np.minimum(np.minimum(x - box[0], box[2] - x), np.minimum(y - box[1], box[3] - y))
        cover = np.clip(edge + 0.5, 0.0, 1.0).astype(np.float32)
        texture = paint[rows, columns]
        self._blend(window, texture, np.full(cover.shape, z, np.float32), cover, NOBODY)

    def _blend(
        self, window: tuple[slice, slice], color: np.ndarray, z: np.ndarray, cover: np.ndarray, owner: int
    ) -> None:
        cover = np.where(z > self.depth[window], cover, 0.0).astype(np.float32)
        self.pixels[window] += (color - self.pixels[window]) * cover[..., None]
        solid = cover >= 0.5
        self.depth[window][solid] = z[solid]
        self.owner[window][solid] = owner


def _color(paint: Paint, t: np.ndarray) -> np.ndarray:
    color = np.asarray(paint.color, np.float32)
    if paint.second is None:
        return np.broadcast_to(color, (*t.shape, 3))
    along = paint.span[0] + t * (paint.span[1] - paint.span[0])
    first = np.sin(along * (2 * np.pi * paint.bands)) > 0
    return np.where(first[..., None], color, np.asarray(paint.second, np.float32))
