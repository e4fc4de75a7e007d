"""Free ground: where something solid may stand, and what stands there already."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import shapely

from latentvla_agent.world.meshes.areas import unite
from latentvla_agent.world.meshes.mesh import FloatArray
from latentvla_agent.world.meshes.street_area import StreetArea


class FreeGround:
    """Ground outside of drivable area and walkways. What is claimed is free no more."""

    def __init__(self, area: StreetArea):
        self.paved = unite([area.drivable, area.walkways, *area.crosswalks])
        self._drivable = area.drivable
        self._claimed: List[shapely.Geometry] = []
        shapely.prepare(self.paved)
        shapely.prepare(self._drivable)

    def is_free(self, shape: shapely.Geometry, clearance: float) -> bool:
        """Whether `shape` is free, and `clearance` metres from all that is paved."""
        if bool(shapely.dwithin(self.paved, shape, clearance)):
            return False
        return not self._claimed or not bool(shapely.intersects(np.array(self._claimed), shape).any())

    def claim(self, shape: shapely.Geometry, clearance: float) -> bool:
        """Take the ground of `shape`, if it is free; returns whether it was."""
        if not self.is_free(shape, clearance):
            return False
        self._claimed.append(shape)
        return True

    def measure_room(self, point: FloatArray) -> float:
        """Metres from `point` (2,) to the drivable area; infinite where there is none."""
        return float(shapely.distance(self._drivable, shapely.Point(point))) if self._drivable.area > 0.0 else np.inf

    def measure_paved_room(self, point: FloatArray) -> float:
        """Metres from `point` (2,) to anything paved; infinite where there is none."""
        return float(shapely.distance(self.paved, shapely.Point(point))) if self.paved.area > 0.0 else np.inf


def make_rectangle(corner: FloatArray, along: FloatArray, outward: FloatArray) -> shapely.Polygon:
    """The rectangle with a `corner` and two sides."""
    return shapely.Polygon([corner, corner + along, corner + along + outward, corner + outward])


def make_square(middle: FloatArray, half: float) -> shapely.Polygon:
    """An upright square about a point."""
    return shapely.box(middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)


def turn_right(direction: FloatArray) -> FloatArray:
    """A direction (2,) turned right by a quarter: outwards, along a line that has the paved area on its left."""
    return np.array([direction[1], -direction[0]])


def draw_from(rng: np.random.Generator, span: Tuple[float, float]) -> float:
    """A number within a span, all equally likely."""
    return float(rng.uniform(span[0], span[1]))
