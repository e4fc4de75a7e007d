"""What PDM-Closed expects of the others: the nearest objects move on at constant velocity along their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.data.scene import Frame, wrap_angle
from latentvla_agent.scoring.config import NUM_STATES, STEP_S, MetricConfig, PlannerConfig, VehicleConfig
from latentvla_agent.scoring.kernels import Lights, Objects
from latentvla_agent.scoring.lights import make_lights, red_lanes
from latentvla_agent.scoring.observation import Detections, ObjectType, detect_objects
from latentvla_agent.scoring.state import FloatArray, box_corners, ego_centers, ego_corners


@dataclass(frozen=True)
class Forecast:
    """Objects, then red lights. `polygons` (F, K + L) are the obstacles of each forecast frame (5 Hz), `is_ignored`
    (K + L,) those that overlap the ego at t = 0, `headings` and `speeds` (K + L,) their motion (0 unless an agent),
    `is_red_light` (K + L,). `objects` and `lights` are what the proposals are scored against."""

    objects: Objects
    lights: Lights
    polygons: npt.NDArray[np.object_]
    headings: FloatArray
    speeds: FloatArray
    is_ignored: npt.NDArray[np.bool_]
    is_red_light: npt.NDArray[np.bool_]


def forecast_objects(
    frame: Frame, route_lanes: Dict[str, Lane], planner: PlannerConfig, metrics: MetricConfig, vehicle: VehicleConfig
) -> Forecast:
    """Forecast from the current frame alone, over the planning horizon."""
    found = detect_objects(frame)
    pose = frame.ego_status.ego_pose
    found = _take_rows(found, _choose_nearest(found, ego_centers(pose, vehicle), planner))
    count = len(found.tokens)
    is_agent = found.types <= int(ObjectType.BICYCLE)
    speeds = np.where(is_agent, np.hypot(found.velocities[:, 0], found.velocities[:, 1]), 0.0)
    objects = _extrapolate(found, speeds, planner, metrics)
    red = [lane.polygon for lane in red_lanes(frame.traffic_lights, route_lanes)]
    boxes = shapely.polygons(objects.corners) if count else np.empty(objects.present.shape, dtype=np.object_)
    ego = shapely.Polygon(ego_corners(pose, vehicle))
    objects.ignored[:] = shapely.intersects(boxes[0], ego)
    held = np.array([ego.within(polygon) for polygon in red], dtype=np.bool_)
    return Forecast(
        objects=objects,
        lights=make_lights(red, np.ones((NUM_STATES, len(red)), dtype=np.bool_)),
        polygons=np.concatenate([boxes, np.tile(np.array(red, dtype=np.object_), (len(boxes), 1))], axis=1),
        headings=np.concatenate([found.poses[:, 2], np.zeros(len(red))]),
        speeds=np.concatenate([speeds, np.zeros(len(red))]),
        is_ignored=np.concatenate([objects.ignored, held]),
        is_red_light=np.arange(count + len(red)) >= count,
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
    is_agent = found.types <= int(ObjectType.BICYCLE)
    return Objects(
        corners=np.ascontiguousarray(corners),
        centers=np.ascontiguousarray(found.poses[:, :2] + travelled),
        present=np.ones(corners.shape[:2], dtype=np.bool_),
        reach=np.hypot(half[:, 0], half[:, 1]),
        bounds=np.concatenate([corners.min(axis=(0, 2)), corners.max(axis=(0, 2))], axis=-1),
        is_agent=is_agent,
        is_stopped=~is_agent | (speeds <= metrics.stopped_track_speed),
        ignored=np.zeros(len(headings), dtype=np.bool_),
        frame_of_step=np.arange(planner.num_plan_steps + stride) // stride,
    )
