"""The window of a bird's-eye picture: map coordinates to picture coordinates, and geometry to SVG path data.

Picture coordinates are metres with the ego's rear axle at (0, 0) and its nose up: 10 m ahead is y = -10, 10 m to the
left is x = -10. Paths are rounded to 0.1 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, List, Tuple

import numpy as np
import numpy.typing as npt
import shapely

FloatArray = npt.NDArray[np.float64]

SHARE_AHEAD = 0.68  # of the window's height lies ahead of the ego
MIN_SIZE, MAX_SIZE, SIZE_STEP = 40.0, 100.0, 10.0
MARGIN = 6.0  # metres between what must be seen and the border
DECIMALS = 1


@dataclass(frozen=True)
class Window:
    """A square of `size` metres around the rear-axle pose `origin` (3,) of the map frame.

    `coarseness` above 1 simplifies outlines further.
    """

    origin: FloatArray
    size: float = 60.0
    coarseness: float = 1.0

    @property
    def bounds(self) -> Tuple[float, float, float, float]:
        """min x, min y, max x, max y in picture coordinates."""
        half, ahead = self.size / 2.0, self.size * SHARE_AHEAD
        return -half, -ahead, half, self.size - ahead

    @property
    def view_box(self) -> str:
        """The `viewBox` of the picture."""
        x, y, _, _ = self.bounds
        return " ".join(map(format_number, (x, y, self.size, self.size)))

    def place(self, points: FloatArray) -> FloatArray:
        """Map points (..., >=2) in picture coordinates (..., 2)."""
        offset = np.asarray(points, dtype=np.float64)[..., :2] - self.origin[:2]
        cos, sin = np.cos(self.origin[2]), np.sin(self.origin[2])
        forward = cos * offset[..., 0] + sin * offset[..., 1]
        left = cos * offset[..., 1] - sin * offset[..., 0]
        return np.stack([-left, -forward], axis=-1)

    def sees(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """Which picture points (..., 2) lie in the window."""
        low_x, low_y, high_x, high_y = self.bounds
        x, y = points[..., 0], points[..., 1]
        inside: npt.NDArray[np.bool_] = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)
        return inside

    def clip(self, geometries: Any) -> Any:
        """Geometries in picture coordinates, cut at the border (and a little beyond, so that no cut edge shows)."""
        low_x, low_y, high_x, high_y = self.bounds
        return shapely.clip_by_rect(geometries, low_x - 1.0, low_y - 1.0, high_x + 1.0, high_y + 1.0)

    @property
    def tolerance(self) -> float:
        """Metres by which an outline may be off; by default less than a pixel of a picture 400 pixels wide."""
        return self.coarseness * self.size / 500.0


def place_local(poses: FloatArray) -> FloatArray:
    """Points of the ego frame (..., >=2: x forward, y left) in picture coordinates (..., 2)."""
    return -np.asarray(poses, dtype=np.float64)[..., [1, 0]]


def fit_size(points: Iterable[FloatArray]) -> float:
    """The smallest window size that shows all picture points (T, 2), within `MIN_SIZE` and `MAX_SIZE`."""
    needed = MIN_SIZE
    for x, y in (point for group in points for point in group):
        needed = max(needed, 2.0 * (abs(x) + MARGIN), (MARGIN - y) / SHARE_AHEAD, (MARGIN + y) / (1.0 - SHARE_AHEAD))
    return min(MAX_SIZE, SIZE_STEP * float(np.ceil(needed / SIZE_STEP)))


def format_number(value: float) -> str:
    """As short as 0.1 m allows."""
    return f"{round(float(value), DECIMALS) + 0.0:g}"


def write_points(points: FloatArray) -> str:
    """`x,y` of the first picture point (T, 2), then `l` and the steps to the next ones, those of zero length left out.

    Steps between rounded points don't add up errors, and take a third less room than the points.
    """
    rounded = np.rint(np.asarray(points, dtype=np.float64) * 10**DECIMALS).astype(np.int64)
    steps = np.diff(rounded, axis=0)
    steps = steps[(steps != 0).any(axis=1)]
    first = ",".join(_write_tenths(value) for value in rounded[0].tolist())
    if not len(steps):
        return first
    numbers = [_write_tenths(value) for value in steps.ravel().tolist()]
    return f"{first}l{numbers[0]}" + "".join(text if text[0] == "-" else f" {text}" for text in numbers[1:])


def _write_tenths(value: int) -> str:
    """An integer number of tenths as the shortest decimal number: 12 -> 1.2, -5 -> -.5, 30 -> 3."""
    whole, tenth = divmod(abs(value), 10**DECIMALS)
    digits = f"{whole or ''}.{tenth}" if tenth else f"{whole}"
    return f"-{digits}" if value < 0 else digits


def write_line(points: FloatArray) -> str:
    """Path data of an open line."""
    return f"M{write_points(points)}"


def write_ring(points: FloatArray) -> str:
    """Path data of a closed outline; the last point need not repeat the first."""
    return f"M{write_points(points)}Z"


def write_polygons(geometries: Iterable[Any]) -> str:
    """Path data of polygons with holes, for `fill-rule: evenodd`; what is no polygon is left out."""
    rings: List[str] = []
    for part in shapely.get_parts(list(geometries)):
        if part.geom_type == "Polygon" and not part.is_empty:
            rings += [write_ring(np.array(ring.coords)[:-1]) for ring in (part.exterior, *part.interiors)]
        elif part.geom_type in ("MultiPolygon", "GeometryCollection"):
            rings.append(write_polygons(part.geoms))
    return "".join(rings)


def write_clipped_line(points: FloatArray, window: Window) -> str:
    """Path data of the parts of a line of picture points (T, 2) that lie in the window."""
    if len(points) < 2:
        return ""
    line = shapely.simplify(window.clip(shapely.linestrings(points)), window.tolerance)
    parts = [part for part in shapely.get_parts(line) if part.geom_type == "LineString" and not part.is_empty]
    return "".join(write_line(np.array(part.coords)) for part in parts)
