"""The metric cache: all that scoring a trajectory needs of a scene, in one file without pickle and without paths.

The file is a safetensors container (flat arrays behind a JSON header). Its metadata names the format and its version,
the metric whose reference plan it holds, and a hash of the scoring config: a cache of another kind is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.scene import Scene
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.areas import DrivableAreas
from latentvla_agent.scoring.config import DEFAULT_CONFIG, ScoringConfig
from latentvla_agent.scoring.observation import Tracks, collect_tracks
from latentvla_agent.scoring.reference.planner import plan_reference, prepare_route
from latentvla_agent.scoring.state import FloatArray, initial_state

FORMAT, VERSION = "latentvla-metric-cache", "1"
METRIC = "pdms-v1.1"
SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class MetricCache:
    """Start state (11,), tracks, areas, centreline (M, 2) and reference plan (P, 3) at 0.1 s steps of one scene."""

    token: str
    log_name: str
    map_name: str
    timestamp: int
    start: FloatArray
    tracks: Tracks
    areas: DrivableAreas
    centerline: FloatArray
    reference: FloatArray


def build_metric_cache(scene: Scene, city_map: CityMap, config: ScoringConfig = DEFAULT_CONFIG) -> MetricCache:
    """Run the reference planner and collect what scoring needs; raises `DataError` for a scene that can't be scored."""
    frame, metadata = scene.current_frame, scene.scene_metadata
    context = prepare_route(frame, city_map, config)
    return MetricCache(
        token=scene.token,
        log_name=metadata.log_name,
        map_name=metadata.map_name,
        timestamp=frame.timestamp,
        start=initial_state(frame.ego_status),
        tracks=collect_tracks(scene),
        areas=context.areas,
        centerline=np.ascontiguousarray(context.centerline.states[:, :2]),
        reference=plan_reference(frame, context, config).poses,
    )


def hash_config(config: ScoringConfig) -> str:
    """Identity of the numbers that went into a cache."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()[:16]


def cache_path(folder: Path, log_name: str, token: str) -> Path:
    """Where the cache of a scene lies below `folder`; raises `DataError` for names that would leave it."""
    path = folder / log_name / f"{token}{SUFFIX}"
    if "\0" in str(path) or path.resolve().parent.parent != folder.resolve():
        raise DataError(f"{folder}: log {log_name!r} or token {token!r} is no plain file name")
    return path


def write_metric_cache(
    cache: MetricCache, folder: Path, config: ScoringConfig = DEFAULT_CONFIG, source: str = ""
) -> Path:
    """Write the cache atomically below `folder` and return its path; `source` names the log and map it is made of."""
    path = cache_path(folder, cache.log_name, cache.token)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "metric": METRIC,
        "config": hash_config(config),
        "source": source,
        "scene": json.dumps({key: getattr(cache, key) for key in ("token", "log_name", "map_name", "timestamp")}),
        "track_tokens": json.dumps(list(cache.tracks.tokens)),
    }
    write_atomically(path, save(_arrays_of(cache), metadata))
    return path


def _arrays_of(cache: MetricCache) -> Dict[str, npt.NDArray[Any]]:
    arrays = {"start": cache.start, "centerline": cache.centerline, "reference": cache.reference}
    for group in ("tracks", "areas"):
        part = getattr(cache, group)
        arrays.update({f"{group}.{f.name}": getattr(part, f.name) for f in fields(part) if f.name != "tokens"})
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def read_metric_cache(path: Path, config: ScoringConfig = DEFAULT_CONFIG, source: str = "") -> MetricCache:
    """Read a cache; raises `DataError` for a file that is missing, broken, of another version, metric or config, or
    made of another source than `source` (where one is given)."""
    if not path.is_file():
        raise DataError(f"{path}: metric cache not found")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a readable metric cache ({error})") from error
    _check_metadata(path, metadata, config, source)
    return _assemble(path, metadata, arrays)


def _check_metadata(path: Path, metadata: Mapping[str, str], config: ScoringConfig, source: str) -> None:
    expected = {"format": FORMAT, "version": VERSION, "metric": METRIC, "config": hash_config(config)}
    if source:
        expected["source"] = source
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise DataError(f"{path}: expected a metric cache with {key} {value}, got {metadata.get(key)}")


def _assemble(path: Path, metadata: Mapping[str, str], arrays: Mapping[str, npt.NDArray[Any]]) -> MetricCache:
    try:
        tokens = json.loads(metadata["track_tokens"])
        groups = {
            group: {name.split(".", 1)[1]: array for name, array in arrays.items() if name.startswith(f"{group}.")}
            for group in ("tracks", "areas")
        }
        return MetricCache(
            **json.loads(metadata["scene"]),
            start=arrays["start"],
            tracks=Tracks(tokens=tokens, **groups["tracks"]),
            areas=DrivableAreas(**groups["areas"]),
            centerline=arrays["centerline"],
            reference=arrays["reference"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: metric cache is incomplete ({error})") from error
