"""What PDM-Closed expects of the others: the nearest objects move on at constant velocity along their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.data.scene import Frame, wrap_angle
from latentvla_agent.scoring.config import NUM_STATES, STEP_S, MetricConfig, PlannerConfig, VehicleConfig
from latentvla_agent.scoring.kernels import Lights, Objects
from latentvla_agent.scoring.lights import make_lights, red_lanes
from latentvla_agent.scoring.observation import Detections, ObjectType, detect_objects, drop_touching
from latentvla_agent.scoring.state import FloatArray, box_corners, ego_centers, ego_corners


class Rings(NamedTuple):
    """Column c of frame f is the closed ring `vertices[starts[f, c]:starts[f, c] + sizes[c]]`; objects, then lights.

    headings and speeds (K + L,): their motion at t = 0, 0 unless an agent. is_red_light (K + L,).
    """

    vertices: Any
    starts: Any
    sizes: Any
    headings: Any
    speeds: Any
    is_red_light: Any


@dataclass(frozen=True)
class Forecast:
    """K objects over F frames (5 Hz), and L red lights of the route that stay red.

    `objects` and `lights` are what the proposals are scored against, `rings` what their drivers look out for;
    `is_ignored` (K + L,) marks what overlaps the ego at t = 0 (of lights, those that hold all of it).
    """

    objects: Objects
    lights: Lights
    red_areas: npt.NDArray[np.object_]
    rings: Rings
    is_ignored: npt.NDArray[np.bool_]

    def polygons_of(self, frame: int) -> npt.NDArray[np.object_]:
        """Polygons (K + L,) of one frame."""
        return np.concatenate([make_polygons(self.objects.corners[frame]), self.red_areas])


def make_polygons(corners: FloatArray) -> npt.NDArray[np.object_]:
    """Polygons (N,) of box corners (N, 4, 2)."""
    return np.asarray(shapely.polygons(corners)) if len(corners) else np.empty(0, dtype=np.object_)


def forecast_objects(
    frame: Frame, route_lanes: Dict[str, Lane], planner: PlannerConfig, metrics: MetricConfig, vehicle: VehicleConfig
) -> Forecast:
    """Forecast from the current frame alone, over the planning horizon."""
    found = detect_objects(frame, vehicle)
    pose = frame.ego_status.ego_pose
    found = _take_rows(found, _choose_nearest(found, ego_centers(pose, vehicle), planner))
    speeds = np.where(found.is_agent, np.hypot(found.velocities[:, 0], found.velocities[:, 1]), 0.0)
    objects = _extrapolate(found, speeds, planner, metrics)
    lanes = red_lanes(frame.traffic_lights, route_lanes)
    red = shapely.get_parts(np.array([lane.polygon for lane in lanes], dtype=np.object_))
    lights = make_lights(red, np.ones((NUM_STATES, len(red)), dtype=np.bool_))
    ego_box = ego_corners(pose, vehicle)
    drop_touching(objects, ego_box)
    held = shapely.within(shapely.Polygon(ego_box), red).astype(np.bool_)
    rings = _make_rings(objects, lights, found.poses[:, 2], speeds)
    return Forecast(objects, lights, red, rings, np.concatenate([objects.ignored, held]))


def _make_rings(objects: Objects, lights: Lights, headings: FloatArray, speeds: FloatArray) -> Rings:
    num_frames, count = objects.present.shape
    boxes = np.concatenate([objects.corners, objects.corners[:, :, :1]], axis=2).reshape(-1, 2)
    box_starts = 5 * np.arange(num_frames * count).reshape(num_frames, count)
    light_starts = np.tile(len(boxes) + lights.starts[:-1], (num_frames, 1))
    no_motion = np.zeros(len(lights.starts) - 1)
    return Rings(
        vertices=np.concatenate([boxes, lights.vertices]),
        starts=np.concatenate([box_starts, light_starts], axis=1),
        sizes=np.concatenate([np.full(count, 5), np.diff(lights.starts)]),
        headings=np.concatenate([headings, no_motion]),
        speeds=np.concatenate([speeds, no_motion]),
        is_red_light=np.arange(count + len(no_motion)) >= count,
    )


def _take_rows(found: Detections, rows: npt.NDArray[np.int64]) -> Detections:
    tokens = [found.tokens[row] for row in rows]
    return Detections(tokens, found.types[rows], found.poses[rows], found.sizes[rows], found.velocities[rows])


def _choose_nearest(found: Detections, center: FloatArray, planner: PlannerConfig) -> npt.NDArray[np.int64]:
    """Rows of the objects within the map radius: static ones, vehicles, pedestrians, bicycles, each by distance."""
    distances = np.hypot(found.poses[:, 0] - center[0], found.poses[:, 1] - center[1])
    near = distances <= planner.map_radius
    groups = (
        (found.types > int(ObjectType.BICYCLE), planner.max_static_objects),
        (found.types == int(ObjectType.VEHICLE), planner.max_vehicles),
        (found.types == int(ObjectType.PEDESTRIAN), planner.max_pedestrians),
        (found.types == int(ObjectType.BICYCLE), planner.max_bicycles),
    )
    chosen: List[npt.NDArray[np.int64]] = []
    for mask, limit in groups:
        rows = np.flatnonzero(mask & near)
        rows = rows[np.argsort(found.types[rows], kind="stable")]
        chosen.append(rows[np.argsort(distances[rows], kind="stable")][:limit])
    return np.concatenate(chosen)


def _extrapolate(found: Detections, speeds: FloatArray, planner: PlannerConfig, metrics: MetricConfig) -> Objects:
    stride = planner.forecast_stride
    frames = np.arange(0, planner.num_plan_steps + stride, stride)
    headings = found.poses[:, 2]
    backwards = np.abs(wrap_angle(headings - np.arctan2(found.velocities[:, 1], found.velocities[:, 0]))) >= np.pi / 2
    course = np.where(backwards, wrap_angle(headings + np.pi), headings)
    velocity = np.stack([np.cos(course) * speeds, np.sin(course) * speeds], axis=-1)
    travelled = (frames * STEP_S)[:, None, None] * velocity
    half = found.sizes / 2.0
    corners = box_corners(found.poses[:, :2], headings, half[:, 0], half[:, 1]) + travelled[:, :, None]
    return Objects(
        corners=np.ascontiguousarray(corners),
        centers=np.ascontiguousarray(found.poses[:, :2] + travelled),
        present=np.ones(corners.shape[:2], dtype=np.bool_),
        reach=np.hypot(half[:, 0], half[:, 1]),
        bounds=np.concatenate([corners.min(axis=(0, 2)), corners.max(axis=(0, 2))], axis=-1),
        is_agent=found.is_agent,
        is_stopped=~found.is_agent | (speeds <= metrics.stopped_track_speed),
        ignored=np.zeros(len(headings), dtype=np.bool_),
        frame_of_step=np.arange(planner.num_plan_steps + stride) // stride,
    )
