"""Hand-made scenes with known answers, and the embedded scenes with what the official scorer says of them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.scene import Annotations, EgoStatus, Frame, TrajectorySampling
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons, DrivableAreas, flatten_areas
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, STEP_S
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.metrics.ego_area import EgoAreas
from latentvla_agent.scoring.metrics.metric import Rollouts, make_rollouts
from latentvla_agent.scoring.observation import ObjectType, Observation, Tracks, observe_tracks
from latentvla_agent.scoring.scorer import Scorer, Scores
from latentvla_agent.scoring.state import FloatArray, StateIndex

VEHICLE = DEFAULT_CONFIG.vehicle
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
START_US = 1_640_995_200_123_456
NUM_LOG_FRAMES = 11  # 5 s at 2 Hz

SCORE_FIELDS = {
    "NC": "no_at_fault_collisions",
    "DAC": "drivable_area_compliance",
    "DDC": "driving_direction_compliance",
    "TTC": "time_to_collision_within_bound",
    "C": "comfort",
    "EP": "ego_progress",
    "score": "score",
}
EXACT_FIELDS = ("NC", "DAC", "DDC", "TTC", "C")


def read_cases(path: Path) -> List[Dict[str, Any]]:
    """Golden cases of a `.json.gz`."""
    with gzip.open(path, "rt") as file:
        cases: List[Dict[str, Any]] = json.load(file)
    return cases


def find_differences(cache: MetricCache, scorer: Scorer, cases: Iterable[Dict[str, Any]]) -> List[Tuple[Any, ...]]:
    """(token, name, field, ours, official) of every number of the cases of one scene that differs by more than 1e-6."""
    differences: List[Tuple[Any, ...]] = []
    for case in cases:
        sampling = TrajectorySampling(case["sampling"]["num_poses"], case["sampling"]["interval"])
        scores = scorer.score(cache, np.array(case["poses"])[None], sampling)
        for field, ours, official in _compared_numbers(scores, case["v1"]):
            tolerance = 0.0 if field in EXACT_FIELDS else 1e-6
            if not abs(ours - official) <= tolerance:
                differences.append((case["token"], case["name"], field, ours, official))
    return differences


def _compared_numbers(scores: Scores, official: Dict[str, Any]) -> List[Tuple[str, float, float]]:
    numbers = [(key, float(getattr(scores, name)[0]), official[key]) for key, name in SCORE_FIELDS.items()]
    numbers += [
        (f"progress_raw[{i}]", float(scores.progress_raw[0, i]), value)
        for i, value in enumerate(official["progress_raw"])
    ]
    return numbers


def drive_straight(speed: float, *, x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> FloatArray:
    """States (41, 11) at constant speed from the rear-axle pose."""
    states = np.zeros((NUM_STATES, len(StateIndex)))
    travelled = speed * STEP_S * np.arange(NUM_STATES)
    states[:, StateIndex.X] = x + travelled * np.cos(heading)
    states[:, StateIndex.Y] = y + travelled * np.sin(heading)
    states[:, StateIndex.HEADING] = heading
    states[:, StateIndex.VELOCITY_X] = speed
    return states


def roll_out(*states: FloatArray) -> Rollouts:
    """Rollouts of some (41, 11) states."""
    return make_rollouts(np.stack(states), VEHICLE)


def flag_areas(num_rollouts: int = 1, **flags: Any) -> EgoAreas:
    """`EgoAreas` that are False but for the flags given, each a slice of steps (or True for all)."""
    names = ("multiple_lanes", "off_road", "off_route", "at_intersection")
    arrays = {name: np.zeros((num_rollouts, NUM_STATES), dtype=bool) for name in names}
    for name, steps in flags.items():
        arrays[name][:, slice(None) if steps is True else steps] = True
    return EgoAreas(**arrays)


@dataclass(frozen=True)
class Thing:
    """An object that moves along its heading; `detected` are the 2 Hz frames in which the log holds it."""

    x: float
    y: float
    heading: float = 0.0
    speed: float = 0.0
    type: ObjectType = ObjectType.VEHICLE
    length: float = 4.0
    width: float = 2.0
    detected: Optional[Sequence[int]] = None


def make_tracks(*things: Thing) -> Tracks:
    """Tracks as a log of 5 s would hold them."""
    seconds = 0.5 * np.arange(NUM_LOG_FRAMES)
    poses = np.zeros((NUM_LOG_FRAMES, len(things), 3))
    detected = np.zeros((NUM_LOG_FRAMES, len(things)), dtype=bool)
    for k, thing in enumerate(things):
        poses[:, k, 0] = thing.x + thing.speed * np.cos(thing.heading) * seconds
        poses[:, k, 1] = thing.y + thing.speed * np.sin(thing.heading) * seconds
        poses[:, k, 2] = thing.heading
        detected[slice(None) if thing.detected is None else list(thing.detected), k] = True
    velocities = [(t.speed * np.cos(t.heading), t.speed * np.sin(t.heading)) for t in things]
    return Tracks(
        tokens=[f"track-{k}" for k in range(len(things))],
        types=np.array([int(t.type) for t in things], dtype=np.int64),
        sizes=np.array([(t.length, t.width) for t in things]).reshape(-1, 2),
        velocities=np.array(velocities).reshape(-1, 2),
        poses=poses,
        detected=detected,
    )


def observe(*things: Thing) -> Observation:
    """What the scorer sees of some objects."""
    return observe_tracks(make_tracks(*things), DEFAULT_CONFIG.metrics)


def make_areas(*areas: Tuple[str, AreaKind, shapely.Geometry], route: Sequence[str] = ()) -> DrivableAreas:
    """Flat areas of (id, kind, polygon)."""
    ids, kinds, polygons = [a[0] for a in areas], [a[1] for a in areas], [a[2] for a in areas]
    return flatten_areas(AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_)), set(route))


def straight_road(end: float = 200.0) -> DrivableAreas:
    """A lane of the route, 6 m wide, from x = -50 to `end`."""
    box = shapely.box(-50.0, -3.0, end, 3.0)
    return make_areas(("1", AreaKind.LANE_GROUP, box), ("2", AreaKind.LANE, box), route=["2"])


def make_cache(*things: Thing, speed: float = 8.0, plan_speed: float = 8.0) -> MetricCache:
    """Scene on a straight road; the reference plan keeps `plan_speed`."""
    start = drive_straight(speed)[0]
    steps = np.arange(51)
    reference = np.stack([plan_speed * STEP_S * steps, np.zeros(51), np.zeros(51)], axis=-1)
    return MetricCache(
        token="token",
        log_name="log",
        map_name="sg-one-north",
        timestamp=START_US,
        start=start,
        tracks=make_tracks(*things),
        areas=straight_road(),
        centerline=np.array([[-50.0, 0.0], [50.0, 0.0], [200.0, 0.0]]),
        reference=reference,
    )


def make_frame(
    *things: Thing,
    speed: float = 5.0,
    pose: Tuple[float, float, float] = (0.0, 0.0, 0.0),
    lights: Sequence[Tuple[str, bool]] = (),
) -> Frame:
    """A frame whose objects are given in the ego's own frame."""
    boxes = [(t.x, t.y, 0.0, t.length, t.width, 1.5, t.heading) for t in things]
    velocities = [(t.speed * np.cos(t.heading), t.speed * np.sin(t.heading), 0.0) for t in things]
    tokens = [f"track-{k}" for k in range(len(things))]
    return Frame(
        token="token",
        timestamp=START_US,
        roadblock_ids=["1"],
        traffic_lights=list(lights),
        annotations=Annotations(
            boxes=np.array(boxes, dtype=np.float32).reshape(-1, 7),
            names=[t.type.name.lower() for t in things],
            velocity_3d=np.array(velocities, dtype=np.float32).reshape(-1, 3),
            instance_tokens=tokens,
            track_tokens=tokens,
        ),
        ego_status=EgoStatus(
            np.array(pose),
            np.array([speed, 0.0], dtype=np.float32),
            np.zeros(2, dtype=np.float32),
            np.array([0, 1, 0, 0]),
            True,
        ),
    )
