"""The ground: its raster of labels, the plain that carries it, and what is raised from it (walkways and kerbs)."""

from __future__ import annotations

from typing import List

import numpy as np
import shapely

from latentvla_agent.world.meshes.areas import intersect, subtract, unite
from latentvla_agent.world.meshes.markings import list_markings
from latentvla_agent.world.meshes.mesh import FloatArray, Ground, GroundRaster, Material, Mesh, join_meshes
from latentvla_agent.world.meshes.raster import draw_areas
from latentvla_agent.world.meshes.shapes import build_mesh, build_quads
from latentvla_agent.world.meshes.street_area import StreetArea, list_polygons
from latentvla_agent.world.meshes.street_config import GroundConfig, StreetConfig
from latentvla_agent.world.meshes.triangulation import list_rings, triangulate_polygon

GROUND_COLOUR = (110, 112, 110)  # of GROUND faces, whose look comes from the raster


def draw_ground(area: StreetArea, config: StreetConfig) -> GroundRaster:
    """Labels of the ground within the street's region."""
    low, high = np.array(area.region.bounds[:2]), np.array(area.region.bounds[2:])
    size = high - low
    resolution = max(config.ground.resolution, float(np.sqrt(size[0] * size[1] / config.ground.max_cells)))
    width, height = (int(np.ceil(side / resolution)) for side in size)
    labels = np.full((height, width), Ground.TERRAIN, np.uint8)
    kerb = shapely.buffer(area.road, config.ground.kerb_width, join_style="mitre")
    layers = [
        (area.walkways, int(Ground.WALKWAY)),
        (kerb, int(Ground.KERB)),
        (area.road, int(Ground.ASPHALT)),
        (intersect(area.junctions, area.road), int(Ground.JUNCTION)),
        (area.carparks, int(Ground.PARKING)),
        *list_markings(area, config.marking),
    ]
    draw_areas(labels, low, resolution, layers)
    return GroundRaster(low, resolution, labels)


def build_pavement(area: StreetArea, config: GroundConfig) -> Mesh:
    """The plain at z = 0, and raised above it the walkways and the kerbs along the road, but not at crosswalks."""
    return join_meshes([_build_plain(area, config), *_build_raised(area, config)])


def _build_plain(area: StreetArea, config: GroundConfig) -> Mesh:
    x0, y0, x1, y1 = area.region.bounds
    xs = np.linspace(x0 - config.plain, x1 + config.plain, config.plain_cells + 1)
    ys = np.linspace(y0 - config.plain, y1 + config.plain, config.plain_cells + 1)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    index = np.arange(len(grid)).reshape(len(ys), len(xs))
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1)
    return build_quads(np.column_stack([grid, np.zeros(len(grid))]), quads, GROUND_COLOUR, Material.GROUND)


def find_raised(area: StreetArea, config: GroundConfig) -> shapely.Geometry:
    """The area of walkways and kerbs at kerb height."""
    kerb = shapely.buffer(area.road, config.kerb_width, join_style="mitre")
    crosswalks = unite(area.crosswalks)
    ramps = shapely.buffer(crosswalks, config.crosswalk_ramp, join_style="mitre")
    raised = subtract(unite([area.walkways, kerb]), unite([area.road, ramps]))
    return shapely.simplify(intersect(raised, area.region), config.simplify)


def _build_raised(area: StreetArea, config: GroundConfig) -> List[Mesh]:
    meshes: List[Mesh] = []
    for polygon in list_polygons(find_raised(area, config)):
        points, faces = triangulate_polygon(polygon)
        tops = np.column_stack([points, np.full(len(points), config.kerb_height)])
        meshes.append(build_mesh(tops, faces, GROUND_COLOUR, Material.GROUND))
        meshes += [_build_wall(ring, config) for ring in list_rings(polygon)]
    return meshes


def _build_wall(ring: FloatArray, config: GroundConfig) -> Mesh:
    """The kerb's faces below a ring that has the raised area on its left."""
    count = len(ring)
    low = np.column_stack([ring, np.zeros(count)])
    high = np.column_stack([ring, np.full(count, config.kerb_height)])
    index = np.arange(count)
    following = np.roll(index, -1)
    quads = np.column_stack([index, following, following + count, index + count])
    return build_quads(np.concatenate([low, high]), quads, config.kerb_colour, Material.MATTE)
