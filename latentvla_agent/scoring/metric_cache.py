"""The metric cache: all that scoring a trajectory needs of a scene, for every metric, in one file.

The file is a safetensors container (flat arrays behind a JSON header): no pickle, no paths. Its metadata names the
format and its version and holds a hash of the scoring config; another one is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.scene import Frame, PoseIndex, Scene, Trajectory
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.area_index import index_areas
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, ScoringConfig
from latentvla_agent.scoring.history import collect_history
from latentvla_agent.scoring.interpolation import sample_reference, sample_trajectories
from latentvla_agent.scoring.kernels import Areas, Lights, SubScore, World
from latentvla_agent.scoring.lights import observe_lights
from latentvla_agent.scoring.metrics.comfort import make_comfort
from latentvla_agent.scoring.observation import Tracks, collect_tracks, observe_tracks
from latentvla_agent.scoring.reference.centerline import collect_route_lanes
from latentvla_agent.scoring.reference.planner import RouteContext, plan_references, prepare_route
from latentvla_agent.scoring.reference.route import find_roadblocks
from latentvla_agent.scoring.rollouts import make_numbers, roll_out
from latentvla_agent.scoring.state import FloatArray, initial_state, place_ego
from latentvla_agent.scoring.versions import GENERATIONS, V2, Rules

FORMAT, VERSION = "latentvla-metric-cache", "3"
SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class MetricCache:
    """Start state (11,), driven history (H, 11), tracks, areas, lights, centreline (M, 2) of one scene.

    `references` (2, 41, 3) are the reference plans of v1.1 and v2.2 on the scorer's grid, `reference_values` (2, 2)
    their raw progress [m] and the product of their multiplying sub-scores, both NaN for a generation that the cache
    is not made for. `human_fails` (8,) marks the v2.2 sub-scores that the human gets exactly 0 for.
    """

    token: str
    log_name: str
    map_name: str
    timestamp: int
    start: FloatArray
    history: FloatArray
    tracks: Tracks
    areas: Areas
    lights: Lights
    centerline: FloatArray
    references: FloatArray
    reference_values: FloatArray
    human_fails: npt.NDArray[np.bool_]

    def check_generation(self, rules: Rules) -> None:
        """Raise `DataError` where the scene can't be scored by these rules."""
        if np.isnan(self.references[rules.generation - 1]).any():
            held = [known.name for known in GENERATIONS if known is not rules]
            needed, there = rules.future_frames, len(self.tracks.detected) - 1
            short = f", which takes {needed} future frames, and it is of {there}" if there < needed else ""
            raise DataError(
                f"scene {self.token}: its metric cache holds the reference plan of {' and '.join(held)} only, "
                f"that of {rules.name} is needed{short}"
            )


def build_metric_cache(scene: Scene, city_map: CityMap, config: ScoringConfig = DEFAULT_CONFIG) -> MetricCache:
    """Run the reference planner and collect what scoring needs; raises `DataError` for a scene that can't be scored.

    One with fewer future frames than v1.1 observes is scored by v2.2 alone, as the devkit does: its splits of two
    stages have eight.
    """
    frame, metadata = scene.current_frame, scene.scene_metadata
    tracks = collect_tracks(scene, config.vehicle)
    generations = tuple(rules for rules in GENERATIONS if rules.future_frames < len(tracks.detected))
    context = prepare_route(frame, city_map, config)
    logged_lanes = collect_route_lanes(find_roadblocks(city_map, frame.roadblock_ids))
    parts: Dict[str, Any] = {
        "start": initial_state(frame.ego_status, config.vehicle),
        "history": collect_history(scene, config.vehicle),
        "tracks": tracks,
        "areas": context.areas,
        "lights": observe_lights(scene, logged_lanes),
        "centerline": context.centerline_vertices,
        "references": _sample_references(frame, context, config, generations),
        "reference_values": np.full((len(GENERATIONS), 2), np.nan),
        "human_fails": np.zeros(len(SubScore), dtype=np.bool_),
    }
    cache = MetricCache(scene.token, metadata.log_name, metadata.map_name, frame.timestamp, **parts)
    for rules in generations:
        score_reference(cache, rules, config)
    find_human_failures(cache, scene.get_future_trajectory(V2.future_frames), config)
    return cache


def _sample_references(
    frame: Frame, context: RouteContext, config: ScoringConfig, generations: Tuple[Rules, ...]
) -> FloatArray:
    """Reference plans (2, 41, 3) on the scorer's grid, NaN for a generation that is not among those asked for."""
    references = np.full((len(GENERATIONS), NUM_STATES, len(PoseIndex)), np.nan)
    for rules, plan in zip(generations, plan_references(frame, context, config, generations)):
        references[rules.generation - 1] = sample_reference(plan.poses, frame.timestamp)
    return references


def score_reference(cache: MetricCache, rules: Rules, config: ScoringConfig) -> None:
    """Fill in what the reference plan of one generation is worth."""
    i = rules.generation - 1
    reference = roll_out(cache.references[i : i + 1], cache.start, make_world(cache, rules, config), config)
    cache.reference_values[i] = reference.values[0, SubScore.PROGRESS], reference.multiplier(rules)[0]


def make_world(cache: MetricCache, rules: Rules, config: ScoringConfig) -> World:
    """What a rollout in the cached scene is scored against."""
    ego_box, vehicle = np.empty((4, 2)), config.vehicle
    place_ego(cache.start, vehicle.rear_axle_to_center, vehicle.half_length, vehicle.half_width, ego_box, np.empty(2))
    objects = observe_tracks(cache.tracks, ego_box, rules, config.metrics)
    comfort = make_comfort(cache.history, config.comfort, rules)
    return World(
        index_areas(cache.areas), objects, cache.lights, cache.centerline, comfort, make_numbers(config, rules)
    )


def find_human_failures(cache: MetricCache, driven: Trajectory, config: ScoringConfig) -> None:
    """Mark the v2.2 sub-scores that the human gets exactly 0 for; never comfort and progress, which the devkit grants.

    `driven` is what the human drove over the scored 4 s.
    """
    pose = cache.start[: len(PoseIndex)]
    poses = sample_trajectories(driven.poses[None], driven.trajectory_sampling, pose, cache.timestamp, config.vehicle)
    cache.human_fails[:] = roll_out(poses, cache.start, make_world(cache, V2, config), config).values[0] == 0.0
    cache.human_fails[[SubScore.COMFORT, SubScore.PROGRESS]] = False


@lru_cache(maxsize=8)
def hash_config(config: ScoringConfig) -> str:
    """Identity of the numbers that went into a cache."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()[:16]


def cache_path(folder: Path, log_name: str, token: str) -> Path:
    """Where the cache of a scene lies below `folder`; raises `DataError` for names that would leave it."""
    if any(name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name for name in (log_name, token)):
        raise DataError(f"{folder}: log {log_name!r} or token {token!r} is no plain file name")
    return folder / log_name / f"{token}{SUFFIX}"


def write_metric_cache(
    cache: MetricCache, folder: Path, config: ScoringConfig = DEFAULT_CONFIG, source: str = ""
) -> Path:
    """Write the cache atomically below `folder` and return its path; `source` names log, map and window it is of."""
    path = cache_path(folder, cache.log_name, cache.token)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "config": hash_config(config),
        "source": source,
        "scene": json.dumps({key: getattr(cache, key) for key in ("token", "log_name", "map_name", "timestamp")}),
        "track_tokens": json.dumps(list(cache.tracks.tokens)),
    }
    write_atomically(path, save(_arrays_of(cache), metadata), durable=False)
    return path


def _arrays_of(cache: MetricCache) -> Dict[str, npt.NDArray[Any]]:
    arrays = {}
    for field in fields(cache):
        value = getattr(cache, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
    groups = {"areas": cache.areas._asdict(), "lights": cache.lights._asdict(), "tracks": vars(cache.tracks)}
    for group, parts in groups.items():
        arrays.update({f"{group}.{name}": array for name, array in parts.items() if name != "tokens"})
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def read_metric_cache(path: Path, config: ScoringConfig = DEFAULT_CONFIG, source: str = "") -> MetricCache:
    """Read a cache; raises `DataError` for a file that is missing, broken, of another version or config, or made of
    another source than `source` (where one is given)."""
    try:
        content = path.read_bytes()
        metadata, arrays = read_header(content), load(content)
    except FileNotFoundError as error:
        raise DataError(f"{path}: metric cache not found") from error
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a readable metric cache ({error})") from error
    _check_metadata(path, metadata, config, source)
    return _assemble(path, metadata, arrays)


def read_header(content: bytes) -> Dict[str, str]:
    """Metadata of a safetensors file: an eight-byte length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata: Dict[str, str] = header.get("__metadata__", {})
    return metadata


def _check_metadata(path: Path, metadata: Mapping[str, str], config: ScoringConfig, source: str) -> None:
    expected = {"format": FORMAT, "version": VERSION, "config": hash_config(config)}
    if source:
        expected["source"] = source
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise DataError(f"{path}: expected a metric cache with {key} {value}, got {metadata.get(key)}")


def _assemble(path: Path, metadata: Mapping[str, str], arrays: Dict[str, Any]) -> MetricCache:
    try:
        groups: Dict[str, Dict[str, Any]] = {"tracks": {}, "areas": {}, "lights": {}}
        for name in [name for name in arrays if "." in name]:
            group, _, part = name.partition(".")
            groups[group][part] = arrays.pop(name)
        return MetricCache(
            **json.loads(metadata["scene"]),
            **arrays,
            tracks=Tracks(tokens=json.loads(metadata["track_tokens"]), **groups["tracks"]),
            areas=Areas(**groups["areas"]),
            lights=Lights(**groups["lights"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: metric cache is incomplete ({error})") from error
