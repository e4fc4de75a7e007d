"""PDM-Closed: unroll the proposals, simulate and score them, keep the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Set

import numpy as np

from latentvla_agent.data.maps import CityMap, Roadblock
from latentvla_agent.data.scene import Frame
from latentvla_agent.scoring.aggregation import aggregate_pdms
from latentvla_agent.scoring.areas import DrivableAreas, crop_areas, flatten_areas
from latentvla_agent.scoring.config import NUM_STATES, NUM_STEPS, ScoringConfig
from latentvla_agent.scoring.metrics.ego_progress import normalise_progress
from latentvla_agent.scoring.polyline import Polyline
from latentvla_agent.scoring.reference.centerline import choose_starting_lane, collect_route_lanes, trace_centerline
from latentvla_agent.scoring.reference.forecast import Forecast, forecast_objects
from latentvla_agent.scoring.reference.proposals import ProposalPath, target_speeds
from latentvla_agent.scoring.reference.route import correct_route
from latentvla_agent.scoring.rollout_scores import score_rollouts
from latentvla_agent.scoring.simulation import simulate
from latentvla_agent.scoring.state import FloatArray, ego_centers, initial_state


@dataclass(frozen=True)
class RouteContext:
    """Where the ego can and should drive: corrected route, its lanes, the areas around the ego, the centreline."""

    route: List[Roadblock]
    lane_ids: Set[str]
    areas: DrivableAreas
    centerline: Polyline
    forecast: Forecast
    targets: FloatArray


@dataclass(frozen=True)
class ReferencePlan:
    """The chosen proposal: global poses (51, 3) at 0.1 s steps from the ego's projection on the path, its index
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
        lane_ids=set(lanes),
        areas=flatten_areas(polygons, set(lanes)),
        centerline=trace_centerline(start, route, lanes, config.route),
        forecast=forecast_objects(frame, lanes, config.planner, config.metrics, config.vehicle),
        targets=target_speeds(start.speed_limit, config.planner),
    )


def plan_reference(frame: Frame, context: RouteContext, config: ScoringConfig) -> ReferencePlan:
    """The plan that a trajectory's progress is compared with."""
    status = frame.ego_status
    speed = float(status.ego_velocity[0])
    offsets = config.planner.lateral_offsets
    paths = [
        ProposalPath(
            context.centerline.offset(offset),
            status.ego_pose,
            speed,
            context.targets,
            context.forecast,
            config.planner,
            config.vehicle,
        )
        for offset in offsets
    ]
    drivers = range(len(context.targets))
    for path in paths:
        path.unroll(1, NUM_STEPS, drivers)
    proposals = np.concatenate([path.poses[:, :NUM_STATES] for path in paths])
    scores = score_proposals(simulate(proposals, initial_state(status), config), context, config)
    best = int(np.argmax(scores))
    path, driver = paths[best // len(drivers)], best % len(drivers)
    path.unroll(NUM_STEPS + 1, config.planner.num_plan_steps, [driver])
    return ReferencePlan(path.poses[driver].copy(), best, scores)


def score_proposals(states: FloatArray, context: RouteContext, config: ScoringConfig) -> FloatArray:
    """PDMS (N,) of simulated proposals against the forecast, progress compared among themselves."""
    centerline = context.centerline.states[:, :2]
    scores = score_rollouts(states, context.forecast.observation, context.areas, centerline, config)
    effective = scores.progress * scores.multiplier
    best = np.full(len(effective), effective.max())
    progress = normalise_progress(effective, best, scores.multiplier, config.metrics)
    return aggregate_pdms(scores, progress, config.metrics)
