"""Metric caches that NAVSIM's devkit wrote, v1.1 or v2.2, read without the devkit into our own `MetricCache`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import shapely

from latentvla_agent.data.devkit_records import argument, look_up
from latentvla_agent.data.pickles import Record
from latentvla_agent.data.scene import PoseIndex, Trajectory, TrajectorySampling
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons, flatten_areas
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, ScoringConfig
from latentvla_agent.scoring.devkit_pickles import as_floats, read_cache_record, read_polygons, read_pose, read_states
from latentvla_agent.scoring.devkit_tracks import read_tracks
from latentvla_agent.scoring.history import sample_history
from latentvla_agent.scoring.interpolation import interpolate_poses, scored_times_us
from latentvla_agent.scoring.kernels import Areas, Lights, SubScore
from latentvla_agent.scoring.lights import make_lights
from latentvla_agent.scoring.metric_cache import MetricCache, find_human_failures, score_reference
from latentvla_agent.scoring.state import FloatArray, StateIndex
from latentvla_agent.scoring.versions import GENERATIONS, V1, V2, Rules

FILE_NAME = "metric_cache.pkl"
MAX_HISTORY_US = 10_000_000  # 1.5 s are usual
AREA_KINDS = {  # by the number of nuPlan's SemanticMapLayer
    0: AreaKind.LANE,
    1: AreaKind.INTERSECTION,
    11: AreaKind.LANE_CONNECTOR,
    15: AreaKind.CARPARK,
    17: AreaKind.LANE_GROUP,
}


def find_devkit_caches(folder: Path) -> Dict[str, Path]:
    """Cache files below `folder` by scene token: `<log>/<type>/<token>/metric_cache.pkl`, as the devkit lays them.

    Raises `DataError` where there is none, and for a token that is there twice.
    """
    found: Dict[str, Path] = {}
    for path in sorted(folder.rglob(FILE_NAME)):
        token = path.parent.name
        if token in found:
            raise DataError(f"{folder}: token {token} is cached twice, in {found[token]} and {path}")
        found[token] = path
    if not found:
        raise DataError(f"{folder}: expected metric caches of the devkit, <log>/<type>/<token>/{FILE_NAME}, got none")
    return found


def read_devkit_cache(path: Path, config: ScoringConfig = DEFAULT_CONFIG) -> MetricCache:
    """The devkit's cache as ours, for the metric of its own version alone; its folder gives the token.

    What the devkit does not keep (worth of the reference, failures of the human) is computed from what it keeps. Raises
    `UnsafePickleError` for a pickle that asks for a foreign name, `DataError` for any other file that is no such cache.
    """
    record = read_cache_record(path)
    rules = _rules_of(record)
    try:
        cache = _assemble(path, record, rules)
        score_reference(cache, rules, config)
        driven = look_up(record, "human_trajectory") if rules is V2 else None
        if driven is not None:  # synthetic scenes have no human, and no human filter
            find_human_failures(cache, _read_trajectory(driven), config)
        return cache
    except Exception as error:  # a pickle can hold anything in the place of anything
        raise _not_whole(path, error) from error


def read_devkit_identity(path: Path) -> Tuple[str, int]:
    """Log name and time stamp [us] of a devkit's cache; raises as `read_devkit_cache` does."""
    record = read_cache_record(path)
    try:
        return _log_name(path, record, _rules_of(record)), _timestamp(record)
    except Exception as error:
        raise _not_whole(path, error) from error


def _not_whole(path: Path, error: Exception) -> DataError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return DataError(f"{path}: not a whole metric cache of the devkit ({reason})")


def _rules_of(record: Record) -> Rules:
    return V2 if "human_trajectory" in record else V1


def _log_name(path: Path, record: Record, rules: Rules) -> str:
    """v1.1 says it in the path alone."""
    return str(look_up(record, "log_name")) if rules is V2 else path.absolute().parts[-4]


def _timestamp(record: Record) -> int:
    return int(look_up(record, "ego_state", "_time_point", "time_us"))


def _assemble(path: Path, record: Record, rules: Rules) -> MetricCache:
    timestamp = _timestamp(record)
    _, (start,) = read_states([look_up(record, "ego_state")])
    observation = look_up(record, "observation")
    references = np.full((len(GENERATIONS), NUM_STATES, len(PoseIndex)), np.nan)
    references[rules.generation - 1] = _read_reference(look_up(record, "trajectory"), timestamp)
    return MetricCache(
        token=path.absolute().parent.name,
        log_name=_log_name(path, record, rules),
        map_name=str(look_up(record, "map_parameters", "map_name")) if rules is V2 else "",
        timestamp=timestamp,
        start=start,
        history=_read_history(look_up(record, "past_human_trajectory") if rules is V2 else None),
        tracks=read_tracks(observation, rules),
        areas=_read_areas(look_up(record, "drivable_area_map"), look_up(record, "route_lane_ids")),
        lights=_read_lights(look_up(observation, "_occupancy_maps_tl") if rules is V2 else [([], [])] * NUM_STATES),
        centerline=_read_centerline(look_up(record, "centerline")),
        references=references,
        reference_values=np.full((len(GENERATIONS), 2), np.nan),
        human_fails=np.zeros(len(SubScore), dtype=np.bool_),
    )


def _read_reference(trajectory: Any, timestamp: int) -> FloatArray:
    """The reference plan (41, 3) on the scorer's grid."""
    stamps, rows = read_states(argument(trajectory, "InterpolatedTrajectory", 0))
    if len(stamps) < 2:
        raise ValueError(f"expected a reference plan of at least two states, got {len(stamps)}")
    return interpolate_poses(scored_times_us(timestamp), stamps, rows[:, : len(PoseIndex)])


def _read_history(trajectory: Any) -> FloatArray:
    if trajectory is None:
        return np.empty((0, len(StateIndex)))
    stamps, rows = read_states(argument(trajectory, "InterpolatedTrajectory", 0))
    if len(stamps) < 2 or stamps[-1] - stamps[0] > MAX_HISTORY_US:
        raise ValueError("expected a driven history of a few seconds")
    return sample_history(stamps, rows)


def _read_trajectory(trajectory: Any) -> Trajectory:
    poses = as_floats(look_up(trajectory, "poses"), -1, len(PoseIndex))
    sampling = look_up(trajectory, "trajectory_sampling")
    return Trajectory(poses, TrajectorySampling(len(poses), float(look_up(sampling, "interval_length"))))


def _read_centerline(path: Any) -> FloatArray:
    poses = as_floats([read_pose(state) for state in argument(path, "PDMPath", 0)], -1, len(PoseIndex))
    if len(poses) < 2:
        raise ValueError(f"expected a centreline of at least two vertices, got {len(poses)}")
    return np.ascontiguousarray(poses[:, :2])


def _read_areas(drivable: Any, route_lane_ids: Any) -> Areas:
    ids, layers, geometries = (argument(drivable, "PDMDrivableMap", place) for place in range(3))
    kinds = [AREA_KINDS[argument(layer, "SemanticMapLayer", 0)] for layer in layers]
    polygons = read_polygons(geometries)
    if not len(ids) == len(kinds) == len(polygons):
        raise ValueError(f"expected as many ids and layers as polygons, got {len(ids)}, {len(kinds)}, {len(polygons)}")
    return flatten_areas(AreaPolygons(ids, kinds, polygons), set(route_lane_ids))


def _read_lights(steps: List[Tuple[List[str], Any]]) -> Lights:
    """Red areas of the route and when they are red."""
    if len(steps) != NUM_STATES:
        raise ValueError(f"expected {NUM_STATES} steps of traffic lights, got {len(steps)}")
    red: Dict[str, Any] = {}
    for tokens, geometries in steps:
        red.update(zip(tokens, geometries))
    ids = sorted(red)
    polygons = read_polygons([red[id_] for id_ in ids])
    if (shapely.get_type_id(polygons) != shapely.GeometryType.POLYGON).any():
        raise ValueError("expected lane connectors of one part")
    is_red = np.array([[id_ in tokens for id_ in ids] for tokens, _ in steps], dtype=np.bool_)
    return make_lights(polygons, is_red.reshape(NUM_STATES, len(ids)))
