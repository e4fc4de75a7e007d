"""What stands or drives in the corridor of a proposal path, at every step of the forecast."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely

from latentvla_agent.scoring.areas import TREE_CAPACITY
from latentvla_agent.scoring.config import STEP_S, PlannerConfig, VehicleConfig
from latentvla_agent.scoring.kernels import Objects, compile_kernel
from latentvla_agent.scoring.polyline import Polyline, find_within, project_point
from latentvla_agent.scoring.reference.forecast import Forecast, make_polygons
from latentvla_agent.scoring.state import FloatArray

CAP_REACH = 1.5  # a square cap reaches sqrt(2) half widths from the end of the line


class Obstacles(NamedTuple):
    """Obstacles of frame f: entries `starts[f]:starts[f + 1]` of columns (E,) of the forecast and of their progress
    (E,) along the path [m]. `is_ordered` (F,): equals stand in the order that decides ties."""

    starts: Any
    columns: Any
    progress: Any
    is_ordered: Any


def build_corridor(path: Polyline, start: float, top_speed: float, planner: PlannerConfig, width: float) -> Any:
    """The part of the path that can be reached within the plan, as wide as the ego, with square ends; and its line."""
    ahead = path.cut(start, start + abs(top_speed) * planner.num_plan_steps * STEP_S)
    return shapely.buffer(ahead, width, cap_style="square"), ahead


def find_obstacles(path: Polyline, corridor: Any, line: Any, forecast: Forecast, vehicle: VehicleConfig) -> Obstacles:
    """Objects and red lights that meet the corridor, except those that the planner ignores."""
    objects, count = forecast.objects, len(forecast.objects.reach)
    meets = np.zeros(forecast.rings.starts.shape, dtype=np.bool_)
    near = np.zeros(objects.present.shape, dtype=np.bool_)
    vertices = shapely.get_coordinates(line)
    _mark_near(objects, forecast.rings.speeds, vertices, CAP_REACH * vehicle.half_width, forecast.is_ignored, near)
    shapely.prepare(corridor)
    meets[:, :count][near] = shapely.intersects(corridor, make_polygons(objects.corners[near]))
    stands = forecast.rings.speeds[:count] == 0.0
    meets[:, :count][:, stands] = meets[0, :count][stands]
    meets[:, count:] = shapely.intersects(corridor, forecast.red_areas) & ~forecast.is_ignored[count:]
    frames, columns = np.nonzero(meets)
    centers = np.concatenate([objects.centers, _light_centers(forecast)], axis=1)[frames, columns]
    progress = _project_all(np.ascontiguousarray(path.states[:, :2]), centers)
    starts = np.searchsorted(frames, np.arange(len(meets) + 1)).astype(np.int64)
    return Obstacles(starts, columns.astype(np.int64), progress, np.zeros(len(meets), dtype=np.bool_))


def _light_centers(forecast: Forecast) -> FloatArray:
    centers = shapely.get_coordinates(shapely.centroid(forecast.red_areas))
    return np.broadcast_to(centers, (len(forecast.rings.starts),) + centers.shape)


@compile_kernel
def _mark_near(objects: Objects, speeds: Any, vertices: Any, width: float, is_ignored: Any, near: Any) -> None:
    """Mark the objects whose circle comes near the line; one that stands is looked at in frame 0 only."""
    for k in range(objects.reach.shape[0]):
        hint = 0
        if is_ignored[k]:
            continue
        for f in range(near.shape[0] if speeds[k] > 0.0 else 1):
            x, y = objects.centers[f, k, 0], objects.centers[f, k, 1]
            found = find_within(vertices, x, y, objects.reach[k] + width, hint)
            near[f, k] = found >= 0
            hint = max(found, 0)


@compile_kernel
def _project_all(vertices: Any, points: Any) -> Any:
    lengths = np.empty(points.shape[0])
    for i in range(points.shape[0]):
        lengths[i] = project_point(vertices, points[i, 0], points[i, 1])
    return lengths


def order_frame(obstacles: Obstacles, frame: int, corridor: Any, forecast: Forecast) -> None:
    """Put the obstacles of a frame into the order in which the devkit's tree returns them."""
    tree = shapely.STRtree(forecast.polygons_of(frame), node_capacity=TREE_CAPACITY)
    rank = {int(column): i for i, column in enumerate(tree.query(corridor, predicate="intersects"))}
    entries = slice(int(obstacles.starts[frame]), int(obstacles.starts[frame + 1]))
    order = np.argsort([rank[int(column)] for column in obstacles.columns[entries]], kind="stable")
    obstacles.columns[entries] = obstacles.columns[entries][order]
    obstacles.progress[entries] = obstacles.progress[entries][order]
    obstacles.is_ordered[frame] = True
