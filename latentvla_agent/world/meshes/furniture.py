"""Street lamps and sign posts beside the roads."""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, List, Optional

import numpy as np
import shapely

from latentvla_agent.world.meshes.lines import list_roadsides, measure_line, sample_line
from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh, join_meshes
from latentvla_agent.world.meshes.placement import FreeGround, make_square, turn_right
from latentvla_agent.world.meshes.shapes import Colour, build_box, build_cylinder, build_disc, build_mesh
from latentvla_agent.world.meshes.street_area import StreetArea
from latentvla_agent.world.meshes.street_config import FurnitureConfig

RED: Colour = (196, 24, 28)
WHITE: Colour = (240, 240, 238)
BLUE: Colour = (24, 74, 164)
DARK: Colour = (30, 30, 32)
GREY: Colour = (120, 122, 124)
YELLOW: Colour = (244, 190, 30)
_HALF_POST = 0.15  # metres of ground that a post claims to each side


def build_furniture(
    area: StreetArea, ground: FreeGround, rng: np.random.Generator, config: FurnitureConfig
) -> List[Mesh]:
    """Lamps at even distances, signs between them, on free ground just beside what is paved."""
    lanes = LaneFinder(area)
    meshes: List[Mesh] = []
    for line in list_roadsides(ground.paved, config.offset, area.region):
        for at in np.arange(0.3 * config.lamp_spacing, measure_line(line), config.lamp_spacing):
            meshes += _place_lamp(line, float(at), ground, config)
        first = (0.3 + 0.6 * float(rng.random())) * config.sign_spacing
        for at in np.arange(first, measure_line(line), config.sign_spacing):
            meshes += _place_sign(line, float(at), int(rng.integers(len(_SIGNS))), lanes, ground, config)
    return meshes


class LaneFinder:
    """The way that traffic goes beside a place."""

    def __init__(self, area: StreetArea):
        self._lines = [lane.line for lane in area.lanes]
        self._tree = shapely.STRtree([shapely.LineString(line) for line in self._lines])

    def find_heading(self, place: FloatArray) -> Optional[float]:
        """Heading in radians of the lane nearest to `place`; None where there is no lane at all."""
        if not self._lines:
            return None
        line = self._lines[int(self._tree.nearest(shapely.Point(place)))]
        along = float(shapely.LineString(line).line_locate_point(shapely.Point(place)))
        _, tangents = sample_line(line, np.array([along]))
        return float(np.arctan2(tangents[0, 1], tangents[0, 0]))


def turn_about_z(mesh: Mesh, heading: float, place: FloatArray) -> Mesh:
    """The mesh turned to `heading` and moved to `place` (2,) or (3,)."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([(cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0)])
    return mesh.transformed(turn, np.append(place, np.zeros(3 - len(place))))


def _place_lamp(line: FloatArray, at: float, ground: FreeGround, config: FurnitureConfig) -> List[Mesh]:
    points, tangents = sample_line(line, np.array([at]))
    arm = min(config.lamp_arm, ground.measure_room(points[0]) - config.clearance - 0.4)
    if arm < 0.0 or not ground.claim(make_square(points[0], _HALF_POST), 0.5 * config.clearance):
        return []
    inward = -turn_right(tangents[0])
    return [turn_about_z(_build_lamp(round(arm, 1), config), float(np.arctan2(inward[1], inward[0])), points[0])]


@lru_cache(maxsize=256)
def _build_lamp(arm: float, config: FurnitureConfig) -> Mesh:
    """A lamp at the origin, its arm along x."""
    top, radius, metal = config.lamp_height, config.lamp_radius, Material.METAL
    return join_meshes(
        [
            build_cylinder((0, 0, 0), (0, 0, top), (radius, 0.6 * radius), 7, config.pole_colour, metal),
            build_cylinder((0, 0, 0), (0, 0, 0.6), (1.7 * radius, 1.5 * radius), 7, config.pole_colour, metal),
            build_cylinder(
                (0, 0, top - 0.1), (max(arm, 0.05), 0, top + 0.15), (0.05, 0.04), 6, config.pole_colour, metal
            ),
            build_box((arm - 0.3, -0.13, top + 0.1), (arm + 0.3, 0.13, top + 0.22), config.pole_colour, metal),
            build_box(
                (arm - 0.26, -0.10, top + 0.07), (arm + 0.26, 0.10, top + 0.1), config.light_colour, Material.LAMP
            ),
        ]
    )


def _place_sign(
    line: FloatArray, at: float, kind: int, lanes: LaneFinder, ground: FreeGround, config: FurnitureConfig
) -> List[Mesh]:
    points, _ = sample_line(line, np.array([at]))
    heading = lanes.find_heading(points[0])
    is_clear = ground.measure_room(points[0]) > config.clearance + config.sign_radius
    if heading is None or not is_clear or not ground.claim(make_square(points[0], _HALF_POST), 0.5 * config.clearance):
        return []
    post = build_cylinder((0, 0, 0), (0, 0, config.sign_height), (0.035, 0.035), 6, config.pole_colour, Material.METAL)
    plate = _SIGNS[kind](config.sign_height, config.sign_radius)
    return [turn_about_z(join_meshes([post, *plate]), heading + np.pi, points[0])]


def _build_speed_sign(height: float, radius: float) -> List[Mesh]:
    """A red ring about white, with a dark number."""
    plate = [build_cylinder((0.04, 0, height), (0.06, 0, height), (radius, radius), 14, RED, Material.MATTE)]
    plate.append(build_disc((0.065, 0, height), (1, 0, 0), 0.76 * radius, 14, WHITE, Material.MATTE))
    for y in (-0.42, 0.12):
        low = (0.066, y * radius, height - 0.35 * radius)
        plate.append(build_box(low, (0.07, (y + 0.3) * radius, height + 0.35 * radius), DARK, Material.MATTE))
    return plate


def _build_parking_sign(height: float, radius: float) -> List[Mesh]:
    """A white P on blue."""
    half = 0.85 * radius
    plate = [build_box((0.04, -half, height - half), (0.06, half, height + half), BLUE, Material.MATTE)]
    for low, high in (((-0.45, -0.6), (-0.2, 0.6)), ((-0.2, 0.38), (0.4, 0.6)), ((0.2, 0.1), (0.42, 0.5)),
                      ((-0.2, -0.08), (0.4, 0.14))):  # fmt: skip
        corner = (0.06, half * low[0], height + half * low[1])
        plate.append(build_box(corner, (0.066, half * high[0], height + half * high[1]), WHITE, Material.MATTE))
    return plate


def _build_warning_sign(height: float, radius: float) -> List[Mesh]:
    """A red triangle about yellow."""
    plate = [
        _build_triangle(x, size * radius, height, colour)
        for x, size, colour in ((0.05, 1.15, RED), (0.056, 0.78, YELLOW))
    ]
    back = _build_triangle(0.045, 1.15 * radius, height, GREY)
    return [*plate, Mesh(back.vertices, back.faces[:, ::-1], back.colours, back.materials, back.objects, back.uv)]


def _build_triangle(x: float, size: float, height: float, colour: Colour) -> Mesh:
    corners = [(x, -size, height - 0.6 * size), (x, size, height - 0.6 * size), (x, 0.0, height + size)]
    return build_mesh(corners, [(0, 1, 2)], colour, Material.MATTE)


_SIGNS: List[Callable[[float, float], List[Mesh]]] = [_build_speed_sign, _build_parking_sign, _build_warning_sign]
