"""The map and the objects around the ego as a picture of classes seen from above: a target that TransFuser learns.

The classes, and what is drawn of each, are those of NAVSIM's TransFuser (`navsim/agents/transfuser` of v1.1 and v2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, List, Mapping, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.scene import BoxIndex, PoseIndex
from latentvla_agent.features.drawing import IntArray, Mask, draw_lines, draw_polygons


class BevClass(IntEnum):
    """Values of the picture; a later one is drawn over an earlier one."""

    BACKGROUND = 0
    ROAD = 1
    WALKWAY = 2
    CENTERLINE = 3
    STATIC_OBJECT = 4
    VEHICLE = 5
    PEDESTRIAN = 6


BOX_NAMES: Mapping[BevClass, Tuple[str, ...]] = {  # bicycles are not drawn
    BevClass.STATIC_OBJECT: ("czone_sign", "barrier", "traffic_cone", "generic_object"),
    BevClass.VEHICLE: ("vehicle",),
    BevClass.PEDESTRIAN: ("pedestrian",),
}
AREA_LAYERS: Mapping[BevClass, Tuple[str, ...]] = {
    BevClass.ROAD: ("lanes_polygons", "intersections"),
    BevClass.WALKWAY: ("walkways",),
}
LANE_LAYERS = (("lanes_polygons", "lane_fid"), ("lane_connectors", "lane_connector_fid"))  # with the key of baselines
_CORNERS = 0.5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])  # of a box, in lengths and widths


@dataclass(frozen=True)
class BevConfig:
    """`rows` cells ahead of the ego and `columns` across, it in the middle, of `cell` [m]; map within `radius` [m]."""

    rows: int = 128
    columns: int = 256
    cell: float = 0.25
    radius: float = 32.0


def draw_bev(scene: Any, config: BevConfig) -> npt.NDArray[np.uint8]:
    """(rows, columns) of `BevClass` in the current frame: row i is i cells ahead, column 0 at the far right.

    `scene`: ours, with maps. Raises `DataError` where a map layer is missing or broken.
    """
    frame = scene.frames[scene.scene_metadata.num_history_frames - 1]
    canvas = _Canvas(config, np.asarray(frame.ego_status.ego_pose, dtype=np.float64))
    for label, layers in AREA_LAYERS.items():
        canvas.paint(label, canvas.polygons(_find_areas(scene.map_api, canvas.square, layers)))
    canvas.paint_lines(BevClass.CENTERLINE, _find_baselines(scene.map_api, canvas.square))
    for label, names in BOX_NAMES.items():
        canvas.paint(label, canvas.boxes(frame.annotations, names))
    return canvas.picture


class _Canvas:
    """The picture in the making. Its cells are drawn with x ahead and y to the left, so rows and columns as in it."""

    def __init__(self, config: BevConfig, pose: npt.NDArray[np.float64]):
        self.picture = np.zeros((config.rows, config.columns), dtype=np.uint8)
        self._config, self._pose = config, pose
        x, y = pose[PoseIndex.X], pose[PoseIndex.Y]
        self.square = shapely.box(x - config.radius, y - config.radius, x + config.radius, y + config.radius)

    def paint(self, label: BevClass, polygons: Sequence[IntArray]) -> None:
        self._paint(label, draw_polygons(polygons, self._config.rows, self._config.columns))

    def paint_lines(self, label: BevClass, lines: Sequence[shapely.Geometry]) -> None:
        cells = self._to_cells([shapely.get_coordinates(line) for line in lines])
        self._paint(label, draw_lines(cells, self._config.rows, self._config.columns))

    def polygons(self, areas: npt.NDArray[np.object_]) -> List[IntArray]:
        """Outer rings; holes stay filled, as NAVSIM fills them."""
        rings = shapely.get_exterior_ring(shapely.get_parts(areas))
        return self._to_cells([shapely.get_coordinates(ring)[:-1] for ring in rings])

    def boxes(self, annotations: Any, names: Tuple[str, ...]) -> List[IntArray]:
        chosen = [index for index, name in enumerate(annotations.names) if name in names]
        boxes = np.asarray(annotations.boxes, dtype=np.float64).reshape(-1, len(BoxIndex))[chosen]
        extent = _CORNERS * boxes[:, None, [BoxIndex.LENGTH, BoxIndex.WIDTH]]
        cos, sin = (f(boxes[:, BoxIndex.HEADING])[:, None] for f in (np.cos, np.sin))
        x = boxes[:, None, BoxIndex.X] + cos * extent[..., 0] - sin * extent[..., 1]
        y = boxes[:, None, BoxIndex.Y] + sin * extent[..., 0] + cos * extent[..., 1]
        return list(self._round(np.stack([x, y], axis=-1)))

    def _to_cells(self, shapes: Sequence[npt.NDArray[np.float64]]) -> List[IntArray]:
        """Cells of points in the map's frame."""
        if not shapes:
            return []
        offset = np.concatenate(shapes) - self._pose[: PoseIndex.HEADING]
        cos, sin = np.cos(self._pose[PoseIndex.HEADING]), np.sin(self._pose[PoseIndex.HEADING])
        cells = self._round(offset @ np.array([[cos, -sin], [sin, cos]]))
        return np.split(cells, np.cumsum([len(shape) for shape in shapes])[:-1])

    def _round(self, points: npt.NDArray[np.float64]) -> IntArray:
        """Points of the ego frame: towards cell 0, as a cast to integers goes."""
        cells: IntArray = (points / self._config.cell + [0.0, self._config.columns / 2]).astype(np.int64)
        return cells

    def _paint(self, label: BevClass, mask: Mask) -> None:
        self.picture[mask.T] = label


def _find_areas(city_map: Any, square: shapely.Geometry, layers: Sequence[str]) -> npt.NDArray[np.object_]:
    found = []
    for name in layers:
        layer = city_map.layer(name)
        found.append(layer.geometry[layer.rows_in(square)])
    return np.concatenate(found)


def _find_baselines(city_map: Any, square: shapely.Geometry) -> List[shapely.Geometry]:
    """Baselines of the lanes and connectors that meet the square, whether or not the line itself does."""
    baselines = city_map.layer("baseline_paths")
    lines = []
    for name, key in LANE_LAYERS:
        layer = city_map.layer(name)
        for row in layer.rows_in(square):
            lines += [baselines.geometry[found] for found in baselines.rows_where(key, int(layer.ids[row]))]
    return lines
