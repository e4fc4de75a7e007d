"""What PDM-Closed expects of the others: the nearest objects move on at constant velocity along their boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.data.scene import Frame, wrap_angle
from latentvla_agent.scoring.config import STEP_S, MetricConfig, PlannerConfig, VehicleConfig
from latentvla_agent.scoring.observation import Detections, ObjectType, Observation, detect_objects
from latentvla_agent.scoring.state import FloatArray, box_corners, ego_centers, ego_corners


@dataclass(frozen=True)
class Forecast:
    """Objects, then red lights. `polygons` (F, K + L) are the obstacles of each forecast frame (5 Hz), `is_ignored`
    (K + L,) those that overlap the ego at t = 0, `headings` and `speeds` (K + L,) their motion (0 unless an agent),
    `is_red_light` (K + L,). `observation` holds the K objects alone, for scoring the proposals."""

    observation: Observation
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
    rows = _choose_nearest(found, ego_centers(pose, vehicle), planner)
    found = _take_rows(found, rows)
    is_agent = found.types <= int(ObjectType.BICYCLE)
    speeds = np.where(is_agent, np.hypot(found.velocities[:, 0], found.velocities[:, 1]), 0.0)
    observation = _extrapolate(found, is_agent, speeds, planner, metrics)
    lights = _red_light_polygons(frame.traffic_lights, route_lanes)
    boxes = shapely.polygons(observation.corners) if rows.size else np.empty(observation.present.shape, dtype=object)
    polygons = np.concatenate([boxes, np.tile(np.array(lights, dtype=object), (len(boxes), 1))], axis=1)
    ego = shapely.Polygon(ego_corners(pose, vehicle))
    touched = shapely.intersects(boxes[0], ego)
    held = [ego.within(light) for light in lights]
    return Forecast(
        observation=replace(observation, ignored=touched),
        polygons=polygons,
        headings=np.concatenate([found.poses[:, 2], np.zeros(len(lights))]),
        speeds=np.concatenate([speeds, np.zeros(len(lights))]),
        is_ignored=np.concatenate([touched, np.array(held, dtype=bool)]),
        is_red_light=np.arange(polygons.shape[1]) >= len(rows),
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


def _extrapolate(
    found: Detections,
    is_agent: npt.NDArray[np.bool_],
    speeds: FloatArray,
    planner: PlannerConfig,
    metrics: MetricConfig,
) -> Observation:
    stride = planner.forecast_stride
    frames = np.arange(0, planner.num_plan_steps + stride, stride)
    headings = found.poses[:, 2]
    backwards = np.abs(wrap_angle(headings - np.arctan2(found.velocities[:, 1], found.velocities[:, 0]))) >= np.pi / 2
    course = np.where(backwards, wrap_angle(headings + np.pi), headings)
    velocity = np.stack([np.cos(course) * speeds, np.sin(course) * speeds], axis=-1)
    travelled = (frames * STEP_S)[:, None, None] * velocity
    centers = found.poses[:, :2] + travelled
    half = found.sizes / 2.0
    corners = box_corners(found.poses[:, :2], headings, half[:, 0], half[:, 1]) + travelled[:, :, None]
    return Observation(
        tokens=found.tokens,
        corners=np.ascontiguousarray(corners),
        centers=np.ascontiguousarray(centers),
        present=np.ones(centers.shape[:2], dtype=bool),
        reach=np.hypot(half[:, 0], half[:, 1]),
        is_agent=is_agent,
        is_stopped=~is_agent | (speeds <= metrics.stopped_track_speed),
        ignored=np.zeros(len(headings), dtype=bool),
        frame_of_step=np.arange(planner.num_plan_steps + stride) // stride,
    )


def _red_light_polygons(lights: Sequence[Tuple[str, bool]], lanes: Dict[str, Lane]) -> List[shapely.Geometry]:
    """Polygons of the route's lane connectors whose light is red."""
    return [lanes[connector].polygon for connector, is_red in lights if is_red and connector in lanes]
