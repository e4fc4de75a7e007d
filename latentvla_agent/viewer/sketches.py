"""One scene as compact JSON, from which the page draws it: map, road users, paths of human, reference and agents.

Poses are flat lists of whole numbers, x, y, heading, x, y …, in centimetres and milliradians of the ego frame
(rear axle, x forward, y left). The map is SVG path data in the picture coordinates of `evaluation.drawing_canvas`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import FloatArray, PoseIndex, to_local_frame
from latentvla_agent.evaluation.drawing_canvas import Window, fit_size, place_local
from latentvla_agent.evaluation.drawing_map import trace_map
from latentvla_agent.evaluation.plan_details import Details
from latentvla_agent.evaluation.stages import Prediction, read_prediction
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.interpolation import sample_trajectories
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.observation import ObjectType, Tracks
from latentvla_agent.scoring.simulation import simulate
from latentvla_agent.scoring.versions import Rules

MAP_SIZE, MAP_COARSENESS = 110.0, 0.7  # metres that the page can show, outlines within 0.15 m
CENTIMETRES, MILLIRADIANS = 100.0, 1000.0
MAX_TRACKS = 80  # the nearest ones
TRACK_FRAMES = 9  # at 2 Hz: the scored 4 s
MOVED_M, TURNED_RAD = 0.1, 0.02  # what moves less stands
STYLES = {ObjectType.VEHICLE: "vehicle", ObjectType.PEDESTRIAN: "pedestrian", ObjectType.BICYCLE: "bicycle"}

Json = Dict[str, Any]


def sketch_scene(cache: MetricCache, human: FloatArray, plans: Mapping[str, Prediction], rules: Rules) -> Json:
    """Everything that is drawn from above. `human` (T, 3) every 0.5 s; `plans` by agent, failed ones are left out."""
    drawn = {name: plan for name, plan in plans.items() if "error" not in plan}
    paths = [place_local(human), *(place_local(read_prediction(plan)[0]) for plan in drawn.values())]
    reference = to_local_frame(cache.references[rules.generation - 1], cache.start[: len(PoseIndex)])
    return {
        "size": fit_size(paths),
        "map": trace_map(cache, Window(cache.start[:3], MAP_SIZE, MAP_COARSENESS)),
        "tracks": sketch_tracks(cache.tracks, cache.start[: len(PoseIndex)]),
        "human": flatten_poses(human),
        "reference": [] if np.isnan(reference).any() else flatten_poses(reference),
        "plans": [{"agent": name, **sketch_plan(cache, plan)} for name, plan in drawn.items()],
    }


def sketch_plan(cache: MetricCache, prediction: Prediction) -> Json:
    """`poses` every `interval` seconds, what the scorer's simulation makes of them every 0.1 s (`simulated`), and what
    the planner weighed where it is known."""
    poses, sampling = read_prediction(prediction)
    start = cache.start[: len(PoseIndex)]
    trajectory = sample_trajectories(poses[None], sampling, start, cache.timestamp)
    states = simulate(trajectory, cache.start, DEFAULT_CONFIG)[0]
    return {
        "poses": flatten_poses(poses),
        "interval": sampling.interval_length,
        "simulated": flatten_poses(to_local_frame(states[:, : len(PoseIndex)], start)),
        **sketch_details(prediction.get("details", {})),
    }


def sketch_details(details: Details) -> Json:
    """Proposals as flat poses; scores and shares as whole percents; codes as they are."""
    sketched: Json = {}
    if "proposals" in details:
        sketched["proposals"] = [flatten_poses(np.array(proposal)) for proposal in details["proposals"]]
        sketched["proposalScores"] = details["proposal_scores"]
    if "codes" in details:
        sketched.update(codes=details["codes"], codeShares=details["code_shares"], transitions=details["transitions"])
    return sketched


def sketch_tracks(tracks: Tracks, origin: FloatArray) -> List[Json]:
    """The nearest road users: `style`, `size` [length, width] in cm, and `poses` every 0.5 s from frame `first` on.

    Frames between that lack it hold null; one that stands has a single pose and is there all the time.
    """
    detected = tracks.detected[:TRACK_FRAMES]
    local = np.stack([to_local_frame(poses, origin) for poses in tracks.poses[:TRACK_FRAMES]])
    distance = np.where(detected, np.hypot(local[..., 0], local[..., 1]), np.inf).min(axis=0)
    near = [int(k) for k in np.argsort(distance, kind="stable")[:MAX_TRACKS] if distance[k] < MAP_SIZE]
    return [
        {
            "style": STYLES.get(ObjectType(int(tracks.types[k])), "object"),
            "size": _to_whole(tracks.sizes[k], CENTIMETRES),
            **_sketch_track(local[:, k], detected[:, k]),
        }
        for k in near
    ]


def _sketch_track(poses: FloatArray, detected: npt.NDArray[np.bool_]) -> Json:
    frames = np.flatnonzero(detected)
    own = poses[frames]
    turned = np.abs(np.sin(own[:, PoseIndex.HEADING] - own[0, PoseIndex.HEADING])).max()
    if len(frames) == 1 or (np.ptp(own[:, :2], axis=0).max() < MOVED_M and turned < TURNED_RAD):
        stays = len(frames) in (1, len(detected))
        return {"poses": flatten_poses(own[:1])} if stays else {"first": int(frames[0]), **_repeat(own, frames)}
    flat: List[Any] = []
    for frame in range(int(frames[0]), int(frames[-1]) + 1):
        flat += flatten_poses(poses[frame : frame + 1]) if detected[frame] else [None] * len(PoseIndex)
    return {"first": int(frames[0]), "poses": flat}


def _repeat(own: FloatArray, frames: npt.NDArray[np.int64]) -> Json:
    """What stands, but not all the time."""
    return {"poses": flatten_poses(own[:1]) * int(frames[-1] - frames[0] + 1)}


def flatten_poses(poses: npt.NDArray[Any]) -> List[int]:
    """(T, 3) metres and radians as one list of centimetres and milliradians."""
    return _to_whole(
        np.asarray(poses, np.float64)[:, : len(PoseIndex)] * [1.0, 1.0, MILLIRADIANS / CENTIMETRES], CENTIMETRES
    )


def _to_whole(values: Any, scale: float) -> List[int]:
    whole: Sequence[int] = np.rint(np.asarray(values, np.float64) * scale).astype(np.int64).ravel().tolist()
    return list(whole)
