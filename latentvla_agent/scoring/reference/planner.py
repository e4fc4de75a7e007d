"""PDM-Closed: unroll the proposals, simulate and score them, keep the best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Dict, List, Tuple

import numpy as np

from latentvla_agent.data.maps import CityMap, Lane, Roadblock
from latentvla_agent.data.scene import Frame
from latentvla_agent.scoring.aggregation import aggregate
from latentvla_agent.scoring.area_index import index_areas
from latentvla_agent.scoring.areas import crop_areas, flatten_areas
from latentvla_agent.scoring.config import ScoringConfig
from latentvla_agent.scoring.kernels import AreaIndex, Areas, SubScore, World
from latentvla_agent.scoring.metrics.comfort import make_comfort
from latentvla_agent.scoring.metrics.ego_progress import normalise_progress
from latentvla_agent.scoring.polyline import Polyline
from latentvla_agent.scoring.reference.centerline import choose_starting_lane, collect_route_lanes, trace_centerline
from latentvla_agent.scoring.reference.forecast import Forecast, forecast_objects
from latentvla_agent.scoring.reference.proposals import target_speeds, unroll_path
from latentvla_agent.scoring.reference.route import correct_route
from latentvla_agent.scoring.rollouts import make_numbers, roll_out
from latentvla_agent.scoring.state import FloatArray, StateIndex, ego_centers, initial_state
from latentvla_agent.scoring.versions import Rules


@dataclass(frozen=True)
class RouteContext:
    """Where the ego can and should drive: corrected route, its lanes, the areas around the ego, the centreline."""

    route: List[Roadblock]
    lanes: Dict[str, Lane]
    areas: Areas
    centerline: Polyline
    forecast: Forecast
    targets: FloatArray

    @cached_property
    def area_index(self) -> AreaIndex:
        """The areas, ready for point tests."""
        return index_areas(self.areas)

    @cached_property
    def centerline_vertices(self) -> FloatArray:
        """Vertices (M, 2) of the centreline."""
        return np.ascontiguousarray(self.centerline.states[:, :2])


@dataclass(frozen=True)
class ReferencePlan:
    """The chosen proposal: global poses (41, 3) at 0.1 s steps from the ego's projection on the path, its index
    (5 * path + speed) and the scores (15,) it was chosen by."""

    poses: FloatArray
    proposal: int
    scores: FloatArray


def prepare_route(frame: Frame, city_map: CityMap, config: ScoringConfig) -> RouteContext:
    """Route, centreline, areas and forecast of the current frame; raises `DataError` for a route off the map."""
    pose = frame.ego_status.ego_pose
    route = correct_route(city_map, frame.roadblock_ids, pose, config.route)
    lanes = collect_route_lanes(route)
    center = ego_centers(pose, config.vehicle)
    polygons = crop_areas(city_map, center[0], center[1], config.planner.map_radius)
    start = choose_starting_lane(lanes, polygons, pose, config.vehicle)
    return RouteContext(
        route=route,
        lanes=lanes,
        areas=flatten_areas(polygons, set(lanes)),
        centerline=trace_centerline(start, route, lanes, config.route),
        forecast=forecast_objects(frame, lanes, config.planner, config.metrics, config.vehicle),
        targets=target_speeds(start.speed_limit, config.planner),
    )


def plan_references(
    frame: Frame, context: RouteContext, config: ScoringConfig, rules: Tuple[Rules, ...]
) -> List[ReferencePlan]:
    """The plan that a trajectory's progress is compared with, under each of the rules: they share the proposals."""
    proposals = unroll_proposals(frame, context, config)
    start = initial_state(frame.ego_status, config.vehicle)
    plans = []
    for rule in rules:
        scores = score_proposals(proposals, start, context, config, rule)
        best = int(np.argmax(scores))
        plans.append(ReferencePlan(proposals[best], best, scores))
    return plans


def unroll_proposals(frame: Frame, context: RouteContext, config: ScoringConfig) -> FloatArray:
    """Poses (15, 41, 3) of all proposals, path by path, on each path from slow to fast."""
    status, planner, targets = frame.ego_status, config.planner, context.targets
    speed = float(status.ego_velocity[0])
    paths = [context.centerline.offset(offset) for offset in planner.lateral_offsets]
    return np.concatenate(
        [unroll_path(p, status.ego_pose, speed, targets, context.forecast, planner, config.vehicle) for p in paths]
    )


def score_proposals(
    poses: FloatArray, start: FloatArray, context: RouteContext, config: ScoringConfig, rules: Rules
) -> FloatArray:
    """Scores (N,) of proposals (N, 41, 3) against the forecast, progress compared among themselves.

    Under v2.2 comfort is 1: the devkit hands PDM-Closed no history.
    """
    no_history = np.empty((0, len(StateIndex)))
    forecast, line = context.forecast, context.centerline_vertices
    # Proposals equal the devkit's to less than a micrometre, but not to the bit: see `bearing`.
    numbers = make_numbers(config, rules)._replace(clamps_bearings=True)
    comfort = make_comfort(no_history, config.comfort, rules)
    world = World(context.area_index, forecast.objects, forecast.lights, line, comfort, numbers)
    rollouts = roll_out(poses, start, world, config)
    if rules.history_comfort:
        rollouts.values[:, SubScore.COMFORT] = 1.0
    progress, multiplier = rollouts.values[:, SubScore.PROGRESS], rollouts.multiplier(rules)
    best = np.full(len(poses), (progress * multiplier).max())
    ego_progress = normalise_progress(progress, multiplier, best, config.metrics.min_progress, rules)
    return aggregate(rollouts.values, multiplier, ego_progress, config.weights, rules)
